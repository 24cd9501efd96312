package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

func FuzzRLP(f *testing.F) {
	for _, seed := range []string{
		"", "80", "00", "7f", "8180", "8100", "83646f67", "c0", "c883636174646f67", "b838" + strings.Repeat("61", 56), "b800", "b90000",
		"f838" + strings.Repeat("80", 56), "f800", "c7c0c1c0c3c0c1c0", strings.Repeat("c1", 40), "bfffffffffffffffff", "ff0f000000000000021111", example155,
	} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if ethereum.CheckRLP(b) != nil {
			return
		}
		it, rest, err := ethereum.NextItem(b)
		if err != nil || len(rest) != 0 {
			t.Fatalf("checked, then: %v, %d bytes left", err, len(rest))
		}
		if again := reencode(t, it); !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, whose canonical form is %x", b, again)
		}
	})
}

// FuzzUnsigned gives arbitrary bytes to the decoder as a client would.
func FuzzUnsigned(f *testing.F) {
	transfer := abi(f, "a9059cbb", addressWord(bob), word("1"))
	for _, seed := range [][]byte{
		nil, []byte("hello"), []byte("{"), []byte(`{"types":{},"domain":{}}`), txJSON(), txJSON("from", `"`+alice+`"`), callJSON(transfer),
		txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x1"`, "accessList", `[{"address":"`+alice+`","storageKeys":[]}]`),
		[]byte(example155), unhex(f, example155), rlp2(f, nil, nil, ""), rlp2(f, unhex(f, token), transfer, "f838f794"+strings.ToLower(token[2:])+"e1a0"+word("5")),
		assembled(f, txJSON()), {1, 0xc0}, {3, 0xc0}, []byte(strings.Repeat("ab", 32)), []byte("\u202e\u200b"),
	} {
		f.Add(seed)
	}
	public, d := testSigner.Public(), ethereum.Decoder{}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := chain.Parse(d, b, chain.Ask{Public: public})
		if err != nil {
			if !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
			return
		}
		effects := p.Intent().Effects()
		if len(effects) == 0 || len(p.Tasks()) != 1 {
			t.Fatalf("got %d effects, %d digests", len(effects), len(p.Tasks()))
		}
		// Any signature in range will do: recovery is not what is tested here.
		sig := key.Recoverable{R: [32]byte{31: 1}, S: [32]byte{31: 1}}
		out, err := p.Assemble([]key.Recoverable{sig})
		if err != nil {
			t.Fatalf("accepted, but not assembled: %v", err)
		}
		if p.Type() == chain.TypeMsg {
			return
		}
		s, err := ethereum.DecodeSigned(out)
		if err != nil {
			t.Fatal(err)
		}
		if digest := s.Digest(); !bytes.Equal(digest[:], p.Tasks()[0].Digest) {
			t.Fatalf("judged digest %x, signed digest %x", p.Tasks()[0].Digest, digest)
		}
	})
}

func FuzzSigned(f *testing.F) {
	for _, payload := range [][]byte{
		txJSON(), unhex(f, example155), unhex(f, "e9"+strings.TrimSuffix(example155[2:], "018080")), rlp2(f, nil, nil, "f838f794"+strings.ToLower(token[2:])+"e1a0"+word("5")),
		txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x1"`, "type", `"0x1"`), txJSON("to", "", "data", `"0x60"`),
	} {
		f.Add(assembled(f, payload))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ethereum.DecodeSigned(raw)
		if err != nil {
			if !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
			return
		}
		if again := s.Reencode(); !bytes.Equal(again, raw) {
			t.Fatalf("accepted %x, whose canonical form is %x", raw, again)
		}
		_, _ = s.Sender()
		_ = s.Check(1)
	})
}

func FuzzCall(f *testing.F) {
	for i, words := range [][]string{
		{addressWord(bob), word("1")},
		{addressWord(alice), addressWord(bob), word("2a")},
		{addressWord(bob), strings.Repeat("f", 64)},
		{addressWord(alice), addressWord(bob), word("2a")},
		{addressWord(alice), addressWord(bob), word("2a"), word("80"), word("2"), "beef" + strings.Repeat("0", 60)},
		{addressWord(bob), word("1")},
	} {
		f.Add(uint8(i), unhex(f, strings.Join(words, "")))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := ethereum.Methods[int(which)%len(ethereum.Methods)]
		args, ok := ethereum.DecodeArgs(m.Params(), data)
		if ok && !bytes.Equal(m.EncodeArgs(args), data) {
			t.Fatalf("%s: accepted %x, whose strict form is %x", m.Name(), data, m.EncodeArgs(args))
		}
		call := callJSON(append(append([]byte{}, m.Selector()...), data...))
		if in := parse(t, call).Intent(); in.Call.Name != "" != ok {
			t.Fatalf("%s %s: decoded %v, intent %q", m.Name(), hex.EncodeToString(data), ok, in.Sentence)
		}
	})
}
