package kms_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/kms"
)

// probe is a way to ask about a key.
type probe struct {
	name    string
	counted bool // a refusal is counted, where others are recorded
	ask     func(a identity.Actor, ref string) error
}

func (b *bed) probes() []probe {
	ctx := context.Background()
	envelope, err := b.kms.Encrypt(ctx, operator, kms.CryptRequest{Key: "own-aes", Input: []byte("x")})
	b.must(err)
	crypt := func(do func(context.Context, identity.Actor, kms.CryptRequest) (kms.Crypt, error), input []byte) func(identity.Actor, string) error {
		return func(a identity.Actor, ref string) error {
			_, err := do(ctx, a, kms.CryptRequest{Key: ref, Input: input})
			return err
		}
	}
	change := func(do func(context.Context, identity.Actor, string, kms.Ask) (kms.KeyView, kms.Answer, error)) func(identity.Actor, string) error {
		return func(a identity.Actor, ref string) error { _, _, err := do(ctx, a, ref, kms.Ask{}); return err }
	}
	sign := func(r kms.SignRequest) func(identity.Actor, string) error {
		return func(a identity.Actor, ref string) error {
			r.Key = ref
			_, err := b.kms.Sign(ctx, a, r)
			return err
		}
	}
	return []probe{
		{"show", true, func(a identity.Actor, ref string) error { _, err := b.kms.Key(ctx, a, ref, ""); return err }},
		{"sign", false, sign(kms.SignRequest{Payload: []byte("x")})},
		{"sign by version", false, sign(kms.SignRequest{Payload: []byte("x"), Version: 7})},
		{"sign by algorithm", false, sign(kms.SignRequest{Payload: []byte("x"), Algorithm: "FOO"})},
		{"sign a transaction", false, sign(kms.SignRequest{Payload: payment(payee, 1, 0), Type: chain.TypeTx})},
		{"sign under an idempotency key", false, sign(kms.SignRequest{Payload: []byte("x"), Ask: kms.Ask{Idempotency: "mine"}})},
		{"rehearse", true, sign(kms.SignRequest{Payload: []byte("x"), DryRun: true})},
		{"sign a batch", false, func(a identity.Actor, ref string) error {
			items, err := b.kms.SignBatch(ctx, a, []kms.SignRequest{{Key: ref, Payload: []byte("x")}}, kms.Ask{})
			if err != nil {
				return err
			}
			return items[0].Err
		}},
		{"verify", true, func(a identity.Actor, ref string) error {
			_, err := b.kms.Verify(ctx, a, kms.VerifyRequest{Key: ref, Payload: []byte("x")})
			return err
		}},
		{"encrypt", false, crypt(b.kms.Encrypt, []byte("x"))},
		{"decrypt", false, crypt(b.kms.Decrypt, envelope.Output)},
		{"data key", false, crypt(b.kms.DataKey, nil)},
		{"mac", false, crypt(b.kms.MAC, []byte("x"))},
		{"verify mac", false, func(a identity.Actor, ref string) error {
			_, _, err := b.kms.VerifyMAC(ctx, a, kms.CryptRequest{Key: ref, Input: []byte("x")})
			return err
		}},
		{"rotate", false, change(b.kms.RotateKey)},
		{"disable", false, change(b.kms.DisableKey)},
		{"enable", false, change(b.kms.EnableKey)},
		{"cancel a destruction", false, change(b.kms.CancelDestroy)},
		{"destroy", false, func(a identity.Actor, ref string) error {
			_, _, err := b.kms.DestroyKey(ctx, a, ref, 7, kms.Ask{})
			return err
		}},
		{"decode", true, func(a identity.Actor, ref string) error {
			_, _, err := b.kms.Decode(ctx, a, kms.DecodeRequest{Payload: []byte("hello"), Type: chain.TypeMsg, Key: ref})
			return err
		}},
	}
}

