package bitcoin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/chaintest"
	"keyward/internal/key"
)

func TestFinalizerAndExtractorVectors(t *testing.T) {
	var v rpcVectors
	readJSON(t, "bitcoin-core/rpc_psbt.json", &v)
	for i, f := range v.Finalizer {
		got, err := bitcoin.Finalize([]byte(f.Finalize))
		if err != nil || base64.StdEncoding.EncodeToString(got) != f.Result {
			t.Errorf("finalizer %d: got %x, %v", i, got, err)
		}
	}
	for i, e := range v.Extractor {
		got, complete, err := bitcoin.Extract([]byte(e.Extract))
		if err != nil || !complete || hex.EncodeToString(got) != e.Result {
			t.Errorf("extractor %d: got %x, %v, %v", i, got, complete, err)
		}
	}
}

// held are private keys, and the paths at which a PSBT's makers put them.
type held struct {
	keys  map[string]chaintest.Signer
	paths map[string][]byte
}

func (h held) Point(master [4]byte, path key.Path) ([]byte, key.Path, bool) {
	p, ok := h.paths[string(master[:])+path.String()]
	return p, path, ok
}

func (h held) sign(task chain.Task) key.Recoverable { return h.keys[string(task.Point)].SignTask(task) }

func TestSignerVectors(t *testing.T) {
	var v rpcVectors
	readJSON(t, "bitcoin-core/rpc_psbt.json", &v)
	for i, s := range v.Signer {
		h := held{map[string]chaintest.Signer{}, map[string][]byte{}}
		for _, wif := range s.Privkeys {
			b, _, err := base58.CheckDecode(wif)
			if err != nil {
				t.Fatal(err)
			}
			point := secp256k1.PrivKeyFromBytes(b[:32]).PubKey().SerializeCompressed()
			h.keys[string(point)] = chaintest.SignerOf(b[:32])
		}
		// The paths of the keys are nowhere but in the PSBT.
		payload, err := base64.StdEncoding.DecodeString(s.PSBT)
		if err != nil {
			t.Fatal(err)
		}
		for point := range h.keys {
			for rest := payload; ; {
				at := bytes.Index(rest, []byte("\x22\x06"+point+"\x10"))
				if at < 0 {
					break
				}
				record := rest[at+36:]
				path := key.Path{}
				for n := range 3 {
					path = append(path, uint32(record[4+4*n])|uint32(record[7+4*n])<<24)
				}
				h.paths[string(record[:4])+path.String()] = []byte(point)
				rest = record
			}
		}
		got, err := bitcoin.SignOnly([]byte(s.PSBT), chain.Ask{Own: h}, h.sign)
		if s.PSBT == s.Result {
			if err == nil {
				t.Errorf("signer %d: signed what nothing was to be added to", i)
			}
			continue
		}
		if err != nil {
			t.Errorf("signer %d: %v", i, err)
			continue
		}
		bare, err := bitcoin.WithoutSignatures(got)
		if err != nil {
			t.Fatal(err)
		}
		want, err := bitcoin.WithoutSignatures([]byte(s.Result))
		if err != nil || !bytes.Equal(bare, want) {
			t.Errorf("signer %d: but for signatures, got %x, want %x, %v", i, bare, want, err)
		}
		if _, err := bitcoin.Finalize(got); err != nil { // reading verifies what is there
			t.Errorf("signer %d: %v", i, err)
		}
	}
}

