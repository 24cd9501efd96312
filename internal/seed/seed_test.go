package seed_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/internal/secret"
	"keyward/internal/seed"
)

// shared reads a file of vectors beside the repository.
func shared(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("KEYWARD_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared vectors beside the repository; set KEYWARD_VECTORS")
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// locked is a secret that the test lets die.
func locked(t testing.TB, s string) secret.Bytes {
	b := secret.Take([]byte(s))
	t.Cleanup(b.Destroy)
	return b
}

func read(t testing.TB, words, passphrase string) seed.Mnemonic {
	t.Helper()
	m, err := seed.Read(seed.English, locked(t, words), locked(t, passphrase))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Destroy)
	return m
}

func show(t testing.TB, b secret.Bytes) string {
	t.Cleanup(b.Destroy)
	return string(b.View())
}

func TestTheWordListIsTheOneOfBIP39(t *testing.T) {
	list, err := os.ReadFile("english.txt")
	if err != nil {
		t.Fatal(err)
	}
	const want = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
	if got := fmt.Sprintf("%x", sha256.Sum256(list)); got != want {
		t.Errorf("got SHA-256 %s, want %s", got, want)
	}
	if l, ok := seed.Numbered(seed.English.Number()); !ok || l != seed.English || seed.English.Number() != 1 {
		t.Error("English is not the language of its number, 1")
	}
	if _, ok := seed.Numbered(0); ok {
		t.Error("number 0 has a language")
	}
}

// The passphrase of these vectors is TREZOR.
func TestVectorsOfBIP39(t *testing.T) {
	var vectors map[string][][4]string
	if err := json.Unmarshal(shared(t, "bip39/vectors.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors["english"] {
		m := read(t, v[1], "TREZOR")
		if got := hex.EncodeToString(m.Entropy.View()); got != v[0] {
			t.Errorf("%s: got entropy %s, want %s", v[1], got, v[0])
		}
		if got := show(t, m.Words()); got != v[1] {
			t.Errorf("%s: got words %q", v[0], got)
		}
		s := m.Seed()
		if got := hex.EncodeToString(s.View()); got != v[2] {
			t.Errorf("%s: got seed %s, want %s", v[1], got, v[2])
		}
		master, err := seed.Master(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := private(t, master); got != v[3] {
			t.Errorf("%s: got master key %s, want %s", v[1], got, v[3])
		}
		s.Destroy()
		master.Destroy()
	}
	if n := len(vectors["english"]); n != 24 {
		t.Errorf("got %d vectors, want 24", n)
	}
}

const abandon = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

func TestWordsAreReadAsPeopleTypeThem(t *testing.T) {
	want := read(t, abandon, "").Entropy
	for name, words := range map[string]string{
		"upper case": strings.ToUpper(abandon), "mixed case": strings.ReplaceAll(abandon, "ab", "Ab"), "lines": strings.ReplaceAll(abandon, " ", "\r\n"),
		"around": "\n\t  " + abandon + " \n", "wide spaces": strings.ReplaceAll(abandon, " ", " \u3000\u00a0"),
		"wide letters": strings.Replace(abandon, "a", "\uff41", 1), // NFKD makes an a of it
	} {
		if got := read(t, words, "").Entropy; !got.Equal(want) {
			t.Errorf("%s: got other entropy", name)
		}
	}
}

func TestWrongWordsAreRefusedAndNotRepeated(t *testing.T) {
	all := strings.Fields(abandon)
	swapped := strings.Fields("legal winner thank year wave sausage worth useful legal winner thank yellow")
	swapped[0], swapped[1] = swapped[1], swapped[0]
	long := strings.Repeat("abandon ", 23)
	for name, c := range map[string]struct{ words, says string }{
		"none":              {"", "0 words"},
		"eleven":            {strings.Join(all[:11], " "), "11 words"},
		"three":             {"abandon abandon ability", "3 words"},
		"thirteen":          {abandon + " about", "13 words"},
		"twenty-five":       {long + "art art", "more than 24"},
		"twenty-seven":      {long + "art art art art", "more than 24"},
		"a thousand":        {strings.Repeat("abandon ", 1000), "at most 4096"},
		"an unknown word":   {strings.Replace(abandon, "abandon about", "xyzzy about", 1), "word 11 is not in the English list"},
		"four letters":      {strings.Replace(abandon, "abandon", "aban", 1), "word 1 is not in the English list"},
		"a word longer":     {abandon + "s", "word 12 is not"},
		"digits":            {strings.Replace(abandon, "about", "12345", 1), "word 12 is not"},
		"a wrong last word": {strings.Replace(abandon, "about", "above", 1), "checksum"},
		"two swapped":       {strings.Join(swapped, " "), "checksum"},
		"24 of one":         {strings.Repeat("abandon ", 24), "checksum"},
		"not UTF-8":         {abandon + "\xff", "UTF-8"},
		"a zero byte":       {abandon + "\x00", "word 12 is not"},
	} {
		m, err := seed.Read(seed.English, locked(t, c.words), secret.Bytes{})
		if !errors.Is(err, seed.ErrWords) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.says)
			continue
		}
		if !m.Entropy.IsZero() {
			t.Errorf("%s: got entropy beside an error", name)
		}
		for _, word := range strings.Fields(c.words) {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error repeats the word %q: %v", name, word, err)
			}
		}
	}
}

