package software_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/software"
	"keyward/internal/secret"
	"keyward/internal/seed"
	"keyward/internal/store"
)

// aSeed is a key that has no material yet.
func (w *world) aSeed(t testing.TB, origin key.Origin) key.Key {
	k := w.create(t, key.Key{Spec: key.HDSeed})
	w.Commit(func(tx *store.Tx) error { return software.Destroy(tx, k.ID) })
	w.Purge(k.ID)
	k.Origin, k.Versions = origin, nil
	return k
}

func (w *world) imports(t testing.TB, words, passphrase string) key.Key {
	t.Helper()
	k := w.aSeed(t, key.Imported)
	m := mnemonic(t, words, passphrase)
	b, err := w.ImportSeed(context.Background(), k, 1, m)
	if err != nil {
		t.Fatal(err)
	}
	k.Versions = []key.VersionInfo{b.Info(1)}
	w.Commit(b.Put)
	return k
}

func mnemonic(t testing.TB, words, passphrase string) seed.Mnemonic {
	t.Helper()
	typed, secretly := secret.Take([]byte(words)), secret.Take([]byte(passphrase))
	defer typed.Destroy()
	defer secretly.Destroy()
	m, err := seed.Read(seed.English, typed, secretly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Destroy)
	return m
}

func TestASeedThatIsStretchedWronglyIsNotUsed(t *testing.T) {
	w := newWorld(t, 0)
	public := w.imports(t, abandon, "").Versions[0].Public
	for passphrase, want := range map[string]error{"": nil, "x": keystore.ErrCheck} {
		material := software.MarshalSeed(mnemonic(t, abandon, passphrase))
		if err := software.Grow(material, public.Hash()); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", passphrase, err, want)
		}
		material.Destroy()
	}
}

func TestABirthShowsItsWords(t *testing.T) {
	w := newWorld(t, 0)
	for bits, n := range map[int]int{128: 12, 160: 15, 192: 18, 224: 21, 256: 24} {
		k := w.aSeed(t, key.Generated)
		b, err := w.GenerateSeed(t.Context(), k, 1, bits)
		if err != nil {
			t.Fatal(err)
		}
		words, err := w.Words(b)
		if err != nil {
			t.Fatal(err)
		}
		text := string(words.View())
		words.Destroy()
		if got := len(strings.Fields(text)); got != n {
			t.Errorf("%d bits: got %d words, want %d", bits, got, n)
		}
		k.Versions = []key.VersionInfo{b.Info(1)}
		w.Commit(b.Put)
		if again := w.imports(t, text, ""); !bytes.Equal(again.Versions[0].Public, b.Public) || w.account(t, again, "m/9h").Key != w.account(t, k, "m/9h").Key {
			t.Errorf("%d bits: the words are those of another seed", bits)
		}
	}
	k := w.aSeed(t, key.Generated)
	whole, err := w.Generate(t.Context(), k, 1)
	if err != nil {
		t.Fatal(err)
	}
	words, err := w.Words(whole)
	if err != nil || len(strings.Fields(string(words.View()))) != 24 {
		t.Errorf("generate: got %d bytes of words, %v, want 24 words", words.Len(), err)
	}
	words.Destroy()
	plain, err := w.Generate(t.Context(), key.Key{ID: k.ID, Spec: key.P256, Usage: key.SignVerify, Domain: key.Raw, Origin: key.Generated}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]software.Birth{"another spec": plain, "no birth": {}} {
		if _, err := w.Words(b); err == nil {
			t.Errorf("%s: it has words", name)
		}
	}
	w.Lock()
	if _, err := w.Words(whole); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("sealed: got %v, want %v", err, keystore.ErrSealed)
	}
	if _, err := w.Account(t.Context(), key.Ref{ID: k.ID, Version: 1}, nil); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("sealed, account: got %v, want %v", err, keystore.ErrSealed)
	}
}

