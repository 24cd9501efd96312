package secret_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"keyward/internal/secret"
)

// sizes are the edges of the arena's classes, and some mappings of their own.
var sizes = []int{1, 31, 32, 33, 64, 65, 1000, 2049, 4096, 4097, 70_000}

func filled(n int) secret.Bytes {
	b := secret.New(n)
	fill(b.View(), 0xa5)
	return b
}

func fill(b []byte, with byte) {
	for i := range b {
		b[i] = with
	}
}

// zero reports whether b is all zeros; b may be a view of a destroyed secret.
func zero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

func TestNewIsZeroAndExactlyAsLong(t *testing.T) {
	for _, n := range sizes {
		for range 3 { // fresh memory, and memory that was another's
			b := secret.New(n)
			if b.Len() != n || len(b.View()) != n || cap(b.View()) != n {
				t.Fatalf("New(%d): got length %d, capacity %d", n, b.Len(), cap(b.View()))
			}
			if !zero(b.View()) {
				t.Fatalf("New(%d): got bytes of another secret", n)
			}
			fill(b.View(), 0xff)
			b.Destroy()
		}
	}
}

func TestEmpty(t *testing.T) {
	destroyed := filled(8)
	destroyed.Destroy()
	for name, b := range map[string]secret.Bytes{
		"zero value": {}, "New(0)": secret.New(0), "Take(nil)": secret.Take(nil),
		"clone": secret.Bytes{}.Clone(), "destroyed": destroyed,
	} {
		if !b.IsZero() || b.Len() != 0 || b.View() != nil {
			t.Errorf("%s: got IsZero %v, Len %d, want an empty secret", name, b.IsZero(), b.Len())
		}
		if b.Equal(b) || b.Equal(secret.Bytes{}) {
			t.Errorf("%s equals an empty secret, want two missing secrets never to match", name)
		}
		b.Destroy()
	}
}

func TestTakeWipesItsArgument(t *testing.T) {
	plain := []byte("correct horse battery staple")
	want := bytes.Clone(plain)
	b := secret.Take(plain)
	defer b.Destroy()
	if !bytes.Equal(b.View(), want) {
		t.Errorf("got %q, want %q", b.View(), want)
	}
	if !zero(plain) {
		t.Errorf("argument after Take: got %q, want zeros", plain)
	}
}

func TestEqualAndClone(t *testing.T) {
	a, err := secret.Random(rand.Reader, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Destroy()
	b := a.Clone()
	defer b.Destroy()
	if !a.Equal(b) || !b.Equal(a) {
		t.Error("a clone does not equal its original")
	}
	b.View()[31] ^= 1
	if a.Equal(b) {
		t.Error("secrets that differ in one bit are equal, or a clone shares memory")
	}
	if a.Equal(secret.Bytes{}) {
		t.Error("a secret equals the empty one")
	}
}

func TestRandomFailsWithItsSource(t *testing.T) {
	if _, err := secret.Random(strings.NewReader("short"), 32); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestReadIsBounded(t *testing.T) {
	for _, n := range append(sizes, 0, 511, 512, 513, 1024) {
		text := bytes.Repeat([]byte{7}, n)
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(text), "byte by byte": iotest.OneByteReader(bytes.NewReader(text)),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(text)),
		} {
			b, err := secret.Read(r, n)
			if err != nil || !bytes.Equal(b.View(), text) {
				t.Fatalf("%d bytes, %s: got %d bytes, error %v", n, name, b.Len(), err)
			}
			b.Destroy()
		}
		if n == 0 {
			continue
		}
		if b, err := secret.Read(bytes.NewReader(text), n-1); !errors.Is(err, secret.ErrTooLong) || !b.IsZero() {
			t.Errorf("%d bytes where %d are allowed: got %v, want %v", n, n-1, err, secret.ErrTooLong)
		}
	}
	broken := errors.New("broken")
	if b, err := secret.Read(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 99); err != broken || !b.IsZero() {
		t.Errorf("got %v, want %v", err, broken)
	}
}

// keeper remembers the memory that it was read into.
type keeper struct {
	io.Reader
	seen [][]byte
}

func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.seen = append(k.seen, p[:n])
	return n, err
}

