package kms_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

// The words of BIP-39's tests, and a PSBT that spends 3 BTC which never existed at
// their first address: 0.1 to a stranger, the rest back to m/84h/0h/0h.
const (
	knownWords = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	knownPSBT  = "cHNidP8BAHECAAAAAStwjdXh3qFPFI7GYDe1C8fGXvIhWKLBuEbB5B5/00DTAAAAAAD/////AoCWmAAAAAAAFgAUWlpaWlpaWlpaWlpaWlpaWlpaWlr+BkkRAAAAABYAFD40mF3Kb93J+zaZQOTH2OKHP1KcAAAAAAABAFICAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHAAAAAAD/////AQCj4REAAAAAFgAUwM681sPTyox13F7GLr5VMw75EOIAAAAAAQEfAKPhEQAAAAAWABTAzrzWw9PKjHXcXsYuvlUzDvkQ4iIGAzDVT9DdQgpuX402JPXzSCyuNQ951fB1O/W+75wtka88GHPF2gpUAACAAAAAgAAAAIAAAAAAAAAAAAAAIgIDAlMkiI5Cmrjj268feAJki5zQHptBhIXF+kwbm1cA4aYYc8XaClQAAIAAAACAAAAAgAEAAAAAAAAAAA=="
	account    = "old/m/84h/0h/0h"
)

func (b *bed) words(text string) secret.Bytes {
	s := secret.Take([]byte(text))
	b.t.Cleanup(s.Destroy)
	return s
}

func (b *bed) knownSeed() {
	b.t.Helper()
	_, _, _, err := b.kms.CreateSeed(context.Background(), operator, kms.NewSeed{Name: "old", Import: b.words(knownWords)})
	b.must(err)
}

// withoutOrigin takes the derivation of the last output away: what comes back is
// then claimed by nobody.
func withoutOrigin(t *testing.T, payload string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	const entry = 1 + 34 + 1 + 24
	at := len(raw) - 1 - entry
	if raw[at] != 34 || raw[at+1] != 2 {
		t.Fatalf("got %x, want the derivation of an output", raw[at:at+4])
	}
	return append(bytes.Clone(raw[:at]), 0)
}

func TestWordsOfANewSeedAreShownOnce(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	service := b.service("maker")
	b.apply("  - {name: all, who: [any], keys: [any], do: [any], then: allow}\n")
	_, _, _, err := b.kms.CreateSeed(ctx, service, kms.NewSeed{Name: "s", Show: true})
	wantKind(t, err, kms.Denied)
	if _, err := b.kms.Key(ctx, operator, "s", ""); kms.KindOf(err) != kms.NotFound {
		t.Errorf("got %v, want no seed of a refused request", err)
	}
	ask := kms.Ask{Idempotency: "once"}
	view, words, _, err := b.kms.CreateSeed(ctx, operator, kms.NewSeed{Ask: ask, Name: "s", Words: 12, Show: true})
	b.must(err)
	defer words.Destroy()
	m, err := seed.Read(seed.English, words, secret.Bytes{})
	b.must(err)
	defer m.Destroy()
	bip39 := m.Seed()
	defer bip39.Destroy()
	master, err := seed.Master(bip39)
	b.must(err)
	defer master.Destroy()
	public, err := master.Public()
	b.must(err)
	spki, err := public.SPKI()
	b.must(err)
	if info, _ := view.Version(0); !bytes.Equal(info.Public, spki) || !view.WordsShown {
		t.Errorf("got %+v, which is not the seed of the words that were shown", view)
	}
	_, again, _, err := b.kms.CreateSeed(ctx, operator, kms.NewSeed{Ask: ask, Name: "s", Words: 12, Show: true})
	if err != nil || !again.IsZero() {
		t.Errorf("got words %t, %v: they are shown once", !again.IsZero(), err)
	}
	view, none, _, err := b.kms.CreateSeed(ctx, service, kms.NewSeed{Name: "quiet"})
	if err != nil || !none.IsZero() || view.WordsShown {
		t.Errorf("got %+v, %v, want a seed that nobody has seen the words of", view, err)
	}
}

