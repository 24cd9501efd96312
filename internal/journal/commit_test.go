package journal_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyward/internal/approval"
	"keyward/internal/audit"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// records reads the whole log.
func records(t testing.TB, h *journaltest.House) []audit.Record {
	t.Helper()
	head, err := h.Reader.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Record
	for e, err := range audit.Records(context.Background(), h.Reader, 1, head.Sequence) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.DecodeRecord(e.Record)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// ends counts the ended records of each operation, and those begun without one.
func ends(all []audit.Record) (twice, open int) {
	n := map[string]int{}
	for _, r := range all {
		switch r.Phase {
		case "begun":
			n[r.Operation]--
		case "ended":
			n[r.Operation]++
		}
	}
	for _, v := range n {
		switch {
		case v > 0:
			twice++
		case v < 0:
			open++
		}
	}
	return twice, open
}

// A Permit given out while its commit is still on the way could be used although
// the record never comes to disk. The commit waits here for one to appear.
func TestNoPermitBeforeItsCommit(t *testing.T) {
	var early atomic.Bool
	var returned atomic.Int64
	var watch atomic.Bool
	h := journaltest.Over(t, journaltest.Policy, func(commit func() error) error {
		if watch.Load() {
			before := returned.Load()
			for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if returned.Load() != before {
					early.Store(true)
				}
			}
		}
		return commit()
	})
	k := newKey(t, "k")
	h.Know(k)
	g := grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello")))
	watch.Store(true)
	for range 3 {
		if _, err := h.Journal.Begin(context.Background(), g, journal.Terms{}); err != nil {
			t.Fatal(err)
		}
		returned.Add(1)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, err := h.Journal.Begin(context.Background(), g, journal.Terms{})
			returned.Add(1)
			if err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	watch.Store(false)
	if early.Load() {
		t.Error("Begin returned before its commit")
	}
}

var errLost = journaltest.ErrLost

// Of a commit whose outcome is unknown nobody gets a permit. When it happened,
// what it began is unknown and spent; when it did not, nothing was begun. In both
// cases each operation has exactly one end.
func TestUnknownCommitGivesNoPermit(t *testing.T) {
	for name, happens := range map[string]bool{"it happened": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			var lose atomic.Bool
			h := journaltest.Over(t, journaltest.Policy, func(commit func() error) error {
				if !lose.Swap(false) {
					return commit()
				}
				if happens {
					if err := commit(); err != nil {
						return err
					}
				}
				return errLost
			})
			k := newKey(t, "k")
			h.Know(k)
			ctx := context.Background()
			g := grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello")))
			held, err := h.Journal.Begin(ctx, g, journal.Terms{})
			if err != nil {
				t.Fatal(err)
			}
			finished, err := h.Journal.Begin(ctx, g, journal.Terms{})
			if err != nil {
				t.Fatal(err)
			}
			lose.Store(true)
			if err := h.Journal.Finish(ctx, finished, journal.Outcome{}); err != nil { // rides in the lost commit
				t.Fatal(err)
			}
			p, err := h.Journal.Begin(ctx, g, journal.Terms{Idempotency: "lost"})
			if !errors.Is(err, journal.ErrUnknown) || p.Valid() {
				t.Fatalf("got %v, want ErrUnknown and no permit", err)
			}
			for h.Journal.Ready() != nil {
				time.Sleep(time.Millisecond)
			}
			if err := h.Journal.Finish(ctx, held, journal.Outcome{Wait: true}); err != nil {
				t.Fatal(err)
			}
			again, err := h.Journal.Begin(ctx, g, journal.Terms{Idempotency: "lost"})
			if err != nil { // resumed, or begun for the first time
				t.Fatal(err)
			}
			if err := h.Journal.Finish(ctx, again, journal.Outcome{Wait: true}); err != nil {
				t.Fatal(err)
			}
			all := records(t, h)
			if twice, open := ends(all); twice > 0 || open > 0 {
				t.Errorf("got %d operations ended twice and %d never", twice, open)
			}
			unknown := 0
			for _, r := range all {
				if strings.HasPrefix(r.Outcome, audit.Unknown) {
					unknown++
				}
			}
			if (unknown == 1) != happens {
				t.Errorf("got %d operations of unknown outcome", unknown)
			}
		})
	}
}

// More operations than one commit holds were under way, and recovery itself is
// interrupted between two of its commits.
func TestInterruptedRecoveryIsCompleted(t *testing.T) {
	const many = 600
	commits, stop := 0, -1
	h := journaltest.Over(t, journaltest.Policy, func(commit func() error) error {
		if commits++; commits == stop {
			return errLost
		}
		return commit()
	})
	k := newKey(t, "k")
	h.Know(k)
	g := grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello")))
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			if _, err := h.Journal.Begin(context.Background(), g, journal.Terms{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.Close()
	commits, stop = 0, 2 // the first of at least three goes through
	if err := h.TryOpen(); err == nil {
		t.Fatal("recovery was not interrupted")
	}
	stop = -1
	h.Reopen()
	if _, open := ends(records(t, h)); open > 0 {
		t.Errorf("got %d operations without an end", open)
	}
}

func TestCloseLeavesNobodyWaiting(t *testing.T) {
	for range 20 {
		h := journaltest.New(t)
		k := newKey(t, "k")
		h.Know(k)
		g := grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello")))
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for {
					p, err := h.Journal.Begin(context.Background(), g, journal.Terms{})
					if errors.Is(err, journal.ErrStopped) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					if err := h.Journal.Finish(context.Background(), p, journal.Outcome{}); err != nil && !errors.Is(err, journal.ErrStopped) {
						t.Error(err)
					}
				}
			})
		}
		j := h.Journal
		j.Close()
		wg.Wait()
	}
}

func TestZeroProofsBeginNothing(t *testing.T) {
	h := journaltest.New(t)
	ctx := context.Background()
	if p, err := h.Journal.Begin(ctx, approval.Grant{}, journal.Terms{}); err == nil || p.Valid() {
		t.Error("begun without a grant")
	}
	if _, _, err := h.Journal.Do(ctx, approval.Grant{}, journal.Terms{Effect: func(*store.Tx) error { return nil }}); err == nil {
		t.Error("done without a grant")
	}
	if err := h.Journal.Finish(ctx, journal.Permit{}, journal.Outcome{}); !errors.Is(err, journal.ErrNoPermit) {
		t.Errorf("finished without a permit: %v", err)
	}
	if _, err := approval.Tally(policy.Decision{}, 0); err == nil {
		t.Error("a grant of no decision")
	}
	k := newKey(t, "k")
	g := grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello")))
	if _, _, err := h.Journal.Do(ctx, g, journal.Terms{}); err == nil {
		t.Error("done without an effect")
	}
	p := h.Permit(k, 1, key.ECDSASHA256, message(t, "hello"))
	if err := h.Journal.Finish(ctx, p, journal.Outcome{}); err != nil {
		t.Fatal(err)
	}
	if err := h.Journal.Finish(ctx, p, journal.Outcome{}); !errors.Is(err, journal.ErrNoPermit) {
		t.Errorf("finished twice: %v", err)
	}
	if got := len(records(t, h)); got > 3 {
		t.Errorf("got %d records, want none of what was refused", got)
	}
}
