package sqlite_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
	"keyward/internal/store/storetest"
)

func TestOnlyTheOwnerMayReadTheDatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	w, _ := open(t, dir)
	insertSpend(t, w, 1)
	for name, want := range map[string]os.FileMode{
		"": 0o700, sqlite.File: 0o600, sqlite.File + "-wal": 0o600, sqlite.File + "-shm": 0o600, "keyward.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q: got mode %o, want %o", name, got, want)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, sqlite.File), dir} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, info.Mode().Perm()|0o040); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "chmod go-rwx") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s open to its group: got %v, want what to do about it", path, err)
		}
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneProcessOwnsADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	w, _ := open(t, dir)
	_, err := sqlite.Open(context.Background(), dir)
	if !errors.Is(err, sqlite.ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "server is running") {
		t.Errorf("got %v, want one that names the directory and says that a server is running", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := sqlite.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnyDirectoryNameWorks(t *testing.T) {
	for _, name := range []string{"a b", "q?mode=ro&x=1#y", "100%25", "ü", "'quoted'", "trailing."} {
		dir := filepath.Join(t.TempDir(), name)
		w, _ := open(t, dir)
		insertSpend(t, w, 1)
		if _, err := os.Stat(filepath.Join(dir, sqlite.File)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(context.Background(), file); err == nil {
		t.Error("a file for a directory: got no error")
	}
	t.Chdir(t.TempDir())
	w, _ := open(t, "relative")
	insertSpend(t, w, 1)
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, sqlite.File), []byte(strings.Repeat("no database, but as long as one. ", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if err := os.Remove(filepath.Join(dir, sqlite.File)); err != nil {
		t.Fatal(err)
	}
	open(t, dir) // the refusal gave the directory free
}

func TestReadersCannotWrite(t *testing.T) {
	e, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	_, w, err := store.Open(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c, err := e.Reader(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, statement := range []string{`DELETE FROM "spend"`, `PRAGMA query_only = OFF`, `DELETE FROM "spend"`} {
		st, err := c.(driver.ConnPrepareContext).PrepareContext(context.Background(), statement)
		if err == nil {
			_, err = st.(driver.StmtExecContext).ExecContext(context.Background(), nil)
			st.Close()
		}
		if err == nil && strings.HasPrefix(statement, "DELETE") {
			t.Errorf("%s: got no error on a reading connection", statement)
		}
	}
}

// SQLite keeps values of any type in any column.
func TestAnotherTypeIsAnotherValue(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	w, r := open(t, dir)
	insertSpend(t, w, 7)
	for _, change := range []string{`"bucket" = x'37'`, `"total" = NULL`, `"total" = 1.5`, `"key_id" = x'6b'`, `"mac" = 'text'`, `"written" = 'one'`} {
		foreign(t, dir, `CREATE TABLE copy AS SELECT * FROM spend`,
			`DROP TABLE spend`, `CREATE TABLE spend AS SELECT * FROM copy`, `UPDATE spend SET `+change)
		if err := rowsOf(r); !errors.Is(err, store.ErrTampered) {
			t.Errorf("%s: got %v, want %v", change, err, store.ErrTampered)
		}
		if err := r.VerifyAll(context.Background(), []store.Table{storetest.Spend}); !errors.Is(err, store.ErrTampered) {
			t.Errorf("%s: got %v, want %v", change, err, store.ErrTampered)
		}
		foreign(t, dir, `DELETE FROM spend`, `INSERT INTO spend SELECT * FROM copy`, `DROP TABLE copy`)
		if err := rowsOf(r); err != nil {
			t.Fatal(err)
		}
	}
}

// rowsOf reads all rows and returns the first error.
func rowsOf(r *store.Reader) error {
	for _, err := range r.Rows(context.Background(), storetest.Spend, "") {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestDerivedStateIsADatabaseOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "derived ?.db")
	for range 2 {
		db, err := sqlite.OpenDerived(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS t (a bigint)`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 600", info, err)
	}
}
