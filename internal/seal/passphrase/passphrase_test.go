package passphrase_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/seal/passphrase"
	"keyward/internal/seal/sealtest"
	"keyward/internal/secret"
)

func credential(t testing.TB, word string) seal.Credential {
	c := passphrase.Credential(secret.Take([]byte(word)))
	t.Cleanup(c.Destroy)
	return c
}

func TestMethod(t *testing.T) {
	sealtest.Run(t, sealtest.Harness{
		Method: passphrase.Method{},
		Right:  func(t testing.TB) seal.Credential { return credential(t, "correct horse") },
		Wrong:  func(t testing.TB) seal.Credential { return credential(t, "correct horsf") },
	})
}

func params() passphrase.Params {
	return passphrase.Params{Salt: [16]byte([]byte("sixteen byte sal")), Cost: passphrase.DefaultCost()}
}

func TestAWeakPassphraseIsRefused(t *testing.T) {
	for word, want := range map[string]error{
		"":                           passphrase.ErrShort,
		"seven c":                    passphrase.ErrShort,
		"ÄÖÜäöüß":                    passphrase.ErrShort, // 7 characters, 14 bytes
		strings.Repeat("x", 1025):    passphrase.ErrLong,
		strings.Repeat("x", 1<<20+1): passphrase.ErrLong,
	} {
		if _, _, err := (passphrase.Method{}).Create(t.Context(), rand.Reader, credential(t, word)); !errors.Is(err, want) {
			t.Errorf("%d bytes: got %v, want %v", len(word), err, want)
		}
	}
	for _, word := range []string{"ÄÖÜäöüß8", "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"} {
		if _, kek, err := (passphrase.Method{}).Create(t.Context(), rand.Reader, credential(t, word)); err != nil {
			t.Errorf("%q: got %v", word, err)
		} else {
			kek.Destroy()
		}
	}
}

func TestTheBytesAreUsedAsGiven(t *testing.T) {
	p := params().Encode()
	seen := map[string]string{}
	for _, word := range []string{"passw\u00f6rd", "passwo\u0308rd", "passw\u00f6rd\n"} {
		kek, err := (passphrase.Method{}).KEK(t.Context(), p, credential(t, word))
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[string(kek.View())]; other != "" {
			t.Errorf("%q and %q give the same key", word, other)
		}
		seen[string(kek.View())] = word
		kek.Destroy()
	}
}

// bounds are costs just inside and just outside. Cost times memory is bounded, too.
var bounds = map[passphrase.Cost]bool{
	{Time: 3, Memory: 64 << 10, Threads: 4}:        true,
	{Time: 2, Memory: 64 << 10, Threads: 4}:        false,
	{Time: 0, Memory: 64 << 10, Threads: 4}:        false,
	{Time: 3, Memory: 64<<10 - 1, Threads: 4}:      false,
	{Time: 3, Memory: 0, Threads: 4}:               false,
	{Time: 2, Memory: 1 << 20, Threads: 4}:         false, // more memory does not buy fewer passes
	{Time: 16, Memory: 64 << 10, Threads: 4}:       true,
	{Time: 17, Memory: 64 << 10, Threads: 4}:       false,
	{Time: 4, Memory: 1 << 20, Threads: 4}:         true,
	{Time: 5, Memory: 1 << 20, Threads: 4}:         false,
	{Time: 3, Memory: 1<<20 + 1, Threads: 4}:       false,
	{Time: 3, Memory: 1<<32 - 1, Threads: 4}:       false,
	{Time: 1<<32 - 1, Memory: 1 << 20}:             false,
	{Time: 3, Memory: 64 << 10, Threads: 0}:        false,
	{Time: 3, Memory: 64 << 10, Threads: 1}:        true,
	{Time: 3, Memory: 64 << 10, Threads: 16}:       true,
	{Time: 3, Memory: 64 << 10, Threads: 17}:       false,
	{Time: 3, Memory: 64 << 10, Threads: 1<<8 - 1}: false,
}

