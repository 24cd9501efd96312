package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"keyward/internal/audit"
	"keyward/internal/store/sqlite"
)

// copiedLog opens the log of a data directory, or of a copy of one, without
// changing a byte of it: it may be evidence. SQLite cannot read a database with a
// log file beside it and leave both as they are, so a private copy is read, which
// goes when the command is over.
func (a *app) copiedLog(ctx context.Context) (audit.Source, error) {
	dir := a.absDir()
	if !exists(filepath.Join(dir, sqlite.File)) {
		return nil, &failure{
			code: exitUnreachable, kind: "unreachable", message: fmt.Sprintf("there is no %s in %s", sqlite.File, dir),
			hint: "a copy to verify holds keyward.db, keyward.db-wal, derived.db and derived.db-wal, as many of them as there are",
		}
	}
	held, err := sqlite.Hold(dir)
	if err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp("", "keyward-verify-")
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	a.later(func() {
		if err := os.RemoveAll(private); err != nil {
			a.say("warning: remove it yourself: %v", err)
		}
	})
	for _, name := range []string{sqlite.File, sqlite.File + "-wal", filepath.Base(derivedFile(dir)), filepath.Base(derivedFile(dir)) + "-wal"} {
		err = errors.Join(err, duplicate(filepath.Join(dir, name), filepath.Join(private, name)))
	}
	if err := errors.Join(err, held.Close()); err != nil {
		return nil, fmt.Errorf("copy %s to read it: %w; $TMPDIR names another place", dir, err)
	}
	reader, pen, err := openStore(ctx, private)
	if err != nil {
		return nil, err
	}
	a.later(func() { _ = pen.Close() }) // only read
	var derived *sql.DB
	if exists(derivedFile(private)) {
		if derived, err = soundDerived(ctx, derivedFile(private)); err != nil {
			a.say("warning: %s cannot be read and is left aside: %v", derivedFile(dir), err)
			return audit.Stored(reader, nil), nil
		}
		a.later(func() { _ = derived.Close() })
	}
	return audit.Stored(reader, derived), nil
}

// duplicate copies a file, if it is there, for the owner alone.
func duplicate(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
