package seed_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

var _ chain.Own = seed.Account{} // what chain asks

func master(t testing.TB, s []byte) *seed.Private {
	t.Helper()
	m, err := seed.Master(locked(t, string(s)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Destroy)
	return m
}

// abandoned is the master key of the words that every device is tested with.
func abandoned(t testing.TB) *seed.Private {
	s := read(t, abandon, "").Seed()
	defer s.Destroy()
	return master(t, s.View())
}

func at(t testing.TB, p *seed.Private, path string) *seed.Private {
	t.Helper()
	for _, n := range parse(t, path) {
		child, err := p.Child(n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(child.Destroy)
		p = child
	}
	return p
}

func parse(t testing.TB, path string) key.Path {
	t.Helper()
	p, err := key.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func public(t testing.TB, p *seed.Private) seed.Public {
	t.Helper()
	x, err := p.Public()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// private is an extended private key as text, for comparison with vectors.
func private(t testing.TB, p *seed.Private) string {
	x := public(t, p)
	x.Key[0] = 0
	copy(x.Key[1:], p.Scalars()[:32])
	return x.Text(seed.Version{0x04, 0x88, 0xad, 0xe4})
}

func TestVectorsOfBIP32(t *testing.T) {
	ran := 0
	for _, v := range bip32 {
		m := master(t, unhex(t, v.seed))
		for _, want := range v.nodes {
			p := at(t, m, want.path)
			if got := public(t, p).Text(seed.XPub); got != want.public {
				t.Errorf("%s: got %s, want %s", want.path, got, want.public)
			}
			if got := private(t, p); got != want.private {
				t.Errorf("%s: got %s, want %s", want.path, got, want.private)
			}
			parsed, version, err := seed.ParsePublic(want.public)
			if err != nil || version != seed.XPub || parsed != public(t, p) {
				t.Errorf("%s: got %+v, %v back", want.path, parsed, err)
			}
			if _, _, err := seed.ParsePublic(want.private); !errors.Is(err, seed.ErrPublic) || !strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("%s: a private key as a public one: got %v", want.path, err)
			}
			ran++
		}
	}
	if ran != 6+6+2+3 {
		t.Errorf("ran %d vectors, want 17", ran)
	}
}

func TestInvalidExtendedKeysAreRefused(t *testing.T) {
	for name, text := range invalid {
		p, _, err := seed.ParsePublic(text)
		if !errors.Is(err, seed.ErrPublic) || p != (seed.Public{}) || strings.Contains(err.Error(), text[:20]) {
			t.Errorf("%s: got %v, want %v", name, err, seed.ErrPublic)
		}
	}
	if len(invalid) != 16 {
		t.Errorf("got %d vectors, want 16", len(invalid))
	}
	good := bip32[0].nodes[1].public
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)-1], "longer": good + "1", "a one in front": "1" + good, "a space": good + " ", "another letter": good[:50] + "0" + good[51:],
		"another case": strings.ToUpper(good), "very long": strings.Repeat(good, 1000), "a checksum alone": "3QJmnh",
	} {
		if _, _, err := seed.ParsePublic(text); !errors.Is(err, seed.ErrPublic) || len(err.Error()) > 200 {
			t.Errorf("%s: got %v, want %v", name, err, seed.ErrPublic)
		}
	}
	p, _, err := seed.ParsePublic(good)
	if err != nil {
		t.Fatal(err)
	}
	if again, version, err := seed.ParsePublic(p.Text(seed.TPub)); err != nil || again != p || version != seed.TPub || p.Text(seed.TPub)[:4] != "tpub" {
		t.Errorf("tpub: got %+v, %v", again, err)
	}
}