func TestSeedsThatMakeNoSenseAreRefused(t *testing.T) {
	b := newBed(t)
	b.knownSeed()
	for name, n := range map[string]kms.NewSeed{
		"no name":                        {},
		"an odd number of words":         {Name: "s", Words: 13},
		"one word":                       {Name: "s", Words: 1},
		"a raw domain":                   {Name: "s", Domain: key.Raw},
		"a passphrase without its words": {Name: "s", Passphrase: b.words("TREZOR")},
		"words to be shown again":        {Name: "s", Import: b.words(knownWords), Show: true},
		"a wrong checksum":               {Name: "s", Import: b.words(strings.Replace(knownWords, "about", "abandon", 1))},
		"a word of no list":              {Name: "s", Import: b.words(strings.Replace(knownWords, "about", "keyward", 1))},
	} {
		_, _, _, err := b.kms.CreateSeed(context.Background(), operator, n)
		if e := wantKind(t, err, kms.Invalid); e != nil && strings.Contains(e.Message, "abandon") {
			t.Errorf("%s: got %q, which tells words", name, e.Message)
		}
	}
	_, _, _, err := b.kms.CreateSeed(context.Background(), operator, kms.NewSeed{Name: "old"})
	wantKind(t, err, kms.Conflict)
}

func TestAccountsAreNamedBehindTheirSeed(t *testing.T) {
	b := newBed(t)
	b.knownSeed()
	b.key("plain", key.Secp256k1, key.Bitcoin)
	ctx := context.Background()
	v, err := b.kms.Key(ctx, operator, account, "")
	b.must(err)
	if len(v.Addresses) != 5 || v.Addresses[0].Address != "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu" || v.Addresses[0].Path != "m/84h/0h/0h/0/0" ||
		hex.EncodeToString(v.Master[:]) != "73c5da0a" || !strings.HasPrefix(v.XPub, "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V") {
		t.Errorf("got %+v", v)
	}
	if v, err := b.kms.Key(ctx, operator, "plain", ""); err != nil || len(v.Addresses) != 4 {
		t.Errorf("got %+v, %v, want an address of every type", v.Addresses, err)
	}
	for ref, kind := range map[string]kms.Kind{
		"plain/m/0": kms.Invalid, "old/m/84": kms.Invalid, "old/m/84h/7h/0h": kms.Invalid, "old/84h": kms.Invalid, "old/m/01": kms.Invalid,
		"none/m/84h/0h/0h": kms.NotFound, "old/m/84h/0h/0h/2147483648": kms.Invalid,
	} {
		if _, err := b.kms.Key(ctx, operator, ref, ""); kms.KindOf(err) != kind {
			t.Errorf("%s: got %v, want %s", ref, err, kind)
		}
	}
	_, err = b.sign("old", "hello", kms.Ask{})
	wantKind(t, err, kms.Invalid)
}

func TestAPSBTIsSignedAndComesOutWhole(t *testing.T) {
	b := newBed(t)
	b.knownSeed()
	ask := kms.SignRequest{Ask: kms.Ask{Idempotency: "pay"}, Key: account, Payload: []byte(knownPSBT)}
	s, err := b.kms.Sign(context.Background(), operator, ask)
	b.must(err)
	if s.Type != chain.TypePSBT || len(s.Raw) == 0 || s.Path != "m/84h/0h/0h" || !bytes.HasPrefix(s.Output, []byte("cHNidP")) {
		t.Errorf("got type %s, %d bytes for the network, path %q, output %.10s", s.Type, len(s.Raw), s.Path, s.Output)
	}
	again, err := b.kms.Sign(context.Background(), operator, ask)
	if err != nil || !again.Replayed || !bytes.Equal(again.Raw, s.Raw) || !bytes.Equal(again.Output, s.Output) {
		t.Errorf("got %+v, %v, want the same again", again, err)
	}
	ok, err := b.kms.Verify(context.Background(), operator, kms.VerifyRequest{Key: account, Payload: []byte(knownPSBT), Signature: s.Output})
	if err != nil || !ok {
		t.Errorf("verify: got %t, %v", ok, err)
	}
	for _, other := range []string{"old/m/84h/0h/1h", "old/m/86h/0h/0h"} {
		_, err := b.kms.Sign(context.Background(), operator, kms.SignRequest{Key: other, Payload: []byte(knownPSBT)})
		wantKind(t, err, kms.Invalid)
	}
	_, err = b.kms.Sign(context.Background(), operator, kms.SignRequest{Key: account, Payload: []byte(knownPSBT), Network: "regtest"})
	wantKind(t, err, kms.Invalid)
}