func TestACostOutOfBoundsIsRefused(t *testing.T) {
	for cost, allowed := range bounds {
		err := cost.Check()
		if allowed != (err == nil) || !allowed && !errors.Is(err, seal.ErrParams) {
			t.Errorf("%+v: got %v, want allowed: %v", cost, err, allowed)
		}
		if allowed || err == nil {
			continue
		}
		// At creation, and when an altered slot is read: nothing is derived.
		before := allocated()
		if _, _, err := (passphrase.Method{Cost: cost}).Create(t.Context(), rand.Reader, credential(t, "correct horse")); !errors.Is(err, seal.ErrParams) {
			t.Errorf("%+v, Create: got %v, want %v", cost, err, seal.ErrParams)
		}
		p := params()
		p.Cost = cost
		if _, err := (passphrase.Method{}).KEK(t.Context(), p.Encode(), credential(t, "correct horse")); !errors.Is(err, seal.ErrParams) {
			t.Errorf("%+v, KEK: got %v, want %v", cost, err, seal.ErrParams)
		}
		if n := allocated() - before; n > 1<<20 {
			t.Errorf("%+v: %d bytes were allocated for a cost that is refused", cost, n)
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// The memory of Argon2id is the measure of its work: a wrong passphrase fills as
// much as the right one, and an altered slot no less.
func TestAWrongPassphraseCostsTheWholeDerivation(t *testing.T) {
	method := passphrase.Method{}
	root, slot, err := seal.Init(t.Context(), rand.Reader, [32]byte{1}, seal.NewSlot{
		Method: method, Credential: credential(t, "correct horse"), Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	root.Destroy()
	hollow := slot
	hollow.Public, hollow.SealedPrivate, hollow.SealedRoot, hollow.RootVersion = nil, nil, nil, 0
	for name, c := range map[string]struct {
		slot seal.Slot
		word string
	}{
		"wrong":         {slot, "wrong horse"},
		"short":         {slot, "w"},
		"longest":       {slot, strings.Repeat("w", passphrase.MaxBytes)},
		"hollow slot":   {hollow, "wrong horse"},
		"right, hollow": {hollow, "correct horse"},
	} {
		before := allocated()
		_, _, err := seal.Unseal(t.Context(), seal.Sealed{Installation: [32]byte{1}, Slots: []seal.Slot{c.slot}}, []seal.Method{method}, credential(t, c.word))
		if !errors.Is(err, seal.ErrWrongCredential) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrWrongCredential)
		}
		if n := allocated() - before; n < 64<<20 {
			t.Errorf("%s: %d bytes were filled, want 64 MiB", name, n)
		}
	}
}

func TestTheMemoryOfADerivationIsGivenBack(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kek, err := (passphrase.Method{}).KEK(t.Context(), params().Encode(), credential(t, "correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	defer kek.Destroy()
	runtime.ReadMemStats(&after)
	resident := func(m *runtime.MemStats) int64 { return int64(m.HeapSys - m.HeapReleased) }
	if grown := resident(&after) - resident(&before); grown > 32<<20 {
		t.Errorf("got %d bytes more after the derivation, want them given back", grown)
	}
}

func TestParametersHaveOneForm(t *testing.T) {
	p := params()
	want := "a4" + "0150" + hex.EncodeToString(p.Salt[:]) + "0203" + "031a00010000" + "0404"
	if got := hex.EncodeToString(p.Encode()); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	back, err := passphrase.ParseParams(p.Encode())
	if err != nil || back != p {
		t.Fatalf("got %+v, %v, want %+v", back, err, p)
	}
	salt := "0150" + hex.EncodeToString(p.Salt[:])
	for name, s := range map[string]string{
		"empty":              "",
		"trailing":           want + "00",
		"indefinite":         "bf" + want[2:] + "ff",
		"long integer":       "a4" + salt + "021803" + "031a00010000" + "0404",
		"other order":        "a4" + "0203" + salt + "031a00010000" + "0404",
		"duplicate":          "a5" + salt + "0203" + "0203" + "031a00010000" + "0404",
		"unknown field":      "a5" + salt + "0203" + "031a00010000" + "0404" + "0500",
		"missing field":      "a3" + salt + "0203" + "031a00010000",
		"short salt":         "a4" + "014f" + hex.EncodeToString(p.Salt[:15]) + "0203" + "031a00010000" + "0404",
		"text salt":          "a4" + "0170" + hex.EncodeToString(p.Salt[:]) + "0203" + "031a00010000" + "0404",
		"array":              "84" + "50" + hex.EncodeToString(p.Salt[:]) + "03" + "1a00010000" + "04",
		"negative":           "a4" + salt + "0222" + "031a00010000" + "0404",
		"float":              "a4" + salt + "02f94200" + "031a00010000" + "0404",
		"tag":                "a4" + salt + "02c103" + "031a00010000" + "0404",
		"threads overflow":   "a4" + salt + "0203" + "031a00010000" + "0419" + "0104",
		"memory of 64 bits":  "a4" + salt + "0203" + "031b0000000100010000" + "0404",
		"cut":                want[:len(want)-2],
		"more than 64 bytes": want + strings.Repeat("00", 64),
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := passphrase.ParseParams(b); !errors.Is(err, seal.ErrParams) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrParams)
		}
	}
}

func FuzzParseParams(f *testing.F) {
	f.Add(params().Encode())
	for cost := range bounds {
		p := params()
		p.Cost = cost
		f.Add(p.Encode())
	}
	f.Add([]byte{0xa4, 0x01, 0x50})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := passphrase.ParseParams(b)
		if err != nil {
			if !errors.Is(err, seal.ErrParams) {
				t.Fatalf("got %v, want %v", err, seal.ErrParams)
			}
			return
		}
		if !bytes.Equal(p.Encode(), b) || p.Cost.Check() != nil {
			t.Fatalf("accepted %x as %+v", b, p)
		}
	})
}

func BenchmarkKEK(b *testing.B) {
	p, c := params().Encode(), credential(b, "correct horse")
	for b.Loop() {
		kek, err := (passphrase.Method{}).KEK(b.Context(), p, c)
		if err != nil {
			b.Fatal(err)
		}
		kek.Destroy()
	}
}