// Whoever may do nothing with a key gets one answer, whether it is there or not,
// whatever it is and in whatever state, and however they ask.
func TestWhoMayDoNothingWithAKeyLearnsNothingOfIt(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	b.key("own-aes", key.AES256, key.Raw)
	b.key("own-raw", key.Ed25519, key.Raw)
	b.apply(`  - {name: own, who: [service:own], keys: [own-*], do: [use], then: allow}
  - {name: most, who: [service:barred], keys: [any], do: [any], then: allow}
  - {name: frozen, who: [service:barred], keys: [cold-*], do: [any], then: deny}
`)
	var ids []string
	for name, made := range map[string]struct {
		spec   key.Spec
		domain key.Domain
	}{"cold-raw": {key.P256, key.Raw}, "cold-eth": {key.Secp256k1, key.Ethereum}, "cold-aes": {key.AES256, key.Raw}, "cold-mac": {key.HMAC256, key.Raw}, "cold-off": {key.P256, key.Raw}} {
		ids = append(ids, string(b.key(name, made.spec, made.domain).ID))
	}
	_, _, err := b.kms.DisableKey(ctx, operator, "cold-off", kms.Ask{})
	b.must(err)
	own := b.service("own")
	_, err = b.kms.Sign(ctx, own, kms.SignRequest{Key: "own-raw", Payload: []byte("x"), Ask: kms.Ask{Idempotency: "mine"}})
	b.must(err)
	probes := b.probes()
	answer := func(p probe, a identity.Actor, ref string) string {
		e := wantKind(t, p.ask(a, ref), kms.Denied)
		said := e.Message + "|" + e.Hint
		for _, r := range e.Reasons {
			said += "|" + r.Code + r.Rule + r.Effect + r.Text
		}
		return strings.ReplaceAll(said, ref, "REF")
	}
	for _, a := range []identity.Actor{b.service("nobody"), own, b.service("barred")} {
		missing := "cold-not"
		refs := append([]string{"cold-raw", "cold-eth", "cold-aes", "cold-mac", "cold-off", "key_01j00000000000000000000000"}, ids...)
		if a.Name() == "service:barred" { // may read all others, and so be told of an id that is not there
			refs = slices.Delete(refs, 5, 6)
		}
		for _, p := range probes {
			want := answer(p, a, missing)
			for _, ref := range refs {
				if got := answer(p, a, ref); got != want {
					t.Errorf("%s, %s %s: got %q, want what a missing key gets: %q", a.Name(), p.name, ref, got, want)
				}
			}
		}
	}
}

// Each such request leaves a trace: what was asked, by whom, and never what there is.
func TestProbesAreRecordedOrCounted(t *testing.T) {
	b := newBed(t)
	b.key("own-aes", key.AES256, key.Raw)
	b.key("cold", key.P256, key.Raw)
	a := b.service("nobody")
	operations := map[string]string{} // to the subject
	counted := uint64(0)
	for _, p := range b.probes() {
		for _, ref := range []string{"cold", "gone"} {
			e := wantKind(t, p.ask(a, ref), kms.Denied)
			if p.counted {
				counted++
				continue
			}
			operations[e.Operation] = ref
		}
	}
	b.again(nil) // what is counted is written at the latest when the journal closes
	b.unseal()
	for _, r := range b.settled() {
		if r.Actor != a.Name() {
			continue
		}
		if r.Phase == "counted" {
			counted -= r.Count
			continue
		}
		ref, known := operations[r.Operation]
		if !known || r.Phase != "denied" || r.Subject != ref || r.Detail != "no rule lets the actor do anything with a key of this name, if there is one" {
			t.Errorf("got record %+v, want a denial about %q", r, ref)
		}
		delete(operations, r.Operation)
	}
	if len(operations) != 0 || counted != 0 {
		t.Errorf("got no trace of %d requests and %d readings", len(operations), counted)
	}
}

func TestWhoMayUseANameIsToldThatThereIsNoSuchKey(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	b.apply(`  - {name: t, who: ["service:treasurer"], keys: ["treasury-*"], do: [sign-transaction], then: {delay: 1h}}
  - {name: r, who: ["service:reader"], keys: [any], do: [read], then: allow}
`)
	const id = "key_01j00000000000000000000000"
	treasurer, reader := b.service("treasurer"), b.service("reader")
	for _, c := range []struct {
		a    identity.Actor
		ref  string
		want kms.Kind
	}{
		{treasurer, "treasury-9", kms.NotFound}, {treasurer, "other", kms.Denied}, {treasurer, id, kms.Denied},
		{reader, "treasury-9", kms.NotFound}, {reader, id, kms.NotFound}, {operator, "other", kms.NotFound}, {operator, id, kms.NotFound},
		{treasurer, "Other", kms.Invalid}, {operator, "Other", kms.Invalid},
	} {
		_, err := b.kms.Sign(ctx, c.a, kms.SignRequest{Key: c.ref, Payload: []byte("x")})
		if kms.KindOf(err) != c.want {
			t.Errorf("%s signs by %s: got %v, want %s", c.a.Name(), c.ref, err, c.want)
		}
		_, err = b.kms.Key(ctx, c.a, c.ref, "")
		if kms.KindOf(err) != c.want {
			t.Errorf("%s reads %s: got %v, want %s", c.a.Name(), c.ref, err, c.want)
		}
	}
}

