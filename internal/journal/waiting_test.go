package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

const asking = `version: 1
groups:
  crew: [first, second]
rules:
  - name: asking
    who: [operator]
    keys: [any]
    do: [any]
    then: {approvals: 1, of: crew}
`

// The bound holds to the request, whatever became of a commit on the way to it,
// and also among those that come in one group.
func TestNobodyKeepsMoreWaitingThanTheBound(t *testing.T) {
	for name, test := range map[string]struct{ lost, happens bool }{
		"no fault":                   {},
		"an unknown commit happened": {lost: true, happens: true},
		"an unknown commit did not":  {lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			var lose atomic.Bool
			h := journaltest.Over(t, asking, func(commit func() error) error {
				if !lose.Swap(false) {
					return commit()
				}
				if test.happens {
					if err := commit(); err != nil {
						return err
					}
				}
				return errLost
			})
			ctx, k := context.Background(), newKey(t, "k")
			wait := func(n int) error {
				_, err := h.Journal.Wait(ctx, h.Decide(k, 1, key.ECDSASHA256, message(t, fmt.Sprint(n))), journal.Terms{})
				return err
			}
			for n := range 40 {
				if err := wait(n); err != nil {
					t.Fatal(err)
				}
			}
			if test.lost {
				lose.Store(true)
				if err := wait(-1); !errors.Is(err, journal.ErrUnknown) {
					t.Fatalf("got %v, want an unknown commit", err)
				}
				for h.Journal.Ready() != nil {
					time.Sleep(time.Millisecond)
				}
			}
			var wg sync.WaitGroup
			var crowded atomic.Int64
			for n := range 100 {
				wg.Go(func() {
					switch err := wait(100 + n); {
					case errors.Is(err, journal.ErrCrowded):
						crowded.Add(1)
					case err != nil:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			all, err := h.Journal.List(ctx, journal.Waiting, "", "", 1000)
			if err != nil || len(all) != 100 {
				t.Errorf("got %d requests waiting (%d refused), %v; want 100", len(all), crowded.Load(), err)
			}
			h.Reopen() // counted anew
			if err := wait(1000); !errors.Is(err, journal.ErrCrowded) {
				t.Errorf("after a restart: got %v, want ErrCrowded", err)
			}
		})
	}
}

// A few large requests fill the disk as well as many small ones.
func TestBytesThatWaitAreBounded(t *testing.T) {
	h := journaltest.Under(t, asking)
	ctx, k := context.Background(), newKey(t, "k")
	sum := 0
	var full error
	for n := 0; full == nil && n < 40; n++ {
		var d policy.Decision = h.Decide(k, 1, key.ECDSASHA256, message(t, fmt.Sprint(n, strings.Repeat("x", 1<<20-100))))
		if _, full = h.Journal.Wait(ctx, d, journal.Terms{}); full == nil {
			sum += len(d.Request().Bytes())
		}
	}
	if !errors.Is(full, journal.ErrCrowded) || sum > 16<<20 || sum < 15<<20 {
		t.Errorf("got %d bytes waiting, then %v; want at most 16 MiB", sum, full)
	}
}

// Whoever may have a hundred requests waiting may also ask for lists of them, a
// hundred at a time.
func TestListsHoldNoPayloads(t *testing.T) {
	h := journaltest.Under(t, asking)
	ctx, k := context.Background(), newKey(t, "k")
	d := h.Decide(k, 1, key.ECDSASHA256, message(t, strings.Repeat("x", 1<<20-100)))
	op, err := h.Journal.Wait(ctx, d, journal.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := h.Journal.List(ctx, journal.Waiting, "", "", 1000)
	if err != nil || len(all) != 1 || all[0].ID != op.ID || len(all[0].Request)+len(all[0].Result) != 0 {
		t.Errorf("got %d operations, %v; want one without its request", len(all), err)
	}
	if one, err := h.Journal.Find(ctx, op.ID, ""); err != nil || len(one.Request) < 1<<20 {
		t.Errorf("got %d bytes, %v; want the whole request where it is asked for", len(one.Request), err)
	}
}

func TestOnlyWhoAskedWithdrawsAndOnce(t *testing.T) {
	h := journaltest.Over(t, asking, func(commit func() error) error { return commit() })
	ctx, k := context.Background(), newKey(t, "k")
	op, err := h.Journal.Wait(ctx, h.Decide(k, 1, key.ECDSASHA256, message(t, "one")), journal.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Journal.Withdraw(ctx, op.ID, "service:other"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by another: got %v, want %v", err, store.ErrNotFound)
	}
	if got, err := h.Journal.Find(ctx, op.ID, ""); err != nil || got.State != journal.Waiting {
		t.Fatalf("after another tried: got %v (%v), want it waiting", got.State, err)
	}
	at, err := h.Journal.Withdraw(ctx, op.ID, "operator")
	if err != nil || at.Sequence == 0 {
		t.Fatalf("got record %d, %v", at.Sequence, err)
	}
	got, err := h.Journal.Find(ctx, op.ID, "operator")
	if err != nil || got.State != journal.Expired || got.Outcome != "expired: withdrawn by who asked" || got.Ended != at.Sequence || len(got.Request) != 0 {
		t.Errorf("got %+v (%v), want it ended by record %d and nothing kept", got, err, at.Sequence)
	}
	if _, err := h.Journal.Withdraw(ctx, op.ID, "operator"); !errors.Is(err, journal.ErrState) {
		t.Errorf("again: got %v, want %v", err, journal.ErrState)
	}
}
