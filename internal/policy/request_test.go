package policy_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// worked is the request of docs/formats/request.md.
func worked(t failer) policy.Request {
	t.Helper()
	p, err := chain.ParsePlain(key.Sign, chain.TypeMsg, crypto.SHA256, []byte("hello"), []chain.Pair{{Name: "order", Value: "17"}})
	if err != nil {
		t.Fatal(err)
	}
	installation := [32]byte(bytes.Repeat([]byte{0x11}, 32))
	r, err := policy.NewRequest(policy.Input{
		Installation: installation, Actor: identity.Operator("unix"), Parsed: p, Version: 2, Algorithm: key.ECDSASHA256,
		Key: key.Key{
			ID: "key_01j00000000000000000000000", Name: "api", Domain: key.Raw, State: key.Active, Current: 2,
			Versions: []key.VersionInfo{{Version: 1}, {Version: 2, Public: key.Public("not a real key")}},
		},
		Created: 1_800_000_000_000, Expires: 1_800_000_600_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWorkedRequestOfTheManual(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats/request.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```hex\n(.*?)```").FindAllSubmatch(doc, -1)
	r := worked(t)
	digest := r.Digest()
	for i, got := range [][]byte{r.Bytes(), digest[:]} {
		if i >= len(blocks) {
			t.Fatalf("the manual lacks block %d: %x", i, got)
		}
		if want := strings.Join(strings.Fields(string(blocks[i][1])), ""); hex.EncodeToString(got) != want {
			t.Errorf("block %d: got %x, want %s", i, got, want)
		}
	}
	if digest != sha256.Sum256(r.Bytes()) {
		t.Error("the digest is not SHA-256 of the bytes")
	}
}

func TestStoredRequestIsCanonicalCBOR(t *testing.T) {
	canonical, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		s := policy.Stored{
			Format: "keyward/request/v1", Verb: key.Verb(text.Draw(t, "verb")), KeyID: key.ID(text.Draw(t, "id")), KeyVersion: key.Version(rapid.Uint32().Draw(t, "version")),
			Domain: key.Domain(text.Draw(t, "domain")), Algorithm: key.Algorithm(text.Draw(t, "algorithm")), Type: chain.Type(text.Draw(t, "type")),
			Hash: rapid.Uint().Draw(t, "hash"), Payload: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "payload"), Path: text.Draw(t, "path"), Subject: text.Draw(t, "subject"),
			Actor: text.Draw(t, "actor"), Created: rapid.Int64().Draw(t, "created"), Expires: rapid.Int64().Draw(t, "expires"),
		}
		copy(s.Installation[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "installation"))
		if rapid.Bool().Draw(t, "has a public key") {
			s.Public = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "public")
		}
		for range rapid.IntRange(0, 3).Draw(t, "pairs") {
			s.Context = append(s.Context, chain.Pair{Name: text.Draw(t, "name"), Value: text.Draw(t, "value")})
		}
		want, err := canonical.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Encode()
		if !bytes.Equal(got, want) {
			t.Fatalf("got\n%x\nwant\n%x", got, want)
		}
		back, err := policy.ParseStored(got)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, back); d != "" {
			t.Fatal(d)
		}
	})
}

func TestStoredRequestIsReadStrictly(t *testing.T) {
	good := worked(t).Bytes()
	if s, err := policy.ParseStored(good); err != nil || s.Actor != "operator" || string(s.Payload) != "hello" {
		t.Fatalf("got %+v, %v", s, err)
	}
	short := bytes.Clone(good)
	short[0]-- // one pair less than there are
	long := append(bytes.Clone(good[:1]), append([]byte{0x18, 0x01}, good[2:]...)...)
	for name, b := range map[string][]byte{
		"nothing": nil, "a byte more": append(bytes.Clone(good), 0), "a byte less": good[:len(good)-1], "a pair too few": short,
		"a number in long form": long, "another format": bytes.Replace(good, []byte("request/v1"), []byte("request/v2"), 1),
		"a text": {0x61, 'a'}, "too large": make([]byte, 2<<20),
	} {
		if _, err := policy.ParseStored(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRequestRefusesPartsThatDoNotFit(t *testing.T) {
	operator := identity.Operator("unix")
	for name, in := range map[string]policy.Input{
		"no actor":              {Parsed: message(t)},
		"no payload":            {Actor: operator},
		"a key without version": {Actor: operator, Parsed: message(t), Key: hot()},
		"a version not there":   {Actor: operator, Parsed: message(t), Key: hot(), Version: 7},
		"a subject not UTF-8":   {Actor: operator, Parsed: message(t), Subject: "\xff"},
	} {
		if _, err := policy.NewRequest(in); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What a request says twice is the same, what says something else differs.
func TestContentIsTheSameForARetry(t *testing.T) {
	content := func(change func(*policy.Input)) [32]byte {
		in := policy.Input{Actor: identity.Operator("unix"), Parsed: message(t), Key: hot(), Version: 1, Created: now}
		change(&in)
		r, err := policy.NewRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Content()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := content(func(*policy.Input) {})
	if content(func(in *policy.Input) { in.Created, in.Expires = now+1, now+2 }) != first {
		t.Error("the time of a retry changes its content")
	}
	if content(func(in *policy.Input) { in.Parsed = plain(t, key.Sign) }) == first {
		t.Error("another payload has the same content")
	}
}

func FuzzParseStored(f *testing.F) {
	f.Add(worked(f).Bytes())
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := policy.ParseStored(b)
		if err == nil && !bytes.Equal(s.Encode(), b) {
			t.Fatalf("%x was read, but is written as %x", b, s.Encode())
		}
	})
}
