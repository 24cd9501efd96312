package keystore_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/seal"
)

// The vector of docs/formats/ciphertext.md.
const goldenKey key.ID = "key_01hf7zfz40041061050r3gg28a"

const (
	goldenHeader   = "6b7701018bcff7fc800102030405060708090a0000000301"
	goldenAAD      = "83756b6579776172642f636970686572746578742f763158186b7701018bcff7fc800102030405060708090a0000000301a262746f645a6fc3ab66616d6f756e746135"
	goldenEnvelope = "6b7701018bcff7fc800102030405060708090a0000000301222222222222222222222222222222222222222222222222a98db136e1b63540e434849a5d6c6b5eced4231f3c6edaced5202049f9c8"
)

var goldenContext = []chain.Pair{{Name: "amount", Value: "5"}, {Name: "to", Value: "Zoë"}}

func golden(t testing.TB) keystore.Envelope {
	t.Helper()
	e, err := keystore.ParseEnvelope(unhex(t, goldenEnvelope))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEnvelopeFollowsItsFormat(t *testing.T) {
	e := keystore.Envelope{Key: key.Ref{ID: goldenKey, Version: 3}, Algorithm: key.XAES256GCM}
	header, err := e.Header()
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(header[:]); got != goldenHeader {
		t.Errorf("header: got %s, want %s", got, goldenHeader)
	}
	aad := keystore.AssociatedData(header, goldenContext)
	if got := hex.EncodeToString(aad); got != goldenAAD {
		t.Errorf("associated data: got %s, want %s", got, goldenAAD)
	}
	body, err := seal.XSeal(bytes.Repeat([]byte{0x11}, 32), bytes.NewReader(bytes.Repeat([]byte{0x22}, 24)), []byte("attack at dawn"), aad)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(append(header[:], body...)); got != goldenEnvelope {
		t.Errorf("envelope: got %s, want %s", got, goldenEnvelope)
	}
	parsed := golden(t)
	if parsed.Key != e.Key || parsed.Algorithm != e.Algorithm || !bytes.Equal(parsed.Body, body) {
		t.Errorf("got %+v", parsed)
	}
}

func TestAssociatedDataIsCanonicalCBOR(t *testing.T) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	header := [keystore.EnvelopeHeader]byte([]byte(strings.Repeat("h", keystore.EnvelopeHeader)))
	many := map[string]string{}
	for i := range 16 {
		many[strings.Repeat("n", i%5+1)+string(rune('a'+i))] = strings.Repeat("v", i*20)
	}
	for name, context := range map[string]map[string]string{
		"none": {}, "one": {"a": "b"}, "length before letters": {"b": "1", "aa": "2", "": "3"}, "many": many,
		"long": {strings.Repeat("n", 23): "", strings.Repeat("n", 24): "x", strings.Repeat("n", 255): "y", strings.Repeat("n", 256): strings.Repeat("v", 4000)},
	} {
		var pairs []chain.Pair
		for _, n := range slices.Sorted(maps.Keys(context)) {
			pairs = append(pairs, chain.Pair{Name: n, Value: context[n]})
		}
		want, err := mode.Marshal([]any{string(seal.Ciphertext), header[:], context})
		if err != nil {
			t.Fatal(err)
		}
		if got := keystore.AssociatedData(header, pairs); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
}

// RSA envelopes have associated data as the label of OAEP.
func TestEnvelopeOfRSA(t *testing.T) {
	e := keystore.Envelope{Key: key.Ref{ID: goldenKey, Version: 1}, Algorithm: key.RSAOAEPSHA256}
	header, err := e.Header()
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	label := keystore.AssociatedData(header, nil)
	body, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &private.PublicKey, []byte("m"), label)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := keystore.ParseEnvelope(append(header[:], body...))
	if err != nil || parsed.Algorithm != e.Algorithm || len(parsed.Body) != 256 {
		t.Errorf("got %+v, %v", parsed, err)
	}
}

func TestEnvelopeIsReadStrictly(t *testing.T) {
	good := unhex(t, goldenEnvelope)
	change := func(at int, b ...byte) []byte { return slices.Replace(slices.Clone(good), at, at+len(b), b...) }
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"nothing", "header", nil},
		{"header alone", "body", good[:keystore.EnvelopeHeader]},
		{"too short for a tag", "body", good[:keystore.EnvelopeHeader+39]},
		{"another magic", "magic", change(0, 'K')},
		{"a future format", "format", change(2, 2)},
		{"version zero", "key version", change(19, 0, 0, 0, 0)},
		{"algorithm zero", "algorithm", change(23, 0)},
		{"unknown algorithm", "algorithm", change(23, 3)},
		{"a block of no RSA", "body", change(23, 2)},
		{"too long", "more than", append(slices.Clone(good), make([]byte, chain.MaxPayload)...)},
	} {
		_, err := keystore.ParseEnvelope(c.b)
		if !errors.Is(err, keystore.ErrEnvelope) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %v that names %q", c.name, err, keystore.ErrEnvelope, c.want)
		}
	}
}

func TestNoHeaderForWhatHasNone(t *testing.T) {
	for name, e := range map[string]keystore.Envelope{
		"no key":     {Key: key.Ref{Version: 1}, Algorithm: key.XAES256GCM},
		"no version": {Key: key.Ref{ID: goldenKey}, Algorithm: key.XAES256GCM},
		"signature":  {Key: key.Ref{ID: goldenKey, Version: 1}, Algorithm: key.ECDSASHA256},
	} {
		if _, err := e.Header(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzParseEnvelope(f *testing.F) {
	good, err := hex.DecodeString(goldenEnvelope)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:keystore.EnvelopeHeader])
	f.Add([]byte("kw\x01"))
	rsaBlock := append(slices.Clone(good[:keystore.EnvelopeHeader]), make([]byte, 256)...)
	rsaBlock[23] = 2
	f.Add(rsaBlock)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := keystore.ParseEnvelope(b)
		if err != nil {
			if !errors.Is(err, keystore.ErrEnvelope) {
				t.Fatalf("got %v, want %v", err, keystore.ErrEnvelope)
			}
			return
		}
		header, err := e.Header()
		if err != nil {
			t.Fatal(err)
		}
		if got := append(header[:], e.Body...); !bytes.Equal(got, b) {
			t.Fatalf("got %x back, want %x", got, b)
		}
	})
}