// Losing every right to a key takes away neither the answer to a request that
// was made before, nor what becomes of one that waits.
func TestWhoAskedBeforeStillGetsTheAnswer(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	b.key("k", key.Ed25519, key.Raw)
	b.key("slow", key.Ed25519, key.Raw)
	b.key("other", key.Ed25519, key.Raw)
	b.apply(`  - {name: s, who: ["service:a"], keys: [k], do: [sign], then: allow}
  - {name: w, who: ["service:a"], keys: [slow], do: [sign], then: {delay: 1h}}
`)
	a := b.service("a")
	r := kms.SignRequest{Key: "k", Payload: []byte("x"), Ask: kms.Ask{Idempotency: "once"}}
	first, err := b.kms.Sign(ctx, a, r)
	b.must(err)
	_, err = b.kms.Sign(ctx, a, kms.SignRequest{Key: "slow", Payload: []byte("x")})
	waits := wantKind(t, err, kms.Waiting)
	b.apply("")
	again, err := b.kms.Sign(ctx, a, r)
	if err != nil || !again.Replayed || string(again.Signature) != string(first.Signature) {
		t.Errorf("got %+v (%v), want the first answer", again, err)
	}
	r.Key = "other"
	_, err = b.kms.Sign(ctx, a, r)
	wantKind(t, err, kms.Denied)
	_, err = b.kms.Collect(ctx, a, waits.Operation)
	if e := wantKind(t, err, kms.Denied); e.Operation != waits.Operation || !strings.Contains(e.Message, "no rule is for service:a") {
		t.Errorf("got %+v, want the waiting request itself denied", e)
	}
}

// A rule that denies the reading of some keys keeps them out of the list too.
func TestTheListLeavesOutWhatIsDenied(t *testing.T) {
	b := newBed(t)
	for _, name := range []string{"cold-1", "hot-1", "cold-2", "hot-2", "hot-3"} {
		b.key(name, key.Ed25519, key.Raw)
	}
	b.apply(`  - {name: r, who: ["service:reader"], keys: [any], do: [read], then: allow}
  - {name: no, who: [any], keys: ["cold-*"], do: [read], then: deny}
`)
	reader := b.service("reader")
	var names []string
	after := ""
	for range 2 { // pages are full as long as there is more
		page, err := b.kms.Keys(context.Background(), reader, after, 2)
		b.must(err)
		for _, k := range page {
			names, after = append(names, k.Name), string(k.ID)
		}
	}
	slices.Sort(names) // of two keys made in one millisecond either may be the older
	if want := []string{"hot-1", "hot-2", "hot-3"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// Which services and slots there are is not told before it is judged who asks.
func TestServicesAndSlotsAreNotToldToStrangers(t *testing.T) {
	b := newBed(t)
	a := b.service("nobody")
	ctx := context.Background()
	for what, ask := range map[string]func() error{
		"this service":    func() error { _, err := b.kms.RevokeService(ctx, a, "nobody", kms.Ask{}); return err },
		"another service": func() error { _, err := b.kms.RevokeService(ctx, a, "missing", kms.Ask{}); return err },
		"the last slot":   func() error { _, err := b.kms.RemoveSlot(ctx, a, "first", kms.Ask{}); return err },
		"another slot":    func() error { _, err := b.kms.RemoveSlot(ctx, a, "missing", kms.Ask{}); return err },
		"a bad policy":    func() error { _, err := b.kms.CheckPolicy(ctx, a, []byte("x")); return err },
	} {
		if err := ask(); kms.KindOf(err) != kms.Denied {
			t.Errorf("%s: got %v, want denied", what, err)
		}
	}
}
