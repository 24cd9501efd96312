package software_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore/keystoretest"
	"keyward/internal/seal"
	"keyward/internal/store"
)

// What a library takes for one signature, MAC or encryption of 32 bytes.
func BenchmarkPrimitive(b *testing.B) {
	digest := sha256.Sum256(nil)
	bench := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for spec, c := range map[key.Spec]elliptic.Curve{key.P256: elliptic.P256(), key.P384: elliptic.P384(), key.P521: elliptic.P521()} {
		private, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		hash := spec.Algorithms(key.SignVerify)[0].Hash()
		long := make([]byte, hash.Size())
		bench(string(spec), func() error { _, err := private.Sign(nil, long, hash); return err })
	}
	curve, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		b.Fatal(err)
	}
	bench(string(key.Secp256k1), func() error { secp256k1ecdsa.SignCompact(curve, digest[:], false); return nil })
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	bench(string(key.Ed25519), func() error { ed25519.Sign(edwards, digest[:]); return nil })
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	bench(string(key.RSA2048), func() error { _, err := rsa.SignPKCS1v15(nil, big, crypto.SHA256, digest[:]); return err })
	x, err := seal.NewX(digest[:])
	if err != nil {
		b.Fatal(err)
	}
	bench(string(key.AES256), func() error { _, err := x.Seal(nil, rand.Reader, digest[:], digest[:]); return err })
	bench(string(key.HMAC256), func() error {
		h := hmac.New(sha256.New, digest[:])
		h.Write(digest[:])
		h.Sum(nil)
		return nil
	})
}

var benchSpecs = []key.Key{
	{Spec: key.P256}, {Spec: key.P384}, {Spec: key.P521}, {Spec: key.Secp256k1}, {Spec: key.Ed25519}, {Spec: key.RSA2048}, {Spec: key.AES256}, {Spec: key.HMAC256},
}

// order is what a Permit to use k on 32 bytes permits.
func order(b testing.TB, k key.Key, context ...chain.Pair) journal.Order {
	b.Helper()
	verb := map[key.Usage]key.Verb{key.SignVerify: key.Sign, key.EncryptDecrypt: key.Encrypt, key.GenerateVerifyMAC: key.MAC}[k.Usage]
	alg := k.Spec.Algorithms(k.Usage)[0]
	p, err := chain.ParsePlain(verb, chain.TypeMsg, alg.Hash(), make([]byte, 32), context)
	if err != nil {
		b.Fatal(err)
	}
	return journal.Order{Key: key.Ref{ID: k.ID, Version: 1}, Verb: verb, Algorithm: alg, Parsed: p}
}

func (w *world) bench(b *testing.B, o journal.Order) {
	b.ReportAllocs()
	for b.Loop() {
		m, err := w.Obey(context.Background(), o)
		if err != nil {
			b.Fatal(err)
		}
		m.Secret.Destroy()
	}
}

// What the keystore takes, with its check, when the key is ready.
func BenchmarkUse(b *testing.B) {
	w := newWorld(b, 0)
	for _, k := range benchSpecs {
		k = w.create(b, k)
		b.Run(string(k.Spec), func(b *testing.B) { w.bench(b, order(b, k)) })
	}
	k := w.create(b, key.Key{Spec: key.AES256})
	b.Run("AES_256/context", func(b *testing.B) {
		w.bench(b, order(b, k, chain.Pair{Name: "purpose", Value: "payroll"}, chain.Pair{Name: "tenant", Value: "42"}))
	})
	o := order(b, k)
	sealed, err := w.Obey(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	o.Verb = key.Decrypt
	if o.Parsed, err = chain.ParsePlain(key.Decrypt, chain.TypeMsg, 0, sealed.Output, nil); err != nil {
		b.Fatal(err)
	}
	b.Run("AES_256/decrypt", func(b *testing.B) { w.bench(b, o) })
	curve := w.create(b, key.Key{Spec: key.Secp256k1, Domain: key.Ethereum})
	b.Run("ethereum", func(b *testing.B) {
		w.bench(b, journal.Order{
			Key: key.Ref{ID: curve.ID, Version: 1}, Verb: key.SignTransaction, Algorithm: key.EthereumKeccak, Parsed: keystoretest.Digests(b, chain.Transaction, 1),
		})
	})
}

// The same by many callers at once, on one key and on many.
func BenchmarkUseParallel(b *testing.B) {
	w := newWorld(b, 0)
	var orders []journal.Order
	for range 64 {
		orders = append(orders, order(b, w.create(b, key.Key{Spec: key.AES256})))
	}
	for _, n := range []int{1, len(orders)} {
		b.Run(fmt.Sprintf("AES_256/%d keys", n), func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := w.Obey(context.Background(), orders[i%n]); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// What it takes when the key must be read, unsealed and prepared first.
func BenchmarkUseCold(b *testing.B) {
	w := newWorld(b, 1)
	for _, k := range benchSpecs {
		two := []journal.Order{order(b, w.create(b, k)), order(b, w.create(b, k))}
		b.Run(string(k.Spec), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := w.Obey(context.Background(), two[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What it takes to make a key, without and with its commit.
func BenchmarkGenerate(b *testing.B) {
	w := newWorld(b, 0)
	for _, spec := range []key.Spec{key.AES256, key.HMAC256, key.P256, key.P384, key.Secp256k1, key.Ed25519} {
		k := w.create(b, key.Key{Spec: spec})
		b.Run(string(spec), func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Generate(context.Background(), k, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	k := w.create(b, key.Key{Spec: key.P256})
	b.Run("64 rows in a commit", func(b *testing.B) {
		for b.Loop() {
			w.Commit(func(tx *store.Tx) error {
				for range 64 {
					k.ID = key.IDOf([16]byte(random16(b)))
					birth, err := w.Generate(context.Background(), k, 1)
					if err == nil {
						err = birth.Put(tx)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/key")
	})
}

func random16(b *testing.B) []byte {
	r := random32(b, 0)
	return r[:16]
}
