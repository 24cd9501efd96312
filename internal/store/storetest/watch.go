package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"keyward/internal/store"
)

// counted is an engine that counts how often all rows are verified.
type counted struct {
	store.Engine
	n atomic.Int64
}

func (c *counted) Intact(ctx context.Context) error {
	c.n.Add(1)
	return c.Engine.Intact(ctx)
}

// watch plays somebody who writes while the Writer has the database open.
func watch(t *testing.T, open Opener) {
	if newHouse(t, open).engine.Version() == "" {
		return // others commit to this engine's database by right
	}
	watched := func(t *testing.T) (*house, *counted) {
		c := &counted{}
		h := settled(t, func(t testing.TB, place string) store.Engine { c.Engine = open(t, place); return c })
		h.must(h.commit(insert(Spend, spend(1, "key_0", 1))))
		h.must(h.writer.Verify(t.Context(), summed))
		c.n.Store(0)
		return h, c
	}
	looked := func(h *house, c *counted, want int64) {
		h.Helper()
		if n := c.n.Load(); n != want {
			h.Errorf("all rows were verified %d times, want %d", n, want)
		}
	}
	deleted := `DELETE FROM "spend" WHERE "bucket" = 1`

	t.Run("our own commits are not verified", func(t *testing.T) {
		h, c := watched(t)
		for i := range 20 {
			h.must(h.commit(insert(Spend, spend(i+10, "key_0", 1))))
			h.wantError(h.commit(func(*store.Tx) error { return store.ErrNotFound }), store.ErrNotFound)
			h.must(h.verify())
			c.n.Add(-1)
		}
		looked(h, c, 0)
	})
	t.Run("what is found stays found", func(t *testing.T) {
		h, c := watched(t)
		h.attack(deleted)
		for range 3 {
			ran := false
			h.wantTamper(h.commit(func(*store.Tx) error { ran = true; return nil }), `table "spend": rows were removed, added or put back outside keyward`)
			if ran {
				t.Error("the commit was begun")
			}
		}
		looked(h, c, 1)
		h.writer.Lock()
		h.unlock()
		h.wantError(h.writer.Verify(t.Context(), summed), store.ErrTampered)
		h.wantError(h.commit(insert(Spend, spend(3, "key_0", 1))), store.ErrTampered)
	})
	t.Run("what is right goes on, and the transaction knows why", func(t *testing.T) {
		h, c := watched(t)
		h.attack(`UPDATE "spend" SET "bucket" = "bucket"`)
		why := func(want bool) {
			t.Helper()
			failed := errors.New("not yet")
			for _, result := range []error{failed, nil} { // until a commit has told it
				var got string
				h.wantError(h.commit(func(tx *store.Tx) error { got = tx.Verified(); return result }), result)
				if (got != "") != want {
					t.Errorf("got %q, want a reason: %v", got, want)
				}
			}
		}
		why(true)
		why(false)
		looked(h, c, 1)
	})
	t.Run("a connection opened anew knows nothing", func(t *testing.T) {
		h, c := watched(t)
		h.must(h.writer.Reopen(t.Context()))
		h.must(h.commit(insert(Spend, spend(2, "key_0", 1))))
		looked(h, c, 1)
		h.attack(deleted)
		h.must(h.writer.Reopen(t.Context()))
		h.wantError(h.commit(insert(Spend, spend(3, "key_0", 1))), store.ErrTampered)
	})
	t.Run("without Verify nothing is watched", func(t *testing.T) {
		h, c := watched(t)
		h.writer.Lock()
		h.unlock()
		h.attack(`UPDATE "spend" SET "bucket" = "bucket"`)
		h.must(h.commit(insert(Spend, spend(2, "key_0", 1))))
		looked(h, c, 0)
	})
}