// What a Ledger with these words says (APDUs "get extended public key").
func TestDevicesDeriveTheSameAccounts(t *testing.T) {
	m := abandoned(t)
	ran := 0
	var path key.Path
	for line := range strings.Lines(string(shared(t, "hardware/btc-abandon-xpubs.txt"))) {
		b := unhex(t, strings.TrimSpace(line[2:]))
		switch {
		case line[0] == '=' && b[1] == 0x05:
			path = key.Path{}
		case line[0] == '=' && b[1] == 0x00 && len(b) > 6 && b[0] == 0xe1:
			path = key.Path{}
			for rest := b[7:]; len(rest) >= 4; rest = rest[4:] {
				path = append(path, uint32(rest[0])<<24|uint32(rest[1])<<16|uint32(rest[2])<<8|uint32(rest[3]))
			}
		case len(b) == 6 && path != nil:
			if got := public(t, m).Fingerprint(); !bytes.Equal(got[:], b[:4]) {
				t.Errorf("master: got fingerprint %x, want %x", got, b[:4])
			}
			ran++
		case path != nil:
			if got, want := public(t, at(t, m, path.String())).Text(seed.XPub), string(b[:len(b)-2]); got != want {
				t.Errorf("%s: got %s, want %s", path, got, want)
			}
			ran++
		}
	}
	if ran != 6 {
		t.Errorf("ran %d answers, want a fingerprint and 5 keys", ran)
	}
}