func TestPSBTIsReadInThreeForms(t *testing.T) {
	w := newTree(t, "forms", "m/84h/0h/0h")
	d := payment(t, w)
	for name, payload := range map[string][]byte{
		"binary": d.bytes(), "base64": d.base64(), "hex": []byte(hex.EncodeToString(d.bytes())), "base64 with white space": append(d.base64(), '\n'),
	} {
		p := parse(t, payload, w.ask(t))
		out, err := p.Assemble(signAll(p, w.sign(t)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		written := map[string]bool{
			"binary": bytes.HasPrefix(out, []byte("psbt\xff")), "base64": bytes.HasPrefix(out, []byte("cHNidP8")), "hex": bytes.HasPrefix(out, []byte("70736274ff")),
		}
		if form, _, _ := strings.Cut(name, " "); !written[form] {
			t.Errorf("%s came back as %.20q", name, out)
		}
		if _, err := chain.Parse(bitcoin.Decoder{}, out, w.ask(t)); !errors.Is(err, chain.ErrSigned) {
			t.Errorf("%s: signed again: %v", name, err)
		}
		if _, err := p.Extract(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownRecordsStayWhereTheyAre(t *testing.T) {
	w := newTree(t, "unknown", "m/84h/0h/0h")
	d := payment(t, w)
	d.global = []pair{{0xfc, []byte("\x07keyward\x00hello"), []byte("world")}, {0x77, []byte("z"), nil}, {0x77, []byte("a"), []byte("b")}}
	d.in[0] = slices.Concat([]pair{{0x99, nil, []byte("before")}}, d.in[0], []pair{{0x55, []byte{1, 2}, []byte("after")}})
	d.out[1] = append([]pair{{0xfc, []byte("\x01x\x05"), nil}}, d.out[1]...)
	again, err := bitcoin.Reencode(d.bytes())
	if err != nil || !bytes.Equal(again, d.bytes()) {
		t.Fatalf("got %x, %v, want %x", again, err, d.bytes())
	}
	p := parse(t, d.bytes(), w.ask(t))
	out, err := p.Assemble(signAll(p, w.sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{"keyward\x00hello", "world", "before", "after"} {
		if !bytes.Contains(out, []byte(kept)) {
			t.Errorf("%q was lost", kept)
		}
	}
}

func TestStrictCodec(t *testing.T) {
	w := newTree(t, "strict", "m/84h/0h/0h")
	for name, c := range map[string]struct {
		change func(*draft) []byte
		want   string
	}{
		"version 2":            {func(d *draft) []byte { d.global = []pair{{0xfb, nil, []byte{2, 0, 0, 0}}}; return d.bytes() }, "version 2 is not supported yet"},
		"key twice":            {func(d *draft) []byte { d.in[0] = append(d.in[0], d.in[0][0]); return d.bytes() }, "input 0: non-witness UTXO: the same key twice"},
		"rest":                 {func(d *draft) []byte { return append(d.bytes(), 1) }, "more bytes than belong to it"},
		"unknown key twice":    {func(d *draft) []byte { d.out[0] = []pair{{0x70, nil, nil}, {0x70, nil, []byte("x")}}; return d.bytes() }, "output 0: record of type 0x70: the same key twice"},
		"no transaction":       {func(d *draft) []byte { return []byte("psbt\xff\x00") }, "no unsigned transaction"},
		"proprietary key":      {func(d *draft) []byte { d.in[0] = append(d.in[0], pair{0xfc, []byte{9, 'x'}, nil}); return d.bytes() }, "input 0: proprietary record: key"},
		"sighash of two bytes": {func(d *draft) []byte { d.in[0] = append(d.in[0], pair{3, nil, []byte{1, 0}}); return d.bytes() }, "input 0: sighash type"},
		"a signed transaction": {func(d *draft) []byte { d.tx.TxIn[0].SignatureScript = []byte{0}; return d.bytes() }, "it has a scriptSig"},
		"length too long": {func(d *draft) []byte {
			b := d.bytes()
			return slices.Concat([]byte("psbt\xff\xfd\x01\x00"), b[6:])
		}, "shortest form"},
		"base64 with bits left": {func(d *draft) []byte { return []byte("cHNidP9=") }, "base64"},
		"base64 in two lines":   {func(d *draft) []byte { b := d.base64(); return slices.Concat(b[:8], []byte("\n"), b[8:]) }, "line break"},
		"hex that ends":         {func(d *draft) []byte { return []byte("70736274ff0") }, "hex"},
	} {
		d := payment(t, w)
		_, err := chain.Parse(bitcoin.Decoder{}, c.change(d), w.ask(t))
		if !errors.Is(err, chain.ErrPayload) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one with %q", name, err, c.want)
		}
	}
}
