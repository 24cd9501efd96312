package key_test

import (
	"bytes"
	"crypto/rand"
	"math"
	"slices"
	"strings"
	"testing"

	"keyward/internal/key"
)

func TestNewIDFollowsTheLayoutOfULID(t *testing.T) {
	random := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for _, c := range []struct {
		ms   int64
		rand []byte
		want key.ID
	}{
		// The ULID specification gives 01ARYZ6S41 for this time.
		{1469918176385, make([]byte, 10), "key_01aryz6s410000000000000000"},
		{0, make([]byte, 10), "key_00000000000000000000000000"},
		{1700001217664, random, "key_01hf7zfz40041061050r3gg28a"},
		{1<<48 - 1, bytes.Repeat([]byte{0xff}, 10), "key_7zzzzzzzzzzzzzzzzzzzzzzzzz"},
	} {
		got, err := key.NewID(c.ms, bytes.NewReader(c.rand))
		if err != nil || got != c.want {
			t.Errorf("%d: got %s, %v, want %s", c.ms, got, err, c.want)
		}
	}
	if id, err := key.NewID(0, strings.NewReader("too short")); err == nil || id != "" {
		t.Errorf("randomness ran dry: got %q, %v", id, err)
	}
}

func TestIDsSortByTimeOfBirth(t *testing.T) {
	var ids []key.ID
	for ms := int64(1); ms < 1<<48; ms = ms*3/2 + 1 {
		for _, at := range []int64{ms, ms + 1} {
			id, err := key.NewID(at, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	for i := 2; i < len(ids); i += 2 {
		if ids[i] <= ids[i-1] && ids[i] <= ids[i-2] {
			t.Errorf("%s was made after %s and sorts before it", ids[i], ids[i-2])
		}
	}
}

func TestIDsAreReadStrictly(t *testing.T) {
	const good = "key_01hf7zfz40041061050r3gg28a"
	if id, err := key.ParseID(good); err != nil || id != good {
		t.Errorf("got %s, %v", id, err)
	}
	for name, s := range map[string]string{
		"empty": "", "prefix alone": "key_", "no prefix": good[4:], "another prefix": "op_" + good[4:], "upper case": strings.ToUpper(good),
		"one letter less": good[:29], "one letter more": good + "0", "letter i": good[:29] + "i", "letter l": good[:29] + "l",
		"letter o": good[:29] + "o", "letter u": good[:29] + "u", "more than 128 bits": "key_8" + good[5:], "space": " " + good[1:],
		"line": good[:29] + "\n", "two bytes": good[:28] + "é",
	} {
		if id, err := key.ParseID(s); err == nil || id != "" {
			t.Errorf("%s: got %q, want it refused", name, id)
		}
		if _, err := key.ID(s).Bytes(); err == nil {
			t.Errorf("%s: it has bytes", name)
		}
	}
	_, err := key.ParseID(strings.Repeat("x", 10_000))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("the error repeats 10,000 letters: %v", err)
	}
}

func TestIDAndItsBytes(t *testing.T) {
	for _, b := range [][16]byte{{}, {0x01, 0x8b, 0xcf, 0xf7, 0xfc, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, [16]byte(bytes.Repeat([]byte{0xff}, 16))} {
		id := key.IDOf(b)
		got, err := id.Bytes()
		if err != nil || got != b {
			t.Errorf("%s: got %x, %v, want %x", id, got, err, b)
		}
	}
	if got := key.IDOf([16]byte{0x01, 0x8b, 0xcf, 0xf7, 0xfc, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}); got != "key_01hf7zfz40041061050r3gg28a" {
		t.Errorf("got %s", got)
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"key_01hf7zfz40041061050r3gg28a", "key_7zzzzzzzzzzzzzzzzzzzzzzzzz", "key_8zzzzzzzzzzzzzzzzzzzzzzzzz", "key_", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := key.ParseID(s)
		if err != nil {
			if id != "" {
				t.Fatalf("got %q beside an error", id)
			}
			return
		}
		b, err := id.Bytes()
		if err != nil || string(key.IDOf(b)) != s {
			t.Fatalf("%q: got %q back, %v", s, key.IDOf(b), err)
		}
	})
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "0", "hot-wallet", "team.payments_2", strings.Repeat("x", 64), "keys", "key-1"} {
		if err := key.ValidName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "A", "-a", ".a", "_a", "a b", "a/b", "a\n", "é", strings.Repeat("x", 65), "key_1", "key_01hf7zfz40041061050r3gg28a"} {
		if err := key.ValidName(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if err := key.ValidName(strings.Repeat("x", 10_000)); err == nil || len(err.Error()) > 300 {
		t.Errorf("the error repeats 10,000 letters: %v", err)
	}
}

func TestVersions(t *testing.T) {
	k := key.Key{Current: 2, Versions: []key.VersionInfo{{Version: 1, Created: 10}, {Version: 2, Created: 20}}}
	for asked, want := range map[key.Version]int64{0: 20, 1: 10, 2: 20} {
		if info, ok := k.Version(asked); !ok || info.Created != want {
			t.Errorf("%d: got %d, %v, want %d", asked, info.Created, ok, want)
		}
	}
	if _, ok := k.Version(3); ok {
		t.Error("version 3 is found")
	}
	if got := (key.Ref{ID: "key_x", Version: math.MaxUint32}).String(); got != "key_x/4294967295" {
		t.Errorf("got %s", got)
	}
}

func TestDomainsFitTheirSpecs(t *testing.T) {
	for _, s := range key.Specs() {
		for d, fits := range map[key.Domain]bool{
			key.Raw: s != key.HDSeed, key.Ethereum: s == key.Secp256k1 || s == key.HDSeed, key.Bitcoin: s == key.Secp256k1 || s == key.HDSeed,
			key.ByPath: s == key.HDSeed, "": false, "Raw": false, "solana": false,
		} {
			if err := d.Check(s); (err == nil) != fits {
				t.Errorf("%q, %s: got %v, want it to fit: %v", d, s, err, fits)
			}
		}
	}
}

// A decision rests on this digest: nothing that it may rest on can be left out.
func TestDigestCoversWhatDecisionsRestOn(t *testing.T) {
	base := func() key.Key {
		return key.Key{
			ID: "key_1", Name: "n", Spec: key.P256, Usage: key.SignVerify, Domain: key.Raw, Origin: key.Generated, State: key.Active, Owner: "o",
			Current: 1, Versions: []key.VersionInfo{{Version: 1, Public: key.Public{1}}}, Tags: map[string]string{"a": "b"}, Created: 5,
		}
	}
	digests := map[[32]byte]string{base().Digest(): "nothing"}
	for name, change := range map[string]func(*key.Key){
		"id": func(k *key.Key) { k.ID = "key_2" }, "name": func(k *key.Key) { k.Name = "m" }, "spec": func(k *key.Key) { k.Spec = key.P384 },
		"usage": func(k *key.Key) { k.Usage = key.EncryptDecrypt }, "domain": func(k *key.Key) { k.Domain = key.Ethereum },
		"origin": func(k *key.Key) { k.Origin = "imported" }, "state": func(k *key.Key) { k.State = key.Suspended },
		"owner": func(k *key.Key) { k.Owner = "p" }, "exportable": func(k *key.Key) { k.Exportable = true },
		"current": func(k *key.Key) { k.Current = 2 }, "version": func(k *key.Key) { k.Versions[0].Version = 2 },
		"public": func(k *key.Key) { k.Versions[0].Public = key.Public{2} }, "a version more": func(k *key.Key) { k.Versions = append(k.Versions, key.VersionInfo{}) },
		"a border moved": func(k *key.Key) { k.ID, k.Name = "key_1n", "" },
	} {
		k := base()
		change(&k)
		if before, ok := digests[k.Digest()]; ok {
			t.Errorf("%s: got the digest of a change of %s", name, before)
		}
		digests[k.Digest()] = name
	}
	k := base()
	k.Tags, k.Created = nil, 6
	if k.Digest() != base().Digest() {
		t.Error("tags or time of birth change the digest")
	}
}

func TestEveryListIsWhole(t *testing.T) {
	for name, n := range map[string]int{"specs": len(key.Specs()) - 13, "verbs": len(key.Verbs()) - 27} {
		if n != 0 {
			t.Errorf("%s: %d more than this test knows", name, n)
		}
	}
	verbs := key.Verbs()
	slices.Sort(verbs)
	if len(slices.Compact(verbs)) != len(key.Verbs()) {
		t.Error("a verb is listed twice")
	}
}
