package software_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/keystore/software"
)

var curves = map[string]*software.Curve256{"P-256": software.CurveP256, "secp256k1": software.CurveSecp256k1}

func unhex32(t testing.TB, s string) (b [32]byte) {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(b) {
		t.Fatalf("%q: %v", s, err)
	}
	return [32]byte(raw)
}

// edges are numbers at which carries and reductions go wrong, below 2²⁵⁶.
func edges(n *big.Int) []*big.Int {
	all := []*big.Int{big.NewInt(0), big.NewInt(1), big.NewInt(2)}
	for _, at := range []*big.Int{n, new(big.Int).Rsh(n, 1), new(big.Int).Lsh(big.NewInt(1), 64), new(big.Int).Lsh(big.NewInt(1), 128),
		new(big.Int).Lsh(big.NewInt(1), 192), new(big.Int).Lsh(big.NewInt(1), 255), new(big.Int).Lsh(big.NewInt(1), 256)} {
		for _, d := range []int64{-2, -1, 0, 1, 2} {
			if x := new(big.Int).Add(at, big.NewInt(d)); x.BitLen() <= 256 {
				all = append(all, x)
			}
		}
	}
	for range 200 {
		x, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 256))
		if err != nil {
			panic(err)
		}
		all = append(all, x)
	}
	return all
}

func TestScalarsAgreeWithMathBig(t *testing.T) {
	for name, c := range curves {
		n := c.Order()
		for _, x := range edges(n) {
			if got, want := c.Reduce(x), new(big.Int).Mod(x, n); got.Cmp(want) != 0 {
				t.Fatalf("%s: %x mod n: got %x, want %x", name, x, got, want)
			}
			x = new(big.Int).Mod(x, n)
			for _, y := range edges(n)[:60] {
				y = new(big.Int).Mod(y, n)
				if got, want := c.Product(x, y), new(big.Int).Mod(new(big.Int).Mul(x, y), n); got.Cmp(want) != 0 {
					t.Fatalf("%s: %x · %x: got %x, want %x", name, x, y, got, want)
				}
				if got, want := c.Sum(x, y), new(big.Int).Mod(new(big.Int).Add(x, y), n); got.Cmp(want) != 0 {
					t.Fatalf("%s: %x + %x: got %x, want %x", name, x, y, got, want)
				}
			}
			if x.Sign() == 0 {
				continue
			}
			if got, want := c.Inverse(x), new(big.Int).ModInverse(x, n); got.Cmp(want) != 0 {
				t.Fatalf("%s: 1/%x: got %x, want %x", name, x, got, want)
			}
		}
	}
}

