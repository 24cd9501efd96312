package audit_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"keyward/internal/audit"
)

// Notes lie anywhere in a damaged file, also across what is read at once.
func TestSalvageFindsTheNewestCheckpoint(t *testing.T) {
	all, _ := entries(audit.Position{}, 40)
	older, newer := newMemory(t, all[:9]).note, newMemory(t, all).note // 9 sorts behind 40 as text
	noise := rand.NewChaCha8([32]byte{})
	for _, at := range []int{0, 1 << 20, 1<<20 - 1, 1<<20 - 1024, 1<<20 - 100, 3<<20 - len(newer)} {
		for _, order := range [][2][]byte{{older, newer}, {newer, older}} {
			file := make([]byte, 3<<20)
			noise.Read(file)
			copy(file[500_000:], order[1])
			copy(file[at:], order[0])
			got, err := audit.Salvage(iotest.HalfReader(bytes.NewReader(file)))
			if err != nil || !bytes.Equal(got, newer) {
				t.Errorf("at %d: got %q, %v; want the note of %d records", at, got, err, len(all))
			}
		}
	}
	for _, none := range [][]byte{nil, []byte("keyward/"), newer[:len(newer)-1], bytes.Replace(newer, []byte("\n40\n"), []byte("\n-1\n"), 1)} {
		if got, err := audit.Salvage(bytes.NewReader(none)); got != nil || err != nil {
			t.Errorf("%q: got %q, %v; want nothing", none, got, err)
		}
	}
}

func FuzzSalvage(f *testing.F) {
	for i := range 3 {
		f.Add(fmt.Appendf(nil, "xkeyward/0123456789abcdef\n%d\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— keyward/0123456789abcdef AAAAAAAAAAAAAAAAAAAAAAAA\n", i))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		note, err := audit.Salvage(bytes.NewReader(b))
		if err != nil || !bytes.Contains(b, note) {
			t.Errorf("got %q, %v", note, err)
		}
	})
}