func account(t testing.TB, m *seed.Private, path string) seed.Account {
	t.Helper()
	a, err := seed.NewAccount(public(t, at(t, m, path)), public(t, m).Fingerprint(), parse(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestBothHalvesDeriveTheSameKeys(t *testing.T) {
	m := abandoned(t)
	a := account(t, m, "m/84h/0h/0h")
	for i := range uint32(3 * 40) {
		path := key.Path{i % 40, i * i, key.Hardened - 1 - i}[:i%4]
		got, err := a.Child(path)
		if err != nil {
			t.Fatal(err)
		}
		want := public(t, at(t, m, "m/84h/0h/0h"+path.String()[1:]))
		if got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
		full := append(parse(t, "m/84h/0h/0h"), path...)
		point, below, ok := a.Point(a.Master, full)
		if !ok || !bytes.Equal(point, want.Key[:]) || below.String() != path.String() {
			t.Errorf("%s: got %x at %s, %v", full, point, below, ok)
		}
	}
	// BIP-84 prints the keys of these words.
	for path, want := range map[string]string{
		"m/0/0": "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
		"m/0/1": "03e775fd51f0dfb8cd865d9ff1cca2a158cf651fe997fdc9fee9c1d3b5e995ea77",
		"m/1/0": "03025324888e429ab8e3dbaf1f7802648b9cd01e9b418485c5fa4c1b9b5700e1a6",
	} {
		if got, err := a.Child(parse(t, path)); err != nil || hex.EncodeToString(got.Key[:]) != want {
			t.Errorf("%s: got %x, %v, want %s", path, got.Key, err, want)
		}
	}
}

func TestAnAccountOwnsWhatIsBelowItAlone(t *testing.T) {
	m := abandoned(t)
	a := account(t, m, "m/84h/0h/0h")
	for name, c := range map[string]struct {
		master [4]byte
		path   string
	}{
		"another seed": {[4]byte{1}, "m/84h/0h/0h/0/0"}, "another account": {a.Master, "m/84h/0h/1h/0/0"}, "above": {a.Master, "m/84h/0h"},
		"relative": {a.Master, "m/0/0"}, "hardened": {a.Master, "m/84h/0h/0h/0h"}, "hardened in the middle": {a.Master, "m/84h/0h/0h/0h/1"},
	} {
		if point, below, ok := a.Point(c.master, parse(t, c.path)); ok || point != nil || below != nil {
			t.Errorf("%s: got %x at %s", name, point, below)
		}
	}
	if _, err := a.Child(make(key.Path, key.MaxDepth+1)); !errors.Is(err, seed.ErrChild) {
		t.Errorf("very deep: got %v, want %v", err, seed.ErrChild)
	}
	x := public(t, at(t, m, "m/84h/0h/0h"))
	off := x
	off.Key = [33]byte{2, 32: 7} // BIP-32, test vector 5
	for name, c := range map[string]struct {
		p    seed.Public
		path string
	}{
		"another depth": {x, "m/84h/0h"}, "another number": {x, "m/84h/0h/1h"}, "not hardened": {x, "m/84h/0h/0"}, "a point off the curve": {off, "m/84h/0h/0h"},
		"another master": {public(t, at(t, m, "m/0h")), "m"}, "a child of another": {public(t, at(t, master(t, make([]byte, 16)), "m/0h")), "m/0h"},
	} {
		if _, err := seed.NewAccount(c.p, a.Master, parse(t, c.path)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// A service that names ever new keys must not have a server remember them all.
func TestAnAccountRemembersLittle(t *testing.T) {
	a := account(t, abandoned(t), "m/84h/0h/0h")
	for b := range uint32(8) {
		for i := range uint32(1000) {
			if _, err := a.Child(key.Path{b, i}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const most = 4 * 1024 // keys of 128 bytes
	if got := seed.Remembered(a); got == 0 || got > most {
		t.Errorf("got %d keys remembered, want at most %d", got, most)
	}
}

func TestTheTreeEnds(t *testing.T) {
	p := master(t, make([]byte, 64))
	for range 255 {
		child, err := p.Child(key.Hardened)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(child.Destroy)
		p = child
	}
	if _, err := p.Child(0); !errors.Is(err, seed.ErrChild) {
		t.Errorf("private: got %v, want %v", err, seed.ErrChild)
	}
	if _, err := public(t, p).Child(0); !errors.Is(err, seed.ErrChild) {
		t.Errorf("public: got %v, want %v", err, seed.ErrChild)
	}
	if _, err := public(t, master(t, make([]byte, 16))).Child(key.Hardened); !errors.Is(err, seed.ErrChild) {
		t.Errorf("hardened: got %v, want %v", err, seed.ErrChild)
	}
	for _, n := range []int{0, 15, 65} {
		if _, err := seed.Master(secret.New(n)); err == nil {
			t.Errorf("a seed of %d bytes: got no error", n)
		}
	}
}

// A bit that falls over in one copy of a secret is found before anything is
// believed that follows from it.
func TestAFallenBitIsFound(t *testing.T) {
	for i := range 64 {
		p := master(t, make([]byte, 32))
		p.Scalars()[i] ^= 4
		_, childErr := p.Child(key.Hardened)
		if !errors.Is(childErr, seed.ErrFault) {
			t.Errorf("byte %d: got %v, want %v", i, childErr, seed.ErrFault)
		}
		if _, err := p.Public(); (i >= 32) != errors.Is(err, seed.ErrFault) { // the first copy made the point before
			t.Errorf("byte %d, public half: got %v", i, err)
		}
	}
}

func FuzzParsePublic(f *testing.F) {
	for _, v := range bip32 {
		f.Add(v.nodes[len(v.nodes)-1].public)
	}
	for _, text := range invalid {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, v, err := seed.ParsePublic(s)
		if err != nil {
			if p != (seed.Public{}) || !errors.Is(err, seed.ErrPublic) {
				t.Fatalf("got %+v beside %v", p, err)
			}
			return
		}
		if got := p.Text(v); got != s {
			t.Fatalf("got %s back, want %s", got, s)
		}
	})
}

func BenchmarkDerive(b *testing.B) {
	m := abandoned(b)
	a := account(b, m, "m/84h/0h/0h")
	above := at(b, m, "m/84h/0h/0h/0")
	for name, derive := range map[string]func(i uint32) error{
		"public": func(i uint32) error { _, err := a.Child(key.Path{0, i}); return err },
		"private": func(i uint32) error {
			child, err := above.Child(i)
			child.Destroy()
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); i++ {
				if err := derive(i); err != nil {
					b.Fatal(fmt.Errorf("%d: %w", i, err))
				}
			}
		})
	}
}

func TestComputingPutsNothingOnTheHeap(t *testing.T) {
	m := master(t, make([]byte, 64))
	child := at(t, m, "m/0h")
	out, password, room := make([]byte, 64), make([]byte, 200), make([]byte, 128+8+4)
	if n := testing.AllocsPerRun(3, func() { seed.Stretch(out, password, nil, room) }); n != 0 {
		t.Errorf("stretch: got %v allocations, want none: they would hold the words", n)
	}
	if n := testing.AllocsPerRun(20, func() { seed.Derive(m, child, out) }); n != 0 {
		t.Errorf("derive: got %v allocations, want none: they would hold the private key", n)
	}
}
