package kms_test

import (
	"context"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/store"
)

func TestDestructionWaitsCanBeCancelledAndIsForEver(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	now := time.Now()
	b.clock = func() time.Time { return now }
	b.key("saved", key.P256, key.Raw)
	doomed := b.key("doomed", key.P256, key.Raw)
	signed, err := b.sign("doomed", "hello", kms.Ask{})
	b.must(err)
	for _, days := range []int{-1, 6, 31} {
		_, _, err := b.kms.DestroyKey(ctx, operator, "doomed", days, kms.Ask{})
		wantKind(t, err, kms.Invalid)
	}
	for _, name := range []string{"saved", "doomed"} {
		k, _, err := b.kms.DestroyKey(ctx, operator, name, 7, kms.Ask{})
		b.must(err)
		if want := now.Add(7 * 24 * time.Hour).UnixMilli(); k.State != key.PendingDestruction || k.DestroyAt != want {
			t.Errorf("got %s at %d, want pending-destruction at %d", k.State, k.DestroyAt, want)
		}
		_, err = b.sign(name, "hello", kms.Ask{})
		wantKind(t, err, kms.Denied)
	}
	k, _, err := b.kms.CancelDestroy(ctx, operator, "saved", kms.Ask{})
	if err != nil || k.State != key.Suspended || k.DestroyAt != 0 {
		t.Errorf("cancelled: got %s, %v; want suspended", k.State, err)
	}

	now = now.Add(7*24*time.Hour - time.Millisecond)
	b.must(b.kms.DestroyDue(ctx))
	if k, err := b.kms.Key(ctx, operator, "doomed", ""); err != nil || k.State != key.PendingDestruction {
		t.Fatalf("a millisecond early: got %s, %v", k.State, err)
	}
	now = now.Add(time.Millisecond)
	b.must(b.kms.DestroyDue(ctx))

	for range 2 { // and after a restart
		k, err := b.kms.Key(ctx, operator, string(doomed.ID), "")
		if err != nil || k.State != key.Destroyed || k.Name != "doomed" || len(k.Versions) != 1 || len(k.Versions[0].Public) == 0 {
			t.Fatalf("got %+v, %v; want a tombstone with its public half", k, err)
		}
		_, err = b.sign("doomed", "hello", kms.Ask{})
		wantKind(t, err, kms.Denied)
		_, _, err = b.kms.CancelDestroy(ctx, operator, "doomed", kms.Ask{})
		wantKind(t, err, kms.Denied)
		_, _, err = b.kms.CreateKey(ctx, operator, kms.NewKey{Name: "doomed", Spec: key.P256})
		wantKind(t, err, kms.Conflict)
		for row, err := range b.reader.Query(ctx, "SELECT count(*) FROM material WHERE key_id = $1", string(doomed.ID)) {
			if err != nil || row.Int(0) != 0 {
				t.Errorf("got %d rows of material, %v; want none", row.Int(0), err)
			}
		}
		b.again(nil)
		b.unseal()
	}
	_, err = b.kms.Verify(ctx, operator, kms.VerifyRequest{Key: "doomed", Type: chain.TypeMsg, Payload: []byte("hello"), Signature: signed.Signature})
	wantKind(t, err, kms.Conflict)
	if _, _, err := b.kms.EnableKey(ctx, operator, "saved", kms.Ask{}); err != nil {
		t.Error(err)
	}
	if _, err := b.sign("saved", "hello", kms.Ask{}); err != nil {
		t.Errorf("the saved key: %v", err)
	}
	found := 0
	for _, r := range b.records() {
		if r.Action == "key.destroyed" && r.Subject == "doomed" {
			found++
		}
	}
	if found != 1 {
		t.Errorf("got %d records of the destruction, want 1", found)
	}
	b.must(b.reader.VerifyAll(ctx, []store.Table{}))
}