func TestPassphrasesAreNormalized(t *testing.T) {
	composed, decomposed := read(t, abandon, "caf\u00e9 \ufb01"), read(t, abandon, "cafe\u0301 fi")
	a, b := composed.Seed(), decomposed.Seed()
	defer a.Destroy()
	defer b.Destroy()
	if !composed.Passphrase.Equal(decomposed.Passphrase) || !a.Equal(b) {
		t.Error("two spellings of one passphrase give two seeds")
	}
	plain := read(t, abandon, "").Seed()
	defer plain.Destroy()
	if plain.Equal(a) {
		t.Error("the passphrase does not matter")
	}
	if got := read(t, abandon, strings.Repeat("x", seed.MaxPassphrase)); got.Check() != nil {
		t.Errorf("the longest passphrase: %v", got.Check())
	}
	for name, bad := range map[string]string{
		"too long": strings.Repeat("x", seed.MaxPassphrase+1), "not UTF-8": "caf\xe9", "too long in normal form": strings.Repeat("\ufdfa", seed.MaxPassphrase/12),
	} {
		if _, err := seed.Read(seed.English, locked(t, abandon), locked(t, bad)); !errors.Is(err, seed.ErrWords) || strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v, want %v", name, err, seed.ErrWords)
		}
	}
}

func TestNewDrawsItsEntropy(t *testing.T) {
	for bits, words := range map[int]int{128: 12, 160: 15, 192: 18, 224: 21, 256: 24} {
		m, err := seed.New(seed.English, bits, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Destroy()
		text := show(t, m.Words())
		if n := len(strings.Fields(text)); n != words {
			t.Errorf("%d bits: got %d words, want %d", bits, n, words)
		}
		if again := read(t, text, ""); !again.Entropy.Equal(m.Entropy) || m.Check() != nil {
			t.Errorf("%d bits: the words are read as another seed", bits)
		}
	}
	drawn := bytes.Repeat([]byte{7}, 16)
	if m, err := seed.New(seed.English, 128, bytes.NewReader(drawn)); err != nil || !bytes.Equal(m.Entropy.View(), drawn) {
		t.Errorf("got other entropy than was drawn, %v", err)
	}
	for _, bits := range []int{-128, 0, 8, 64, 127, 129, 130, 132, 136, 512} {
		if _, err := seed.New(seed.English, bits, rand.Reader); !errors.Is(err, seed.ErrWords) {
			t.Errorf("%d bits: got %v, want %v", bits, err, seed.ErrWords)
		}
	}
	if _, err := seed.New(seed.English, 256, strings.NewReader("too short")); err == nil {
		t.Error("randomness ran dry: got no error")
	}
	for name, m := range map[string]seed.Mnemonic{
		"nothing": {}, "no entropy": {Language: seed.English}, "odd entropy": {Language: seed.English, Entropy: locked(t, "17 bytes, not 16.")},
		"another form": {Language: seed.English, Entropy: locked(t, "16 bytes, or 128"), Passphrase: locked(t, "\u00e9")},
		"no UTF-8":     {Language: seed.English, Entropy: locked(t, "16 bytes, or 128"), Passphrase: locked(t, "\xe9")},
	} {
		if err := m.Check(); !errors.Is(err, seed.ErrWords) {
			t.Errorf("%s: got %v, want %v", name, err, seed.ErrWords)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(abandon), []byte("TREZOR"))
	f.Add([]byte("zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong"), []byte("\u00e9"))
	f.Add([]byte("letter advice cage absurd amount doctor acoustic avoid letter always"), []byte{0xff})
	f.Add([]byte(strings.Repeat("zoo ", 23)+"vote"), []byte{})
	f.Fuzz(func(t *testing.T, words, passphrase []byte) {
		m, err := seed.Read(seed.English, locked(t, string(words)), locked(t, string(passphrase)))
		if err != nil {
			if !errors.Is(err, seed.ErrWords) || len(err.Error()) > 200 {
				t.Fatalf("got %v", err)
			}
			return
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		again := read(t, show(t, m.Words()), string(passphrase))
		if !again.Entropy.Equal(m.Entropy) || again.Passphrase.Len() != m.Passphrase.Len() {
			t.Fatal("what was written is read as another seed")
		}
	})
}

func BenchmarkSeed(b *testing.B) {
	m := read(b, abandon, "TREZOR")
	b.ReportAllocs()
	for b.Loop() {
		m.Seed().Destroy()
	}
}
