package storetest

import (
	"context"
	"strings"
	"testing"

	"keyward/internal/store"
)

func migrations(t *testing.T, open Opener) {
	t.Run("empty to newest, and nothing to do the second time", func(t *testing.T) {
		h := settled(t, open)
		for range 2 {
			h.must(h.engine.Migrate(context.Background()))
			h.restart()
		}
		for _, table := range []string{"head", "log", "operation", "spend", "key", "key_version", "material", "charter", "service", "system_key", "slot"} {
			want := int64(0)
			if table == "head" {
				want = 1
			}
			if got := h.count(table); got != want {
				t.Errorf("table %s: got %d rows, want %d", table, got, want)
			}
		}
	})
	t.Run("a newer database is refused", func(t *testing.T) {
		h := newHouse(t, open)
		h.attack(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (987654, TRUE)`)
		err := h.engine.Migrate(context.Background())
		if err == nil || !strings.Contains(err.Error(), "newer keyward") {
			t.Errorf("got %v, want a sentence about a newer keyward", err)
		}
	})
	t.Run("an open operation has an idempotency key once", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(insert(Operation, operation("op_1", "begun"))))
		twin := operation("op_2", "begun")
		twin[3] = "op_1"
		h.wantError(h.commit(insert(Operation, twin)), store.ErrConflict)
		for _, id := range []string{"op_3", "op_4"} {
			without := operation(id, "begun")
			without[3] = ""
			h.must(h.commit(insert(Operation, without)))
		}
	})
}
