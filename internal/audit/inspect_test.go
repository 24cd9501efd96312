package audit_test

import (
	"bytes"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"keyward/internal/audit"
)

// What lies behind the follower is looked at by Inspect alone.
func TestInspectFindsWhatTheFollowerPassed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	h.fill(t, 600)
	h.checkpoint(t)
	if err := h.log.Inspect(t.Context()); err != nil || h.log.Damage() != nil {
		t.Fatalf("got %v, %v of a log that is whole", err, h.log.Damage())
	}
	h.close()
	flip := func(all []audit.Entry, i int) []audit.Entry {
		all[i].Nonce[0] ^= 1
		return all
	}
	for _, c := range []struct {
		name   string
		want   uint64
		change func(*testing.T, *sql.DB)
	}{
		{"a record changed", 301, func(t *testing.T, db *sql.DB) { changeRow(t, db, 300, flip) }},
		{"the last record changed", 600, func(t *testing.T, db *sql.DB) { changeRow(t, db, 600, flip) }},
		{"the first row deleted", 1, func(t *testing.T, db *sql.DB) { exec(t, db, `DELETE FROM log WHERE first = 1`) }},
		{"all rows deleted", 1, func(t *testing.T, db *sql.DB) { exec(t, db, `DELETE FROM log`) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t, copyDir(t, dir))
			edit(t, filepath.Join(h.dir, "keyward.db"), func(db *sql.DB) { c.change(t, db) })
			if _, err := h.log.CheckpointNow(t.Context()); err != nil {
				t.Fatalf("the follower found it by itself: %v", err)
			}
			err := h.log.Inspect(t.Context())
			wantFault(t, err, c.want)
			if !errors.Is(h.log.Damage(), audit.ErrDamaged) {
				t.Errorf("got damage %v, want what was found", h.log.Damage())
			}
			kept := bytes.Clone(h.log.Checkpoint())
			if _, err := h.log.CheckpointNow(t.Context()); !errors.Is(err, audit.ErrDamaged) || !bytes.Equal(kept, h.log.Checkpoint()) {
				t.Errorf("got %v; want no checkpoint over a log that was changed", err)
			}
		})
	}
}
