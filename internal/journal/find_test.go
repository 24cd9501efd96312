package journal_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/store"
)

func TestOperationsWithoutARowAreFoundInTheLog(t *testing.T) {
	h := journaltest.New(t)
	ctx := context.Background()
	k := newKey(t, "k")
	done := h.Permit(k, 1, key.ECDSASHA256, message(t, "done"))
	if err := h.Journal.Finish(ctx, done, journal.Outcome{Result: []byte("sig"), Wait: true}); err != nil {
		t.Fatal(err)
	}
	failed := h.Permit(k, 1, key.ECDSASHA256, message(t, "failed"))
	if err := h.Journal.Finish(ctx, failed, journal.Outcome{Failed: "broken", Wait: true}); err != nil {
		t.Fatal(err)
	}
	d := h.Decide(k, 1, key.ECDSASHA256, message(t, "refused"))
	refused, err := h.Journal.Refuse(d, journal.Terms{}, errors.New("no"))
	if err != nil {
		t.Fatal(err)
	}
	lost := h.Permit(k, 1, key.ECDSASHA256, message(t, "lost"))
	h.Reopen()
	begun := h.Permit(k, 1, key.ECDSASHA256, message(t, "begun"))
	for id, want := range map[string]journal.State{
		done.Operation(): journal.Done, failed.Operation(): journal.Failed, refused: journal.Denied, lost.Operation(): journal.Unknown,
		begun.Operation(): journal.Begun,
	} {
		for _, actor := range []string{"", d.Request().Actor().Name()} {
			if op, err := h.Journal.Find(ctx, id, actor); err != nil || op.State != want || op.ID != id || op.Subject != "k" {
				t.Errorf("asked by %q: got %+v (%v), want it %s", actor, op, err, want)
			}
		}
		if op, err := h.Journal.Find(ctx, id, "service:other"); !errors.Is(err, store.ErrNotFound) || op.ID != "" {
			t.Errorf("asked by another: got %+v (%v), want none", op, err)
		}
	}
}

// A row is not shown to others either.
func TestOperationsWithARowAreTheirActors(t *testing.T) {
	h := journaltest.New(t)
	ctx := context.Background()
	p, err := h.Journal.Begin(ctx, grant(t, h.Decide(newKey(t, "k"), 1, key.ECDSASHA256, message(t, "x"))), journal.Terms{Idempotency: "once"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Journal.Find(ctx, p.Operation(), "operator"); err != nil {
		t.Error(err)
	}
	if _, err := h.Journal.Find(ctx, p.Operation(), "service:other"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("asked by another: got %v, want none", err)
	}
}

// fillLog writes n notes.
func fillLog(t testing.TB, h *journaltest.House, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range 512 {
		all.Go(func() {
			for range n / 512 {
				if err := h.Journal.Note(context.Background(), journal.Notice{Action: "test.note", Actor: "operator", Source: "unix"}, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// However long the log has become, an id that nobody ever gave out costs no more.
func TestLookingForAnOperationIsBounded(t *testing.T) {
	h := journaltest.New(t)
	ulid, err := key.ULID(time.Now().UnixMilli(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cost := func() float64 {
		return testing.AllocsPerRun(1, func() {
			if _, err := h.Journal.Find(context.Background(), "op_"+ulid, ""); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("got %v, want none", err)
			}
		})
	}
	fillLog(t, h, 20_480)
	short := cost()
	fillLog(t, h, 40_960)
	if long := cost(); long > 1.5*short {
		t.Errorf("got %.0f allocations in a log three times as long, want about %.0f", long, short)
	}
}