func TestReadLeavesNoCopyBehind(t *testing.T) {
	k := &keeper{Reader: strings.NewReader(strings.Repeat("s", 3000))}
	b, err := secret.Read(k, 3000)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range k.seen[:len(k.seen)-2] { // the last two: data in the final memory, end of file
		if !zero(p) {
			t.Errorf("read %d: its buffer was not wiped when it was outgrown", i)
		}
	}
	b.Destroy()
	k = &keeper{Reader: strings.NewReader(strings.Repeat("s", 3000))}
	if _, err := secret.Read(k, 100); err == nil {
		t.Fatal("got no error")
	}
	for i, p := range k.seen {
		if !zero(p) {
			t.Errorf("too long, read %d: its buffer was not wiped", i)
		}
	}
}

func TestWipedAfterDestroy(t *testing.T) {
	for _, n := range sizes {
		if n > 4096 {
			continue // its memory is unmapped: see TestLargeSecretsLeaveNoMapping
		}
		b := filled(n)
		copied, view := b, b.View()
		b.Destroy()
		if !zero(view) {
			t.Errorf("%d bytes: not wiped by Destroy", n)
		}
		if copied.View() != nil || copied.Len() != 0 {
			t.Errorf("%d bytes: a copy of the handle still sees them", n)
		}
	}
}

func leak() (view []byte) { return filled(48).View() }

func TestLeakedSecretIsWiped(t *testing.T) {
	view := leak()
	for end := time.Now().Add(5 * time.Second); !zero(view); runtime.GC() {
		if time.Now().After(end) {
			t.Fatal("not wiped although nothing points to it any more")
		}
	}
}

func TestDestroyTwiceFreesOnce(t *testing.T) {
	for range 200 {
		b := filled(100)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(b.Destroy)
		}
		wg.Wait()
		// Freed twice, one slot would be given to two.
		c, d := secret.New(100), secret.New(100)
		if &c.View()[0] == &d.View()[0] {
			t.Fatal("two secrets share memory after a double Destroy")
		}
		c.Destroy()
		d.Destroy()
	}
}

func TestDestroyReturnsWiped(t *testing.T) {
	for range 200 {
		b := filled(4096)
		view := b.View()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				b.Destroy()
				if !zero(view) {
					t.Error("Destroy returned while another one was still wiping")
				}
			})
		}
		wg.Wait()
	}
}

func TestConcurrentSecretsNeverOverlap(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				a, b := secret.New(sizes[i%len(sizes)]), secret.New(32)
				fill(a.View(), byte(g+1))
				fill(b.View(), byte(g+1))
				runtime.Gosched()
				for _, s := range []secret.Bytes{a, b} {
					if bytes.Count(s.View(), []byte{byte(g + 1)}) != s.Len() {
						t.Error("a secret was overwritten by another")
					}
					s.Destroy()
				}
			}
		})
	}
	wg.Wait()
}

func TestViewBesideDestroyIsNilOrWhole(t *testing.T) {
	for range 100 {
		b := secret.New(32)
		var wg sync.WaitGroup
		wg.Go(b.Destroy)
		wg.Go(func() {
			if v := b.View(); v != nil && len(v) != 32 {
				t.Errorf("got %d bytes, want 32 or nil", len(v))
			}
		})
		wg.Wait()
	}
}

func TestDoRunsAndPassesPanicsOn(t *testing.T) {
	ran := false
	secret.Do(func() { ran = true })
	if !ran {
		t.Error("Do did not call its function")
	}
	defer func() {
		if recover() != "loud" {
			t.Error("the panic of the function was lost")
		}
	}()
	secret.Do(func() { panic("loud") })
}

func TestComparisonDoesNotCompile(t *testing.T) {
	if reflect.TypeFor[secret.Bytes]().Comparable() {
		t.Error("secret.Bytes is comparable")
	}
	fset := token.NewFileSet()
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	check := func(expr string) error {
		source := "package p\nimport \"keyward/internal/secret\"\nfunc f(a, b secret.Bytes) any { return " + expr + " }"
		file, err := parser.ParseFile(fset, "p.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conf.Check("p", fset, []*ast.File{file}, nil)
		return err
	}
	if err := check("a.Equal(b)"); err != nil {
		t.Fatalf("a.Equal(b): %v", err)
	}
	for _, expr := range []string{"a == b", "a != secret.Bytes{}", "map[secret.Bytes]bool{a: true}"} {
		if err := check(expr); err == nil || !strings.Contains(err.Error(), "compar") && !strings.Contains(err.Error(), "map key") {
			t.Errorf("%s: got %v, want it refused as a comparison", expr, err)
		}
	}
}

func BenchmarkNewDestroy(b *testing.B) {
	for _, n := range []int{32, 1 << 10, 4 << 10, 64 << 10} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				secret.New(n).Destroy()
			}
		})
	}
	b.Run("32/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				secret.New(32).Destroy()
			}
		})
	})
}