func TestSeedsThatCannotBeMadeAreRefused(t *testing.T) {
	w := newWorld(t, 0)
	k := w.aSeed(t, key.Generated)
	m := mnemonic(t, abandon, "")
	for name, make := range map[string]func(k key.Key) error{
		"an odd size":           func(k key.Key) error { _, err := w.GenerateSeed(t.Context(), k, 1, 129); return err },
		"64 bits":               func(k key.Key) error { _, err := w.GenerateSeed(t.Context(), k, 1, 64); return err },
		"imported as generated": func(k key.Key) error { _, err := w.ImportSeed(t.Context(), k, 1, m); return err },
		"generated as imported": func(k key.Key) error {
			k.Origin = key.Imported
			_, err := w.GenerateSeed(t.Context(), k, 1, 256)
			return err
		},
		"nothing to import": func(k key.Key) error {
			k.Origin = key.Imported
			_, err := w.ImportSeed(t.Context(), k, 1, seed.Mnemonic{})
			return err
		},
		"words for another spec": func(k key.Key) error {
			k.Spec, k.Domain, k.Origin = key.AES256, key.Raw, key.Imported
			k.Usage = key.EncryptDecrypt
			_, err := w.ImportSeed(t.Context(), k, 1, m)
			return err
		},
		"entropy for another spec": func(k key.Key) error {
			k.Spec = key.Secp256k1
			k.Domain = key.Bitcoin
			_, err := w.GenerateSeed(t.Context(), k, 1, 256)
			return err
		},
		"raw": func(k key.Key) error {
			k.Domain = key.Raw
			_, err := w.GenerateSeed(t.Context(), k, 1, 256)
			return err
		},
	} {
		if make(k) == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestMaterialOfASeedIsReadStrictly(t *testing.T) {
	m := mnemonic(t, abandon, "TREZOR")
	good := software.MarshalSeed(m)
	defer good.Destroy()
	want := append([]byte{1, 1, 16}, make([]byte, 16)...)
	want = append(append(want, 0, 6), "TREZOR"...)
	if got := good.View(); len(got) != 128 || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) != 0 {
		t.Errorf("got %x", got)
	}
	long := software.MarshalSeed(mnemonic(t, abandon, strings.Repeat("x", 200)))
	defer long.Destroy()
	if again, err := software.ParseSeed(long); err != nil || again.Passphrase.Len() != 200 || long.Len() != 256 {
		t.Errorf("a long passphrase: got %d bytes of it, %v", again.Passphrase.Len(), err)
	}
	for name, change := range map[string]func(b []byte) []byte{
		"empty": func(b []byte) []byte { return nil }, "cut": func(b []byte) []byte { return b[:127] }, "longer": func(b []byte) []byte { return append(b, 0) },
		"a block more": func(b []byte) []byte { return append(b, make([]byte, 128)...) }, "another version": func(b []byte) []byte { b[0] = 2; return b },
		"another language": func(b []byte) []byte { b[1] = 2; return b }, "no entropy": func(b []byte) []byte { b[2] = 0; return b },
		"odd entropy": func(b []byte) []byte { b[2] = 17; return b }, "too much entropy": func(b []byte) []byte { b[2] = 255; return b },
		"a passphrase past the end": func(b []byte) []byte { b[19] = 255; return b }, "not zero behind": func(b []byte) []byte { b[127] = 1; return b },
		"a passphrase in another form": func(b []byte) []byte { copy(b[21:], "\u00e9zor"); return b },
	} {
		b := secret.Take(change(bytes.Clone(good.View())))
		if _, err := software.ParseSeed(b); err == nil {
			t.Errorf("%s: got no error", name)
		}
		b.Destroy()
	}
}

func FuzzSeedMaterial(f *testing.F) {
	f.Add([]byte{1, 1, 16})
	f.Add(append([]byte{1, 1, 32, 31: 1, 35: 0, 36: 3, 37: 'a', 38: 'b', 39: 'c'}, make([]byte, 88)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		material := secret.Take(bytes.Clone(b))
		defer material.Destroy()
		m, err := software.ParseSeed(material)
		if err != nil {
			return
		}
		defer m.Destroy()
		again := software.MarshalSeed(m)
		defer again.Destroy()
		if !again.Equal(material) {
			t.Fatalf("%x is read as something else", b)
		}
	})
}
