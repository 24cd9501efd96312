package storetest

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"

	"keyward/internal/store"
)

// insert is a commit that inserts one row.
func insert(table store.Table, row store.Row) func(*store.Tx) error {
	return func(tx *store.Tx) error { return tx.Insert(table, row) }
}

func commits(t *testing.T, open Opener) {
	ctx := context.Background()

	t.Run("rows and head together", func(t *testing.T) {
		h := settled(t, open)
		want := store.Head{Sequence: 5, Hash: [32]byte{1}, Time: 1 << 50, Epoch: 1, Charter: 2, Rules: [32]byte{3}, Open: 4}
		h.must(h.writer.Commit(ctx, [16]byte{}, func(tx *store.Tx) error {
			*tx.Head() = want
			tx.Head().Epoch--
			tx.RaiseEpoch()
			return tx.InsertMany(Spend, spends(100))
		}))
		if got := h.head(); got != want {
			t.Errorf("got head %+v, want %+v", got, want)
		}
		h.restart()
		h.unlock()
		if got := h.head(); got != want {
			t.Errorf("after a restart, got head %+v, want %+v", got, want)
		}
		if n := h.count("spend"); n != 100 {
			t.Errorf("got %d rows, want 100", n)
		}
		h.must(h.verify())
	})

	failure := errors.New("no")
	for _, end := range []struct {
		name string
		with func(*store.Tx) error
		want error
	}{
		{"an error", func(*store.Tx) error { return failure }, failure},
		{"a conflict", func(tx *store.Tx) error { return tx.Insert(Spend, spend(0, "key_0", 1)) }, store.ErrConflict},
		{"a conflict that was overlooked", func(tx *store.Tx) error {
			_ = tx.Insert(Spend, spend(0, "key_0", 1))
			return nil
		}, store.ErrConflict},
		{"a conflict among many rows", func(tx *store.Tx) error {
			return tx.InsertMany(Spend, append(spends(40)[20:], spend(0, "key_0", 1)))
		}, store.ErrConflict},
		{"a unique column", func(tx *store.Tx) error { return tx.Insert(Service, service("svc_2", "first")) }, store.ErrConflict},
		{"nonsense", func(tx *store.Tx) error { _, err := tx.Exec("UPDATE nothing SET a = 1"); return err }, nil},
		{"a sequence that goes back", func(tx *store.Tx) error { tx.Head().Sequence -= 2; return nil }, nil},
		{"a time that goes back", func(tx *store.Tx) error { tx.Head().Time -= 2; return nil }, nil},
		{"an epoch too large", func(tx *store.Tx) error { tx.Head().Epoch = math.MaxUint64; return nil }, nil},
	} {
		t.Run("rolled back after "+end.name, func(t *testing.T) {
			h := settled(t, open)
			h.must(h.commit(insert(Spend, spend(0, "key_0", 1))))
			h.must(h.commit(insert(Service, service("svc_1", "first"))))
			before := h.head()
			err := h.commit(func(tx *store.Tx) error {
				h.must(tx.Insert(Service, service("svc_9", "half")))
				h.must(tx.Put(Spend, spend(0, "key_0", 2)))
				return end.with(tx)
			})
			if err == nil || end.want != nil && !errors.Is(err, end.want) {
				t.Errorf("got %v, want %v", err, end.want)
			}
			if end.want == failure && err != failure {
				t.Errorf("got %v, want the function's own error as it is", err)
			}
			h.unchanged(before)
		})
	}
	t.Run("rolled back after a panic", func(t *testing.T) {
		h := settled(t, open)
		before := h.head()
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic did not reach the caller")
				}
			}()
			h.commit(func(tx *store.Tx) error {
				h.must(tx.Insert(Spend, spend(0, "key_0", 1)))
				panic("boom")
			})
		}()
		h.unchanged(before)
	})
	t.Run("rolled back when its goroutine ends", func(t *testing.T) {
		h := settled(t, open)
		before := h.head()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.commit(func(tx *store.Tx) error {
				if err := tx.Insert(Spend, spend(0, "key_0", 1)); err != nil {
					t.Error(err)
				}
				runtime.Goexit()
				return nil
			})
		}()
		<-done
		h.unchanged(before)
	})
	t.Run("a transaction is over when Commit returns", func(t *testing.T) {
		h := settled(t, open)
		var kept *store.Tx
		h.must(h.commit(func(tx *store.Tx) error { kept = tx; return nil }))
		head := h.head()
		if err := kept.Insert(Spend, spend(0, "key_0", 1)); err == nil {
			t.Error("got no error from a transaction that is over")
		}
		kept.Head().Sequence = 99
		h.must(h.commit(func(*store.Tx) error { return nil }))
		if got := h.head().Sequence; got != head.Sequence+1 {
			t.Errorf("got sequence %d, want %d", got, head.Sequence+1)
		}
	})
	t.Run("nobody waits past the deadline to begin", func(t *testing.T) {
		h := settled(t, open)
		over, cancel := context.WithCancel(ctx)
		cancel()
		err := h.writer.Commit(over, [16]byte{}, func(*store.Tx) error { t.Error("ran"); return nil })
		h.wantError(err, context.Canceled)
		running, cancel := context.WithCancel(ctx)
		h.must(h.writer.Commit(running, [16]byte{}, func(tx *store.Tx) error { // once it runs, it runs
			cancel()
			return tx.Insert(Spend, spend(0, "key_0", 1))
		}))
		h.row(Spend, spendKey(0, "key_0")...)
	})
	t.Run("nested work fails alone", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(insert(Spend, spend(0, "key_0", 1))))
		h.must(h.commit(func(tx *store.Tx) error {
			h.must(tx.Nested(insert(Spend, spend(1, "key_0", 1))))
			err := tx.Nested(func(tx *store.Tx) error {
				tx.RaiseEpoch()
				h.must(tx.Put(Spend, spend(0, "key_0", 7)))
				return tx.Insert(Spend, spend(1, "key_0", 2))
			})
			h.wantError(err, store.ErrConflict)
			if err := tx.Nested(func(*store.Tx) error { return failure }); err != failure {
				t.Errorf("got %v, want the function's own error", err)
			}
			return tx.Insert(Spend, spend(2, "key_0", 1))
		}))
		h.must(h.verify())
		if got := h.row(Spend, spendKey(0, "key_0")...).Bytes(5); got[0] != 1 || h.head().Epoch != 0 || h.count("spend") != 3 {
			t.Errorf("got total %v, epoch %d, %d rows, want 1, 0, 3", got, h.head().Epoch, h.count("spend"))
		}
	})
	t.Run("a commit is found by its group", func(t *testing.T) {
		h := settled(t, open)
		group := [16]byte{1, 2, 3}
		record := func(tx *store.Tx) error {
			id := tx.Group()
			_, err := tx.Exec(`INSERT INTO "log" ("first", "count", "group_id", "body") VALUES ($1, $2, $3, $4)`, 1, 1, id, []byte("record"))
			return err
		}
		for _, want := range []bool{false, true} {
			got, err := h.writer.Happened(ctx, group)
			h.must(err)
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			if !want {
				h.must(h.writer.Commit(ctx, group, record))
			}
		}
		h.restart() // also while locked: it may be asked before anybody unseals
		if got, err := h.writer.Happened(ctx, group); !got || err != nil {
			t.Errorf("got %v, %v, want true", got, err)
		}
	})
	t.Run("closed, it says so", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.writer.Close())
		if err := h.commit(func(*store.Tx) error { return nil }); err == nil {
			t.Error("got no error from a closed Writer")
		}
		if _, err := h.reader.Head(ctx); err == nil {
			t.Error("got no error from a closed Reader")
		}
	})
	t.Run("it knows how much space is left", func(t *testing.T) {
		h := settled(t, open)
		if n, err := h.writer.Space(ctx); err != nil || n <= 0 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

// unchanged fails the test unless the head is as before, the rows fit it, and
// the next commit works.
func (h *house) unchanged(before store.Head) {
	h.Helper()
	if got := h.head(); got != before {
		h.Errorf("got head %+v, want %+v", got, before)
	}
	h.must(h.verify())
	for _, id := range []string{"svc_9", "svc_2"} {
		_, err := h.reader.Row(context.Background(), Service, id)
		h.wantError(err, store.ErrNotFound)
	}
	h.must(h.commit(insert(Service, service("svc_9", "whole"))))
	h.must(h.verify())
}

// spends makes n rows of Spend, the first with the key (0, key_0).
func spends(n int) []store.Row {
	rows := make([]store.Row, n)
	for i := range rows {
		rows[i] = spend(i, "key_0", 1)
	}
	return rows
}
