package charter_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"keyward/internal/charter"
)

func chain(t testing.TB) (charter.Key, []charter.Signed) {
	t.Helper()
	k, err := charter.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	first, err := k.First([]byte("version: 1\n"), make([]byte, 32), 1000)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.Next(first, []byte("version: 1\nrules: []\n"), 2000)
	if err != nil {
		t.Fatal(err)
	}
	return k, []charter.Signed{first, second}
}

func TestChainVerifies(t *testing.T) {
	_, c := chain(t)
	if err := charter.Verify(c); err != nil {
		t.Fatal(err)
	}
	for i, s := range c {
		got, err := charter.Parse(s.Body, s.Signature)
		if err != nil || got.Hash() != s.Hash() || got.Charter.Version != uint64(i) {
			t.Errorf("version %d does not read back: %v", i, err)
		}
	}
}

func TestForgedChainIsRefused(t *testing.T) {
	k, c := chain(t)
	stranger, other := chain(t)
	foreign, err := stranger.Next(c[0], []byte("version: 1\n"), 3000)
	if err != nil {
		t.Fatal(err)
	}
	older, err := k.Next(c[0], []byte("version: 1\n"), 1)
	if err != nil {
		t.Fatal(err)
	}
	flipped := c[1]
	flipped.Signature = bytes.Clone(flipped.Signature)
	flipped.Signature[3] ^= 1
	for name, bad := range map[string][]charter.Signed{
		"none":                     nil,
		"first missing":            {c[1]},
		"out of order":             {c[1], c[0]},
		"another's first":          {other[0], c[1]},
		"signed by another":        {c[0], foreign},
		"signature flipped":        {c[0], flipped},
		"time runs backwards":      {c[0], older},
		"a version stands twice":   {c[0], c[0]},
		"previous is another body": {c[0], other[1]},
	} {
		if err := charter.Verify(bad); !errors.Is(err, charter.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, c := chain(f)
	f.Add(c[0].Body, c[0].Signature)
	f.Add([]byte{0xa0}, []byte{})
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		s, err := charter.Parse(body, sig)
		if err != nil {
			return
		}
		if s.Hash() == ([32]byte{}) {
			t.Error("hash of nothing")
		}
		_ = charter.Verify([]charter.Signed{s}) // must not panic
	})
}