// RFC 6979, appendix A.2.5: P-256 with SHA-256.
func TestECDSAFollowsRFC6979(t *testing.T) {
	d := unhex32(t, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
	for message, want := range map[string][2]string{
		"sample": {"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
		"test":   {"f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367", "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
	} {
		r, s, _ := software.CurveP256.Sign(d, sha256.Sum256([]byte(message))).Parts()
		if r != unhex32(t, want[0]) || s != unhex32(t, want[1]) {
			t.Errorf("%s: got %x, %x, want %v", message, r, s, want)
		}
	}
}

func TestECDSAAgreesWithTheLibraries(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for i := range rounds {
		compareP256(t, random32(t, i), random32(t, i+1))
		compareSecp256k1(t, random32(t, i), random32(t, i+1))
	}
}

// random32 is random, but for some values of i all zeros, all ones or nearly.
func random32(t testing.TB, i int) (b [32]byte) {
	t.Helper()
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	switch i % 97 {
	case 3:
		clear(b[:])
	case 5:
		clear(b[:31])
	case 7:
		b = [32]byte(bytes.Repeat([]byte{0xff}, 32))
	}
	return b
}

// scalarOf makes a private key of any 32 bytes.
func scalarOf(c *software.Curve256, b [32]byte) (d [32]byte) {
	x := new(big.Int).Mod(new(big.Int).SetBytes(b[:]), new(big.Int).Sub(c.Order(), big.NewInt(1)))
	x.Add(x, big.NewInt(1)).FillBytes(d[:])
	return d
}

func compareP256(t testing.TB, seed, digest [32]byte) {
	t.Helper()
	d := scalarOf(software.CurveP256, seed)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		t.Fatal(err)
	}
	want, err := private.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	sig := software.CurveP256.Sign(d, digest)
	if !bytes.Equal(sig.DER(), want) {
		t.Fatalf("P-256, d %x, digest %x: got %x, want %x", d, digest, sig.DER(), want)
	}
	if !software.CurveP256.Again(sig, d, digest) {
		t.Fatalf("P-256, d %x, digest %x: the check finds a right signature wrong", d, digest)
	}
}

func compareSecp256k1(t testing.TB, seed, digest [32]byte) {
	t.Helper()
	d := scalarOf(software.CurveSecp256k1, seed)
	private := secp256k1.PrivKeyFromBytes(d[:])
	sig := software.CurveSecp256k1.Sign(d, digest)
	r, s, v := sig.Parts()
	got := append(append([]byte{27 + v}, r[:]...), s[:]...)
	// The library does not reduce a digest above the order before it derives the
	// nonce, as RFC 6979, section 2.3.4, wants. A digest is that once in 2¹²⁸.
	if software.CurveSecp256k1.Order().Cmp(new(big.Int).SetBytes(digest[:])) > 0 {
		if want := secp256k1ecdsa.SignCompact(private, digest[:], false); !bytes.Equal(got, want) {
			t.Fatalf("secp256k1, d %x, digest %x: got %x, want %x", d, digest, got, want)
		}
	}
	recovered, _, err := secp256k1ecdsa.RecoverCompact(got, digest[:])
	if err != nil || !recovered.IsEqual(private.PubKey()) {
		t.Fatalf("secp256k1, d %x, digest %x: recovered another key, %v", d, digest, err)
	}
	if !software.CurveSecp256k1.Again(sig, d, digest) {
		t.Fatalf("secp256k1, d %x, digest %x: the check finds a right signature wrong", d, digest)
	}
}

func FuzzECDSA256(f *testing.F) {
	f.Add(make([]byte, 32), make([]byte, 32))
	f.Add(bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0xff}, 32))
	f.Fuzz(func(t *testing.T, seed, digest []byte) {
		if len(seed) != 32 || len(digest) != 32 {
			return
		}
		compareP256(t, [32]byte(seed), [32]byte(digest))
		compareSecp256k1(t, [32]byte(seed), [32]byte(digest))
	})
}

func TestTheCheckFindsEveryWrongBit(t *testing.T) {
	for name, c := range curves {
		d, digest := scalarOf(c, random32(t, 0)), random32(t, 0)
		r, s, v := c.Sign(d, digest).Parts()
		flip := func(b *[32]byte, bit int) { b[bit/8] ^= 1 << (bit % 8) }
		for bit := range 256 {
			for what, b := range map[string]*[32]byte{"r": &r, "s": &s, "the scalar": &d, "the digest": &digest} {
				flip(b, bit)
				if c.Again(software.MakeSignature256(r, s, v), d, digest) {
					t.Errorf("%s: bit %d of %s is wrong and the check finds nothing", name, bit, what)
				}
				flip(b, bit)
			}
		}
		if c.Again(software.MakeSignature256(r, s, v^1), d, digest) {
			t.Errorf("%s: the recovery id is wrong and the check finds nothing", name)
		}
		// n - s verifies as well, and on secp256k1 it is not what keyward makes.
		var other [32]byte
		new(big.Int).Sub(c.Order(), new(big.Int).SetBytes(s[:])).FillBytes(other[:])
		for _, v := range []byte{v, v ^ 1} {
			if c.Again(software.MakeSignature256(r, other, v), d, digest) {
				t.Errorf("%s: s is negated and the check finds nothing", name)
			}
		}
		if !c.Again(software.MakeSignature256(r, s, v), d, digest) {
			t.Errorf("%s: the check finds a right signature wrong", name)
		}
	}
}

func TestSigningPutsNothingOnTheHeap(t *testing.T) {
	for name, c := range curves {
		d, digest := scalarOf(c, random32(t, 0)), random32(t, 0)
		if n := testing.AllocsPerRun(100, func() { c.Again(c.Sign(d, digest), d, digest) }); n != 0 {
			t.Errorf("%s: got %v allocations, want none: they would hold the scalar and the nonce", name, n)
		}
	}
}

func BenchmarkECDSA256(b *testing.B) {
	for name, c := range curves {
		d, digest := scalarOf(c, random32(b, 0)), random32(b, 0)
		b.Run(name+"/sign", func(b *testing.B) {
			for b.Loop() {
				c.Sign(d, digest)
			}
		})
		sig := c.Sign(d, digest)
		b.Run(name+"/check", func(b *testing.B) {
			for b.Loop() {
				if !c.Again(sig, d, digest) {
					b.Fatal("wrong")
				}
			}
		})
	}
}
