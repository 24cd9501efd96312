package key_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"reflect"
	"strings"
	"testing"

	"keyward/internal/key"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublicKeysSurviveTheirEncoding(t *testing.T) {
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"Ed25519": edwards, "RSA": &small.PublicKey}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		all[c.Params().Name] = &k.PublicKey
	}
	for name, public := range all {
		p, err := key.MarshalPublic(public)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Parse()
		if err != nil || !reflect.DeepEqual(got, public) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		block, rest := pem.Decode([]byte(p.PEM()))
		if block == nil || block.Type != "PUBLIC KEY" || !bytes.Equal(block.Bytes, p) || len(rest) != 0 {
			t.Errorf("%s: got PEM %q", name, p.PEM())
		}
		if p.Hash() != sha256.Sum256(p) {
			t.Errorf("%s: its hash is not SHA-256 of the DER", name)
		}
		if _, err := p.Secp256k1(); err == nil {
			t.Errorf("%s is taken for secp256k1", name)
		}
	}
	var none key.Public
	if none.PEM() != "" || none.Hash() != sha256.Sum256(nil) {
		t.Error("a symmetric key has a PEM, or another hash than that of nothing")
	}
}

func TestOtherPublicKeysAreRefused(t *testing.T) {
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []any{nil, x.PublicKey(), []byte{1}, "key", ed25519.PrivateKey{}, rsa.PublicKey{}} {
		if p, err := key.MarshalPublic(public); err == nil {
			t.Errorf("%T: got %x", public, p)
		}
	}
	k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good, err := key.MarshalPublic(ed25519.PublicKey(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]key.Public{
		"P-224": p224, "empty": nil, "junk": {1, 2, 3}, "more behind it": append(bytes.Clone(good), 0), "cut": good[:len(good)-1],
	} {
		if got, err := p.Parse(); err == nil {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// The generator of the curve (SEC 2, section 2.4.1), as OpenSSL encodes it.
const generator = "3056301006072a8648ce3d020106052b8104000a034200" +
	"0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" +
	"483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"

func TestSecp256k1SurvivesItsEncoding(t *testing.T) {
	want := unhex(t, generator)
	point := [65]byte(want[len(want)-65:])
	p, err := key.MarshalSecp256k1(point)
	if err != nil || !bytes.Equal(p, want) {
		t.Errorf("got %x, %v, want %x", p, err, want)
	}
	got, err := p.Secp256k1()
	if err != nil || got != point {
		t.Errorf("got %x, %v, want %x", got, err, point)
	}
	if !strings.HasPrefix(p.PEM(), "-----BEGIN PUBLIC KEY-----\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE") {
		t.Errorf("got %s", p.PEM())
	}
	if _, err := p.Parse(); err == nil {
		t.Error("the standard library has learned secp256k1: drop the code here")
	}
}

func TestSecp256k1IsReadStrictly(t *testing.T) {
	good := generator
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, s := range map[string]string{
		"empty": "", "cut": good[:len(good)-2], "more behind it": good + "00", "compressed": swap("0004", "0002"), "hybrid": swap("0004", "0006"),
		"P-256": swap("06052b8104000a", "06052b81040022"), "another algorithm": swap("2a8648ce3d0201", "2a8648ce3d0202"),
		"unused bits": swap("034200", "034201"), "length in long form": swap("3056", "308156"), "no curve": swap("301006072a8648ce3d020106052b8104000a", "300906072a8648ce3d0201"),
		"null for a curve": swap("06052b8104000a", "0500"),
	} {
		if point, err := key.Public(unhex(t, s)).Secp256k1(); err == nil {
			t.Errorf("%s: got %x", name, point)
		}
	}
}

func FuzzPublic(f *testing.F) {
	good, err := hex.DecodeString(generator)
	if err != nil {
		f.Fatal(err)
	}
	edwards, err := key.MarshalPublic(ed25519.PublicKey(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	p256, err := key.MarshalPublic(&k.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{good, edwards, p256, nil, good[:23]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := key.Public(b)
		if point, err := p.Secp256k1(); err == nil {
			again, err := key.MarshalSecp256k1(point)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("secp256k1: got %x back, %v, want %x", again, err, b)
			}
		}
		if public, err := p.Parse(); err == nil {
			if _, err := key.MarshalPublic(public); err != nil {
				return // a kind that keyward has no keys of
			}
		}
	})
}
