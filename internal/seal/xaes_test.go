package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"keyward/internal/seal"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// C2SP XAES-256-GCM, section "Test vectors".
func TestXAESFollowsTheSpecification(t *testing.T) {
	for _, v := range []struct{ name, key, aad, ciphertext string }{
		{"msb 0", "0101010101010101010101010101010101010101010101010101010101010101", "",
			"ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{"msb 1", "0303030303030303030303030303030303030303030303030303030303030303", "c2sp.org/XAES-256-GCM",
			"986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		t.Run(v.name, func(t *testing.T) {
			nonce, plaintext := []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM")
			x, err := seal.NewX(unhex(t, v.key))
			if err != nil {
				t.Fatal(err)
			}
			defer x.Wipe()
			got, err := x.Seal([]byte("before"), bytes.NewReader(nonce), plaintext, []byte(v.aad))
			if err != nil {
				t.Fatal(err)
			}
			want := append([]byte("beforeABCDEFGHIJKLMNOPQRSTUVWX"), unhex(t, v.ciphertext)...)
			if !bytes.Equal(got, want) {
				t.Fatalf("got %x, want %x", got, want)
			}
			opened, err := x.Open([]byte("before"), want[6:], []byte(v.aad))
			if err != nil || string(opened) != "beforeXAES-256-GCM" {
				t.Fatalf("got %q, %v, want the plaintext", opened, err)
			}
		})
	}
}

// C2SP XAES-256-GCM, section "Accumulated randomized tests".
func TestXAESAccumulated(t *testing.T) {
	iterations, want := 10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	if os.Getenv("KEYWARD_TEST_ALL") != "" {
		iterations, want = 1_000_000, "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"
	}
	stream, sum := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	vector := func() []byte {
		var n [1]byte
		stream.Read(n[:])
		b := make([]byte, n[0])
		stream.Read(b)
		return b
	}
	for range iterations {
		var key [seal.KeySize]byte
		var nonce [seal.NonceSize]byte
		stream.Read(key[:])
		stream.Read(nonce[:])
		plaintext, aad := vector(), vector()
		sealed, err := seal.XSeal(key[:], bytes.NewReader(nonce[:]), plaintext, aad)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(sealed[seal.NonceSize:])
		opened, err := seal.XOpen(key[:], sealed, aad)
		if err != nil || !bytes.Equal(opened.View(), plaintext) {
			t.Fatalf("got %v, want the plaintext", err)
		}
		opened.Destroy()
	}
	got := make([]byte, 32)
	sum.Read(got)
	if hex.EncodeToString(got) != want {
		t.Fatalf("got %x, want %s", got, want)
	}
}

func TestXAESRefusesEverythingElse(t *testing.T) {
	key := bytes.Repeat([]byte{7}, seal.KeySize)
	sealed, err := seal.XSeal(key, rand.Reader, []byte("sixteen bytes ok"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != 16+seal.Overhead {
		t.Fatalf("got %d bytes, want %d", len(sealed), 16+seal.Overhead)
	}
	x, err := seal.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 0x20
		if _, err := x.Open(nil, altered, []byte("aad")); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("byte %d altered: got %v, want %v", i, err, seal.ErrOpen)
		}
	}
	for n := range sealed {
		if _, err := x.Open(nil, sealed[:n], []byte("aad")); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("cut to %d bytes: got %v, want %v", n, err, seal.ErrOpen)
		}
	}
	for _, aad := range []string{"", "aa", "aadd", "bad"} {
		if _, err := x.Open(nil, sealed, []byte(aad)); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("aad %q: got %v, want %v", aad, err, seal.ErrOpen)
		}
	}
	for _, n := range []int{0, 16, 24, 31, 33, 64} {
		if _, err := seal.NewX(make([]byte, n)); err == nil {
			t.Fatalf("key of %d bytes: got no error", n)
		}
	}
	if _, err := x.Seal(nil, bytes.NewReader(make([]byte, seal.NonceSize-1)), nil, nil); err == nil {
		t.Fatal("randomness ran dry: got no error")
	}
}

func TestAWipedKeySealsNothing(t *testing.T) {
	x, err := seal.NewX(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := x.Seal(nil, rand.Reader, []byte("m"), nil)
	if err != nil {
		t.Fatal(err)
	}
	x.Wipe()
	x.Wipe()
	if _, err := x.Seal(nil, rand.Reader, []byte("m"), nil); !errors.Is(err, seal.ErrWiped) {
		t.Fatalf("Seal: got %v, want %v", err, seal.ErrWiped)
	}
	if _, err := x.Open(nil, sealed, nil); !errors.Is(err, seal.ErrWiped) {
		t.Fatalf("Open: got %v, want %v", err, seal.ErrWiped)
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	x, err := seal.NewX(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(format, x); got != "[XAES-256-GCM key]" {
			t.Fatalf("%s: got %s", format, got)
		}
	}
}

func FuzzXAESOpen(f *testing.F) {
	key := bytes.Repeat([]byte{7}, seal.KeySize)
	good, err := seal.XSeal(key, stream("fuzz"), []byte("plaintext"), []byte("aad")) // the same in each worker
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, []byte("aad"))
	f.Add(good[:seal.Overhead], []byte{})
	f.Add([]byte{}, []byte{})
	x, err := seal.NewX(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sealed, aad []byte) {
		before := bytes.Clone(sealed)
		out, err := x.Open(nil, sealed, aad)
		if err == nil && (!bytes.Equal(sealed, good) || string(aad) != "aad") {
			t.Fatalf("opened bytes that were never sealed: %x", out)
		}
		if err != nil && out != nil {
			t.Fatal("bytes came out of a failed Open")
		}
		if !bytes.Equal(sealed, before) {
			t.Fatal("Open altered its input")
		}
	})
}

// Run with a heap like a server's: each message allocates its one-time cipher
// (1.3 kB), and in an empty heap the collector would run all the time.
func BenchmarkXAES(b *testing.B) {
	ballast := make([]byte, 64<<20)
	defer runtime.KeepAlive(ballast)
	x, err := seal.NewX(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{32, 4096} {
		plaintext, aad := make([]byte, size), make([]byte, 128)
		var dst []byte
		b.Run(fmt.Sprintf("seal-%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = x.Seal(dst[:0], rand.Reader, plaintext, aad); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("open-%d", size), func(b *testing.B) {
			b.ReportAllocs()
			var out []byte
			for b.Loop() {
				if out, err = x.Open(out[:0], dst, aad); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
