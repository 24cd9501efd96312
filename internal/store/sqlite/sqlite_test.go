package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
	"keyward/internal/store/storetest"
)

func openAt(t testing.TB, place string) store.Engine {
	t.Helper()
	e, err := sqlite.Open(context.Background(), place)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEngine(t *testing.T) { storetest.Run(t, openAt) }

var rowKey = make([]byte, store.KeySize)

// open opens a directory and makes an installation in it if there is none.
func open(t testing.TB, dir string) (*store.Writer, *store.Reader) {
	t.Helper()
	r, w, err := store.Open(context.Background(), openAt(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if _, err := r.Head(context.Background()); err != nil {
		err = w.Init(context.Background(), rowKey, [16]byte{}, func(*store.Tx) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return w, r
	}
	if err := w.Unlock(context.Background(), rowKey); err != nil {
		t.Fatal(err)
	}
	return w, r
}

// record is a commit of one row, with a log row by which it can be found.
func record(tx *store.Tx) error {
	tx.Head().Sequence++
	id := tx.Group()
	if _, err := tx.Exec(`INSERT INTO "log" ("first", "count", "group_id", "body") VALUES ($1, 1, $2, $3)`, tx.Head().Sequence, id, []byte{}); err != nil {
		return err
	}
	return tx.Insert(storetest.Spend, spendRow(int(tx.Head().Sequence)))
}

func spendRow(n int) store.Row {
	return store.Row{n, "key", "service:payouts", "eip155:1/slip44:60", "0x52908400098527886e0f7030069857d2e4169ee7", make([]byte, 32)}
}

func insertSpend(t testing.TB, w *store.Writer, n int) {
	t.Helper()
	err := w.Commit(context.Background(), [16]byte{}, func(tx *store.Tx) error {
		tx.Head().Sequence++
		return tx.Insert(storetest.Spend, spendRow(n))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// foreign runs statements as another program does that opens the file.
func foreign(t testing.TB, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, sqlite.File)+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", s, err))
		}
	}
}
