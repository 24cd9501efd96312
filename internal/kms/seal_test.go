package kms_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/store"
)

func TestASealedKeywardDoesNothing(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	b.must(b.kms.Seal(context.Background(), operator))
	got := calls(b, operator)
	for name, err := range got {
		if kind := kms.KindOf(err); kind != kms.Sealed {
			t.Errorf("%s: got %v (%s), want sealed", name, err, kind)
		}
	}
	if len(got) < 28 {
		t.Errorf("got %d calls, want all there are", len(got))
	}
	if s := b.kms.Status(context.Background()); !s.Sealed || s.Ready || s.Installation != "" || len(s.Seal) != 1 {
		t.Errorf("got status %+v", s)
	}
	if b.kms.Ready() == nil || b.kms.Checkpoint() != nil || b.kms.LogKey() != "" {
		t.Error("a sealed keyward is ready, or shows its log")
	}
	b.unseal()
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Error(err)
	}
}

// Everything goes on while somebody seals: each call is done or refused as
// sealed, none hangs, and after the restart no operation is open.
func TestSealingUnderLoad(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	a := b.service("a")
	_ = a
	for range rounds {
		var wg sync.WaitGroup
		var signed atomic.Int64
		enough := make(chan struct{})
		loop := func(f func() error) {
			wg.Go(func() {
				for {
					err := f()
					if kms.KindOf(err) == kms.Sealed && err != nil {
						return
					}
					if err != nil {
						t.Errorf("got %v (%s), want it done or sealed", err, kms.KindOf(err))
						return
					}
					if signed.Add(1) == 100 {
						close(enough)
					}
				}
			})
		}
		for range 8 {
			loop(func() error { _, err := b.sign("k", "hello", kms.Ask{}); return err })
		}
		loop(func() error {
			_, _, err := b.kms.ApplyPolicy(context.Background(), operator, []byte(solo), kms.Ask{})
			return err
		})
		loop(func() error { _, _, err := b.kms.RotateKey(context.Background(), operator, "k", kms.Ask{}); return err })
		loop(func() error { _, err := b.kms.Keys(context.Background(), operator, "", 0); return err })
		loop(func() error { _, err := b.kms.AuditCheckpoint(context.Background(), operator); return err })
		<-enough
		b.must(b.kms.Seal(context.Background(), operator))
		wg.Wait()
		b.unseal()
		open := map[string]bool{}
		unknown := 0
		for _, r := range b.records() {
			switch r.Phase {
			case "begun":
				open[r.Operation] = true
			case "ended":
				delete(open, r.Operation)
				if r.Outcome != "done" {
					unknown++
				}
			}
		}
		if len(open) > 0 || unknown > 0 {
			t.Errorf("got %d operations without an end and %d without an outcome, want none: sealing waits for them", len(open), unknown)
		}
	}
}

// Whoever must take the keys out of memory is not kept from it by a disk that
// nothing can be written to.
func TestTheOperatorSealsWithoutADisk(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{{"commits are lost", errLost}, {"the disk fails", store.ErrBroken}} {
		t.Run(c.name, func(t *testing.T) {
			b, f := newBed(t), &failEngine{}
			b.engine = f.wrap
			b.key("k", key.P256, key.Raw)
			b.again(nil)
			b.unseal()
			a := b.service("guard")
			b.apply("  - {name: guard, who: [service:guard], keys: [any], do: [seal], then: allow}\n")
			f.mu.Lock()
			f.commit = func(int) error { return c.err }
			f.mu.Unlock()
			if _, err := b.sign("k", "hello", kms.Ask{}); err == nil {
				t.Fatal("signed without a record")
			}
			if err := b.kms.Seal(t.Context(), a); err == nil || b.kms.Status(t.Context()).Sealed {
				t.Errorf("got %v; want nobody else to seal without a record", err)
			}
			b.must(b.kms.Seal(t.Context(), operator))
			if !b.kms.Status(t.Context()).Sealed {
				t.Error("not sealed")
			}
		})
	}
}

// A plaintext is not kept to wait; that it was refused is told like any denial.
func TestAPlaintextThatWouldWaitIsRefusedOnTheRecord(t *testing.T) {
	b := newBed(t)
	b.key("e", key.AES256, key.Raw)
	a := b.service("slow")
	b.apply("  - {name: slow, who: [service:slow], keys: [e], do: [encrypt], then: {delay: 1m}}\n")
	_, err := b.kms.Encrypt(t.Context(), a, kms.CryptRequest{Key: "e", Input: []byte("secret")})
	e := wantKind(t, err, kms.Denied)
	for _, r := range b.settled() {
		if r.Operation == e.Operation && r.Phase == "denied" && r.Action == "key.encrypt" && r.Actor == "service:slow" {
			return
		}
	}
	t.Errorf("no record of %q (%v)", e.Operation, err)
}
