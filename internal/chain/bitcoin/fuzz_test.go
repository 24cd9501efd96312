package bitcoin_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/key"
)

// FuzzPSBT gives arbitrary bytes to the decoder as a client would, and holds what
// it takes to its promises.
func FuzzPSBT(f *testing.F) {
	w, other := newTree(f, "fuzz", "m/84h/0h/0h"), newTree(f, "other", "m/84h/0h/0h")
	mixed, _, _ := kinds(f, w, other)
	for _, seed := range [][]byte{
		payment(f, w).bytes(), payment(f, w).base64(), mixed.pay(70_000_000, stranger("shop")).bytes(), many(f, w, 3, bitcoin.P2TR).bytes(),
		[]byte("psbt\xff\x00"), []byte("70736274ff"), nil,
	} {
		f.Add(seed)
	}
	ask := w.ask(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := bitcoin.Reencode(b); err == nil && bytes.HasPrefix(b, []byte("psbt")) && !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, written %x", b, again)
		}
		p, err := chain.Parse(bitcoin.Decoder{}, b, ask)
		if err != nil {
			if !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
			return
		}
		if p.Type() != chain.TypePSBT {
			return
		}
		sigs := signAll(p, w.sign(t))
		out, err := p.Assemble(sigs)
		if err != nil {
			t.Fatalf("accepted, but not assembled: %v", err)
		}
		back, err := p.Extract(out)
		if err != nil || len(back) != len(sigs) || back[0] != sigs[0] {
			t.Fatalf("extract: got %x, %v, want %x", back, err, sigs)
		}
		if _, _, err := bitcoin.Extract(out); err != nil {
			t.Fatalf("assembled, but not extracted: %v", err)
		}
	})
}

func FuzzTransaction(f *testing.F) {
	f.Add(raw(previous(0, 5, stranger("x"))))
	f.Add([]byte("\x02\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		same, err := bitcoin.RoundTrip(b)
		if err == nil && !same {
			t.Fatalf("accepted %x, which is written otherwise, or has another id", b)
		}
		_, _ = bitcoin.Decoder{}.Inspect(b)
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo", "36j4NfKv6Akva9amjWrLG6MuSQym1GuEmm",
		"bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", "BC1SW50QGDZ25J", "mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range bitcoin.Networks {
			script, err := bitcoin.ParseAddress(s, n)
			if err != nil {
				continue
			}
			if back, ok := bitcoin.FormatAddress(script, n); !ok || back != s && back != strings.ToLower(s) {
				t.Fatalf("%q of %s came back as %q", s, n.Name, back)
			}
		}
	})
}

func FuzzScript(f *testing.F) {
	f.Add(stranger("x"))
	f.Add([]byte{1, 2, 0x4c, 76})
	f.Fuzz(func(t *testing.T, s []byte) {
		if address, ok := bitcoin.FormatAddress(s, bitcoin.Main); ok {
			if back, err := bitcoin.ParseAddress(address, bitcoin.Main); err != nil || !bytes.Equal(back, s) {
				t.Fatalf("%x has address %s, which has %x, %v", s, address, back, err)
			}
		}
		items, ok := bitcoin.Pushes(s)
		var again []byte
		for _, item := range items {
			again = bitcoin.AppendPush(again, item)
		}
		if ok && !bytes.Equal(again, s) {
			t.Fatalf("%x is read as pushes of %x", s, again)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("hello"), "smpAkcwRAIgM2gBAQqvZX15ZiysmKmQpDrG83avLIT492QBzLnQIxYCIBaTpOaD20qRlEylyxFSeEA2ba9YOixpX8z46TSDtS40ASECx/EgAxlkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=")
	f.Add([]byte(nil), "ful"+base64.StdEncoding.EncodeToString(raw(previous(0, 5, nil))))
	f.Add([]byte("x"), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{39}, 65)))
	f.Fuzz(func(t *testing.T, message []byte, signature string) {
		for _, a := range []string{"bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l", "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", "36j4NfKv6Akva9amjWrLG6MuSQym1GuEmm"} {
			if _, err := bitcoin.VerifyMessage(a, message, signature, bitcoin.Main); err != nil && !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
		}
		for _, path := range []key.Path{nil, at("p2pkh"), at("p2tr"), at("p2sh-p2wpkh")} {
			p := parse(t, message, chain.Ask{Type: chain.TypeMsg, Public: testSigner.Public(), Path: path})
			if _, err := p.Extract([]byte(signature)); err != nil && !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
		}
	})
}
