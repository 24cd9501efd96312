package sqlite_test

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
	"keyward/internal/store/storetest"
)

// looks counts how often all rows are verified.
type looks struct {
	store.Engine
	n atomic.Int64
}

func (l *looks) Intact(ctx context.Context) error {
	l.n.Add(1)
	return l.Engine.Intact(ctx)
}

// Our own checkpoints copy and restart the log behind the Writer's back, also
// those that insist because readers keep the log long.
func TestCheckpointsAreNoForeignWrites(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "data")
	l := &looks{Engine: openAt(t, dir)}
	r, w, err := store.Open(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Init(ctx, rowKey, [16]byte{}, func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := w.Verify(ctx, []store.Table{storetest.Spend}); err != nil {
		t.Fatal(err)
	}
	l.n.Store(0)
	file := filepath.Join(dir, sqlite.File)
	const pages = 100 // in a commit, about
	wal := int64(0)
	leave := func() {}
	defer func() { leave() }()
	for n := range 400 {
		err := w.Commit(ctx, group(n+1), func(tx *store.Tx) error {
			tx.Head().Sequence++
			_, err := tx.Exec(`INSERT INTO "log" ("first", "count", "group_id", "body") VALUES ($1, 1, $2, $3)`,
				tx.Head().Sequence, tx.Group(), make([]byte, pages*4096))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		switch n { // a reader that stays keeps the log from starting over
		case 50:
			next, stop := iter.Pull2(r.Query(ctx, `SELECT "first" FROM "log"`))
			if _, err, ok := next(); err != nil || !ok {
				t.Fatal(err)
			}
			leave = stop
		case 200:
			leave()
		}
		info, err := os.Stat(file + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		wal = max(wal, info.Size())
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if all := int64(400 * pages * 4096); info.Size() < all/2 || wal < all/4 || wal > all*3/4 {
		t.Fatalf("database of %d bytes, log of %d at most: there were too few checkpoints, or none that insisted, for this to show anything", info.Size(), wal)
	}
	if n := l.n.Load(); n != 0 {
		t.Errorf("all rows were verified %d times, want never", n)
	}
	foreign(t, dir, `UPDATE "head" SET "id" = 1`)
	if err := w.Commit(ctx, group(20_000), record); err != nil || l.n.Load() != 1 {
		t.Errorf("after a foreign write: got %v and %d looks, want one", err, l.n.Load())
	}
}
