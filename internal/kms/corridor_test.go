package kms_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/kms"
)

// denial finds the record of a denied operation.
func denial(t *testing.T, all []audit.Record, id string) audit.Record {
	t.Helper()
	for _, r := range all {
		if r.Operation == id && r.Phase == "denied" {
			return r
		}
	}
	t.Fatalf("no record of denied operation %q", id)
	return audit.Record{}
}

func TestEachDenialHasItsReasonAndItsRecord(t *testing.T) {
	b := newBed(t)
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.apply(payouts("3"))
	service := b.service("payouts")
	sign := func(typ chain.Type, payload []byte, ask kms.Ask) error {
		_, err := b.kms.Sign(context.Background(), service, kms.SignRequest{Ask: ask, Key: "hot", Type: typ, Payload: payload})
		return err
	}
	const stranger = "0x000000000000000000000000000000000000bEEF"
	blind := strings.Replace(string(payment(payee, 1, 0)), `"gas"`, `"data":"0xdeadbeef","gas"`, 1)
	for _, c := range []struct {
		name, code, text string
		err              error
	}{
		{"over the amount", "over-amount", "is over max 1 ETH", sign(chain.TypeTx, payment(payee, 1001, 0), kms.Ask{})},
		{"unknown address", "destination", "0x", sign(chain.TypeTx, payment(stranger, 1, 0), kms.Ask{})},
		{"blind call", "blind", "", sign(chain.TypeTx, []byte(blind), kms.Ask{})},
		{"digest by a chain's key", "", "", sign(chain.Digest, make([]byte, 32), kms.Ask{})},
		{"a verb that no rule allows", "", "", sign(chain.TypeMsg, []byte("hello"), kms.Ask{})},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := wantKind(t, c.err, kms.Denied)
			codes := ""
			for _, r := range e.Reasons {
				codes += r.Code + " "
			}
			if !strings.Contains(codes, c.code) || !strings.Contains(e.Message, c.text) {
				t.Errorf("got reasons %q, %q; want code %q and %q", codes, e.Message, c.code, c.text)
			}
			r := denial(t, b.settled(), e.Operation)
			if r.Actor != "service:payouts" || r.Decision != "denied" || !strings.Contains(r.Detail, e.Reasons[0].Text) || r.Request == ([32]byte{}) {
				t.Errorf("got record %+v, want who, what and why", r)
			}
		})
	}
	for n := range 3 { // 2.85 ETH and fees of a window of 3
		if _, err := b.pay(service, "hot", payee, 950, n, kms.Ask{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.pay(service, "hot", payee, 950, 3, kms.Ask{})
	e := wantKind(t, err, kms.Denied)
	if e.Reasons[0].Code != "over-window" || !strings.Contains(denial(t, b.settled(), e.Operation).Detail, "ETH spent in the last 24h") {
		t.Errorf("got %+v, want over-window", e.Reasons)
	}
	if got, want := b.spent(), charged(t, b.records()); got.Cmp(want) != 0 {
		t.Errorf("got %s spent, want the %s of the records: denials spend nothing", got, want)
	}
}

func TestIdempotencyKeyWithAnotherBodyIsRefusedAndRecorded(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	ask := kms.Ask{Idempotency: "once"}
	first, err := b.sign("k", "hello", ask)
	b.must(err)
	b.settled()
	again, err := b.sign("k", "hello", ask)
	b.must(err)
	if !again.Replayed || again.Operation != first.Operation || string(again.Signature) != string(first.Signature) {
		t.Errorf("got %+v, want the first answer again", again)
	}
	_, err = b.sign("k", "another", ask)
	wantKind(t, err, kms.Conflict)
	found := 0
	for _, r := range b.settled() {
		if r.Phase == "denied" && r.Detail == "idempotency key was used for another request" && r.Subject == "k" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("got %d records of the reused key, want 1", found)
	}
}

func TestExpiredRequestIsRefusedAndRecorded(t *testing.T) {
	b := newBed(t)
	b.key("slow", key.P256, key.Raw)
	b.apply("  - {name: patience, who: [service:a], keys: [slow], do: [sign], then: {delay: 1h}}\n")
	a := b.service("a")
	ask := kms.SignRequest{Key: "slow", Type: chain.TypeMsg, Payload: []byte("x")}
	ask.ExpiresIn = int64(90 * time.Minute / time.Millisecond)
	_, err := b.kms.Sign(context.Background(), a, ask)
	id := wantKind(t, err, kms.Waiting).Operation
	_, err = b.kms.Collect(context.Background(), a, id)
	wantKind(t, err, kms.Waiting)
	if _, err := b.kms.Collect(context.Background(), operator, id); kms.KindOf(err) != kms.NotFound {
		t.Errorf("collected by another: got %v, want not-found", err)
	}
	b.clock = func() time.Time { return time.Now().Add(2 * time.Hour) }
	_, err = b.kms.Collect(context.Background(), a, id)
	if kind := kms.KindOf(err); kind != kms.Denied && kind != kms.Expired {
		t.Fatalf("got %v, want it expired", err)
	}
	if r := denial(t, b.settled(), id); !strings.Contains(r.Detail, "expired") {
		t.Errorf("got detail %q, want expired", r.Detail)
	}
}

func TestDelayedRequestIsCollectedOnceAndVoidedByAnotherPolicy(t *testing.T) {
	b := newBed(t)
	b.key("slow", key.P256, key.Raw)
	rules := "  - {name: patience, who: [service:a], keys: [slow], do: [sign], then: {delay: 1h}}\n"
	b.apply(rules)
	a := b.service("a")
	wait := func(text string) string {
		_, err := b.kms.Sign(context.Background(), a, kms.SignRequest{Key: "slow", Type: chain.TypeMsg, Payload: []byte(text)})
		return wantKind(t, err, kms.Waiting).Operation
	}
	first, second := wait("1"), wait("2")
	b.clock = func() time.Time { return time.Now().Add(2 * time.Hour) }
	signed, err := b.kms.Collect(context.Background(), a, first)
	b.must(err)
	b.settled()
	again, err := b.kms.Collect(context.Background(), a, first)
	if err != nil || !again.Replayed || string(again.Signature) != string(signed.Signature) {
		t.Errorf("collected again: got %+v, %v; want the stored signature", again, err)
	}
	b.apply(rules + "  - {name: more, who: [service:b], keys: [slow], do: [sign], then: allow}\n")
	_, err = b.kms.Collect(context.Background(), a, second)
	wantKind(t, err, kms.Expired)
}

// A denial that was asked under an idempotency key leaves that key free, and
// never disturbs those who share its commit.
func TestDeniedTwiceUnderOneIdempotencyKeyHarmsNobody(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	b.apply("  - {name: look, who: [service:a], keys: [k], do: [read], then: allow}\n")
	a := b.service("a")
	try := func() error {
		_, err := b.kms.Sign(context.Background(), a, kms.SignRequest{Ask: kms.Ask{Idempotency: "same"}, Key: "k", Type: chain.TypeMsg, Payload: []byte("x")})
		return err
	}
	for range 3 {
		wantKind(t, try(), kms.Denied)
		if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
			t.Fatalf("another caller's request in the same commit: %v", err)
		}
	}
	b.apply("  - {name: a, who: [service:a], keys: [k], do: [sign], then: allow}\n")
	if err := try(); err != nil {
		t.Errorf("after it was allowed: got %v, want a signature", err)
	}
}

func TestZeroActorIsRefusedEverywhere(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	for name, err := range calls(b, identity.Actor{}) {
		if kind := kms.KindOf(err); err == nil || kind != kms.Unauthenticated && kind != kms.Denied && kind != kms.Invalid {
			t.Errorf("%s by nobody: got %v (%s)", name, err, kind)
		}
	}
}

// calls makes every call there is, as an actor.
func calls(b *bed, a identity.Actor) map[string]error {
	ctx := context.Background()
	m := map[string]error{}
	_, _, m["CreateKey"] = b.kms.CreateKey(ctx, a, kms.NewKey{Name: "new", Spec: key.P256})
	_, m["Keys"] = b.kms.Keys(ctx, a, "", 0)
	_, m["Key"] = b.kms.Key(ctx, a, "k", "")
	_, _, m["DisableKey"] = b.kms.DisableKey(ctx, a, "k", kms.Ask{})
	_, _, m["EnableKey"] = b.kms.EnableKey(ctx, a, "k", kms.Ask{})
	_, _, m["RotateKey"] = b.kms.RotateKey(ctx, a, "k", kms.Ask{})
	_, _, m["DestroyKey"] = b.kms.DestroyKey(ctx, a, "k", 7, kms.Ask{})
	_, _, m["CancelDestroy"] = b.kms.CancelDestroy(ctx, a, "k", kms.Ask{})
	_, m["Sign"] = b.kms.Sign(ctx, a, kms.SignRequest{Key: "k", Payload: []byte("x")})
	_, m["Sign, rehearsed"] = b.kms.Sign(ctx, a, kms.SignRequest{Key: "k", Payload: []byte("x"), DryRun: true})
	items, err := b.kms.SignBatch(ctx, a, []kms.SignRequest{{Key: "k", Payload: []byte("x")}}, kms.Ask{})
	if err == nil {
		err = items[0].Err
	}
	m["SignBatch"] = err
	_, m["Collect"] = b.kms.Collect(ctx, a, "op_01j00000000000000000000000")
	_, m["Verify"] = b.kms.Verify(ctx, a, kms.VerifyRequest{Key: "k", Payload: []byte("x")})
	_, _, m["Decode"] = b.kms.Decode(ctx, a, kms.DecodeRequest{Payload: []byte("x"), Type: chain.TypeMsg, Key: "k"})
	_, m["Encrypt"] = b.kms.Encrypt(ctx, a, kms.CryptRequest{Key: "k", Input: []byte("x")})
	_, m["DataKey"] = b.kms.DataKey(ctx, a, kms.CryptRequest{Key: "k"})
	_, m["MAC"] = b.kms.MAC(ctx, a, kms.CryptRequest{Key: "k", Input: []byte("x")})
	_, _, m["VerifyMAC"] = b.kms.VerifyMAC(ctx, a, kms.CryptRequest{Key: "k", Input: []byte("x"), MAC: []byte("x")})
	_, m["Policy"] = b.kms.Policy(ctx, a)
	_, _, m["ApplyPolicy"] = b.kms.ApplyPolicy(ctx, a, []byte(solo), kms.Ask{})
	_, _, _, m["CreateService"] = b.kms.CreateService(ctx, a, kms.NewService{Name: "new"})
	_, m["Services"] = b.kms.Services(ctx, a)
	_, m["Slots"] = b.kms.Slots(ctx, a)
	_, m["RotateRoot"] = b.kms.RotateRoot(ctx, a, kms.Ask{})
	_, m["Requests"] = b.kms.Requests(ctx, a, "", "", 0)
	_, _, m["Request"] = b.kms.Request(ctx, a, "op_01j00000000000000000000000")
	_, m["AuditRecords"] = b.kms.AuditRecords(ctx, a, kms.Query{})
	_, m["AuditEntries"] = b.kms.AuditEntries(ctx, a, 1)
	_, m["AuditCheckpoint"] = b.kms.AuditCheckpoint(ctx, a)
	_, m["AcceptClock"] = b.kms.AcceptClock(ctx, a, 1, kms.Ask{})
	m["Seal"] = b.kms.Seal(ctx, a)
	return m
}

// The words under which policies speak of keyward itself are no names of keys.
func TestReservedNamesAreRefused(t *testing.T) {
	b := newBed(t)
	for _, name := range []string{"any", "policy", "seal", "services", "audit", "keyward", "key_x", "", "A", "a/b"} {
		_, _, err := b.kms.CreateKey(context.Background(), operator, kms.NewKey{Name: name, Spec: key.HMAC256})
		if kms.KindOf(err) != kms.Invalid {
			t.Errorf("name %q: got %v, want invalid", name, err)
		}
	}
}
