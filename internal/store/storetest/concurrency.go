package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"keyward/internal/store"
)

func concurrency(t *testing.T, open Opener) {
	ctx := context.Background()

	t.Run("a reader never sees half a commit", func(t *testing.T) {
		h := settled(t, open)
		const groups, size = 60, 20
		written := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				var before int64
				for done := false; !done; {
					select {
					case <-written:
						done = true
					default:
					}
					row, err := h.reader.QueryRow(ctx, `SELECT (SELECT "sequence" FROM "head"), (SELECT count(*) FROM "spend"), (SELECT count(*) FROM "service")`)
					if err != nil {
						t.Error(err)
						return
					}
					if row.Int(1) != size*row.Int(0) || row.Int(2) != row.Int(0) || row.Int(0) < before {
						t.Errorf("got sequence %d, %d and %d rows, after %d", row.Int(0), row.Int(1), row.Int(2), before)
						return
					}
					if before = row.Int(0); before > 0 {
						if _, err := h.reader.Row(ctx, Service, fmt.Sprint(before)); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		for g := range groups {
			h.must(h.commit(func(tx *store.Tx) error {
				rows := make([]store.Row, size)
				for i := range rows {
					rows[i] = spend(g, fmt.Sprint(i), 1)
				}
				id := fmt.Sprint(tx.Head().Sequence)
				h.must(tx.InsertMany(Spend, rows[:size/2]))
				h.must(tx.Insert(Service, service(id, id)))
				return tx.InsertMany(Spend, rows[size/2:])
			}))
		}
		close(written)
		readers.Wait()
		h.must(h.verify())
	})
	t.Run("the full scan holds while commits go on", func(t *testing.T) {
		h := settled(t, open)
		stop := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := h.commit(func(tx *store.Tx) error { return tx.Put(Spend, spend(i%50, "key_0", byte(i))) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for range 40 {
			if err := h.verify(); err != nil {
				t.Error(err)
				break
			}
		}
		close(stop)
		writer.Wait()
	})
	t.Run("readers do not wait for the writer, nor writers for each other's sums", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(insert(Service, service("svc_1", "old"))))
		h.must(h.commit(func(tx *store.Tx) error {
			h.must(tx.Put(Service, service("svc_1", "new")))
			if got := h.row(Service, "svc_1").Text(1); got != "old" { // while the transaction is open
				t.Errorf("got %q from an open transaction, want the committed value", got)
			}
			for row, err := range h.reader.Rows(ctx, Service, "") {
				h.must(err)
				for inner, err := range h.reader.Rows(ctx, Service, "") { // within another one
					h.must(err)
					if inner.Text(1) != row.Text(1) {
						t.Errorf("got %q and %q", inner.Text(1), row.Text(1))
					}
				}
			}
			return nil
		}))
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for i := range 10 {
					if err := h.commit(insert(Spend, spend(i, fmt.Sprint(w), 1))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if n, s := h.count("spend"), h.head().Sequence; n != 80 || s != 82 {
			t.Errorf("got %d rows and sequence %d, want 80 and 82", n, s)
		}
		h.must(h.verify())
	})
	t.Run("locking waits for whoever computes", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(func(tx *store.Tx) error { return tx.InsertMany(Spend, spends(50)) }))
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					_, err := h.reader.Row(ctx, Spend, spendKey(7, "key_0")...)
					if err != nil && err != store.ErrLocked {
						t.Errorf("got %v, want the row or ErrLocked", err)
						return
					}
				}
			})
		}
		for range 50 {
			h.writer.Lock()
			h.unlock()
		}
		close(stop)
		readers.Wait()
	})
}
