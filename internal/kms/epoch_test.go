package kms_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/kms"
)

// While callers sign all the time, somebody tightens: whatever begins after the
// tightening returned is refused. Each caller notes whether it had returned
// before it asked.
func TestNothingBeginsUnderAnOldState(t *testing.T) {
	for name, tighten := range map[string]func(*bed) error{
		"key disabled": func(b *bed) error {
			_, _, err := b.kms.DisableKey(context.Background(), operator, "k", kms.Ask{})
			return err
		},
		"key to be destroyed": func(b *bed) error {
			_, _, err := b.kms.DestroyKey(context.Background(), operator, "k", 7, kms.Ask{})
			return err
		},
		"service revoked": func(b *bed) error {
			_, err := b.kms.RevokeService(context.Background(), operator, "a", kms.Ask{})
			return err
		},
		"another policy": func(b *bed) error {
			_, _, err := b.kms.ApplyPolicy(context.Background(), operator, []byte(solo), kms.Ask{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.key("k", key.P256, key.Raw)
			b.apply("  - {name: a, who: [service:a], keys: [k], do: [sign], then: allow}\n")
			a, token := b.serviceToken("a")
			var tightened atomic.Bool
			var wg sync.WaitGroup
			var signed atomic.Int64
			enough := make(chan struct{})
			for range 8 {
				wg.Go(func() {
					for after := 0; after < 3; {
						late := tightened.Load()
						_, err := b.kms.Sign(context.Background(), a, kms.SignRequest{Key: "k", Type: chain.TypeMsg, Payload: []byte("x")})
						if err == nil && signed.Add(1) == 20 {
							close(enough)
						}
						if late {
							after++
							if err == nil {
								t.Error("a signature was begun under the old state")
							}
						}
					}
				})
			}
			<-enough
			if err := tighten(b); err != nil {
				t.Error(err)
			}
			tightened.Store(true)
			wg.Wait()
			if name == "service revoked" {
				_, err := b.kms.Authenticate(context.Background(), token, netip.Addr{})
				wantKind(t, err, kms.Unauthenticated)
			}
		})
	}
}

func TestPoliciesAppliedAtOnceFollowOneAnother(t *testing.T) {
	b := newBed(t)
	var versions sync.Map
	many(8, func(i int) {
		v, _, err := b.kms.ApplyPolicy(context.Background(), operator, []byte(solo), kms.Ask{})
		if err != nil {
			t.Error(err)
		}
		if _, twice := versions.LoadOrStore(v.Version, i); twice {
			t.Errorf("version %d was given twice", v.Version)
		}
	})
	b.again(nil)
	b.unseal()
	p, err := b.kms.Policy(context.Background(), operator)
	if err != nil || p.Version != 8 {
		t.Errorf("got version %d, %v; want 8", p.Version, err)
	}
}

// What was done before is told as it is, never as it would have been.
func TestRepeatedAdministrationTellsWhatIs(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	ask := kms.Ask{Idempotency: "again"}
	n := kms.NewKey{Ask: ask, Name: "k", Spec: key.P256}
	made, _, err := b.kms.CreateKey(ctx, operator, n)
	b.must(err)
	again, _, err := b.kms.CreateKey(ctx, operator, n)
	if err != nil || again.ID != made.ID {
		t.Errorf("created twice: got %s, %v; want %s", again.ID, err, made.ID)
	}
	n.Spec = key.P384
	_, _, err = b.kms.CreateKey(ctx, operator, n)
	wantKind(t, err, kms.Conflict)

	ask.Idempotency = "rotate"
	for range 2 {
		k, _, err := b.kms.RotateKey(ctx, operator, "k", ask)
		if err != nil || k.Current != 2 || len(k.Versions) != 2 {
			t.Errorf("rotated twice: got version %d of %d, %v; want 2", k.Current, len(k.Versions), err)
		}
	}
	ask.Idempotency = "policy"
	for range 2 {
		p, _, err := b.kms.ApplyPolicy(ctx, operator, []byte(solo), ask)
		if err != nil || p.Version != 1 {
			t.Errorf("applied twice: got version %d, %v; want 1", p.Version, err)
		}
	}
}