// A window of 1 BTC: 0.1 fits as long as the change is proved to come back.
func TestUnprovedChangeCountsAgainstTheWindow(t *testing.T) {
	b := newBed(t)
	b.knownSeed()
	b.apply(`  - name: payments
    who: [any]
    keys: [old]
    do: [sign-transaction]
    chains: [bitcoin]
    window: {asset: BTC, per: 24h, max: "1"}
    then: allow
  - {name: operator, who: [operator], keys: [any], do: [administer, read, read-audit], then: allow}
`)
	sign := func(key string, payload []byte) error {
		_, err := b.kms.Sign(context.Background(), operator, kms.SignRequest{Key: key, Payload: payload})
		return err
	}
	wantKind(t, sign(account, withoutOrigin(t, knownPSBT)), kms.Denied)
	for range 9 { // with the fee 0.1000141 each
		b.must(sign(account, []byte(knownPSBT)))
	}
	// Another account of the same seed is in the same window: m/84h/0h has the key too.
	wantKind(t, sign("old/m/84h/0h/0h/0/0", withoutOrigin(t, knownPSBT)), kms.Denied)
	err := sign(account, []byte(knownPSBT))
	e := wantKind(t, err, kms.Denied)
	if e != nil && !strings.Contains(e.Message, "window") {
		t.Errorf("got %q, want the window named", e.Message)
	}
	if got, want := b.spent(), big.NewInt(9*(10_000_000+1_410)); got.Cmp(want) != 0 {
		t.Errorf("got %s sat spent, want %s", got, want)
	}
	if got := charged(t, b.records()); got.Cmp(b.spent()) != 0 {
		t.Errorf("got %s sat in the log, %s in the budget", got, b.spent())
	}
}

func TestADelayedPSBTIsCollectedByItsAccount(t *testing.T) {
	b := newBed(t)
	b.knownSeed()
	now := b.clock()
	b.clock = func() time.Time { return now }
	b.apply("  - {name: slow, who: [any], keys: [old], do: [sign-transaction], then: {delay: 1h}}\n" +
		"  - {name: operator, who: [operator], keys: [any], do: [administer, read, read-audit], then: allow}\n")
	_, err := b.kms.Sign(context.Background(), operator, kms.SignRequest{Key: account, Payload: []byte(knownPSBT), Network: "main"})
	e := wantKind(t, err, kms.Waiting)
	_, meaning, err := b.kms.Request(context.Background(), operator, e.Operation)
	if err != nil || !strings.Contains(meaning.Sentence, "back to this account") {
		t.Errorf("got %q, %v, want what it means for the account", meaning.Sentence, err)
	}
	now = now.Add(61 * time.Minute)
	s, err := b.kms.Collect(context.Background(), operator, e.Operation)
	if err != nil || len(s.Raw) == 0 || s.Path != "m/84h/0h/0h" {
		t.Errorf("got %+v, %v, want the transaction", s, err)
	}
}

// TestDevicesGiveTheseAddresses holds ours against those that a Ledger with the
// same words showed.
func TestDevicesGiveTheseAddresses(t *testing.T) {
	file := filepath.Join(cmp.Or(os.Getenv("KEYWARD_VECTORS"), filepath.FromSlash("../../../shared/vectors")), "hardware", "btc-abandon-addresses.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("no shared vectors beside the repository; set KEYWARD_VECTORS: %v", err)
	}
	b := newBed(t)
	b.knownSeed()
	ours := map[string]bool{}
	for _, purpose := range []string{"44h", "49h", "84h", "86h"} {
		for _, branch := range []string{"", "/1"} { // to receive with, and change
			v, err := b.kms.Key(context.Background(), operator, "old/m/"+purpose+"/0h/0h"+branch, "")
			b.must(err)
			for _, a := range v.Addresses {
				ours[a.Address] = true
			}
		}
	}
	address := regexp.MustCompile(`^(1|3|bc1)[0-9A-Za-z]{25,61}$`)
	found := 0
	for _, line := range strings.Split(string(text), "\n") {
		raw, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(line), "<= "))
		if err != nil || len(raw) < 2 {
			continue
		}
		if shown := string(raw[:len(raw)-2]); address.MatchString(shown) { // behind it stands the status word
			found++
			if !ours[shown] {
				t.Errorf("a device shows %s, which is not among %v", shown, slices.Sorted(maps.Keys(ours)))
			}
		}
	}
	if found < 8 {
		t.Errorf("got %d addresses in %s, want two of every type", found, file)
	}
}
