package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"keyward/internal/store"
)

func birth(t *testing.T, open Opener) {
	nothing := func(*store.Tx) error { return nil }
	ctx := context.Background()

	t.Run("an installation is born once", func(t *testing.T) {
		h := newHouse(t, open)
		_, err := h.reader.Head(ctx)
		h.wantError(err, store.ErrUninitialized)
		h.wantError(h.commit(nothing), store.ErrLocked)
		h.wantError(h.writer.Unlock(ctx, rowKey), store.ErrUninitialized)

		h.must(h.writer.Init(ctx, rowKey, [16]byte{1}, func(tx *store.Tx) error {
			tx.Head().Sequence = 3
			if tx.Group() != [16]byte{1} {
				t.Errorf("got group %v", tx.Group())
			}
			return tx.Insert(Spend, spend(1, "key_1", 9))
		}))
		if got := h.head().Sequence; got != 3 {
			t.Errorf("got sequence %d, want 3", got)
		}
		h.must(h.verify())
		h.wantError(h.writer.Init(ctx, rowKey, [16]byte{}, nothing), store.ErrInitialized)
		h.restart()
		h.wantError(h.writer.Init(ctx, rowKey, [16]byte{}, nothing), store.ErrInitialized)
		h.wantError(h.commit(nothing), store.ErrLocked)
		h.unlock()
		h.must(h.commit(nothing))
	})
	t.Run("a birth that fails leaves nothing", func(t *testing.T) {
		h := newHouse(t, open)
		failure := errors.New("no")
		err := h.writer.Init(ctx, rowKey, [16]byte{}, func(tx *store.Tx) error {
			h.must(tx.Insert(Spend, spend(1, "key_1", 9)))
			return failure
		})
		if err != failure {
			t.Errorf("got %v, want the function's own error", err)
		}
		h.wantError(h.commit(nothing), store.ErrLocked)
		if n := h.count("spend"); n != 0 {
			t.Errorf("got %d rows, want 0", n)
		}
		h.must(h.writer.Init(ctx, rowKey, [16]byte{}, nothing))
	})
	t.Run("another row key does not unlock", func(t *testing.T) {
		h := settled(t, open)
		h.restart()
		h.wantError(h.writer.Unlock(ctx, bytes.Repeat([]byte{7}, store.KeySize)), store.ErrTampered)
		h.wantError(h.commit(nothing), store.ErrLocked)
		if err := h.writer.Unlock(ctx, rowKey[:31]); err == nil {
			t.Error("got no error for a key of 31 bytes")
		}
		h.unlock()
		if err := h.writer.Unlock(ctx, rowKey); err == nil {
			t.Error("got no error for unlocking twice")
		}
	})
	t.Run("locked, nothing is believed and nothing written", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(insert(Service, service("svc_1", "payouts"))))
		h.writer.Lock()
		h.wantError(h.commit(nothing), store.ErrLocked)
		_, err := h.reader.Row(ctx, Service, "svc_1")
		h.wantError(err, store.ErrLocked)
		for _, err := range h.reader.Rows(ctx, Service, "") {
			h.wantError(err, store.ErrLocked)
		}
		h.wantError(h.verify(), store.ErrLocked)

		n := 0
		for row, err := range h.reader.Unverified(ctx, Service, `"name" = $1`, "payouts") {
			h.must(err)
			if n++; len(row) != len(Service.Columns) || row.Text(0) != "svc_1" {
				t.Errorf("got %v", row)
			}
		}
		if n != 1 {
			t.Errorf("got %d unverified rows, want 1", n)
		}
		if h.count("service") != 1 || h.head().Sequence != 1 {
			t.Error("plain columns and the head must be readable while locked")
		}
		h.unlock()
		h.row(Service, "svc_1")
	})
}
