package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"keyward/internal/store"
)

// Classify is store.Engine's.
func (e *Engine) Classify(err error) store.Fault {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		if errors.Is(err, store.ErrBroken) {
			return store.FaultBroken
		}
		return store.FaultNone
	}
	switch s.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return store.FaultConflict
	}
	switch s.Code() & 0xff { // the low byte is the family of an extended code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return store.FaultRetry
	case sqlite3.SQLITE_FULL:
		return store.FaultFull
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return store.FaultBroken
	}
	return store.FaultNone
}

// Damaged tells whether an error speaks of what is in a database file, and not
// of the disk, the locks or the moment: another try would find the same.
func Damaged(err error) bool {
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return false
	}
	switch s.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}
