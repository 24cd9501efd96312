// Package store keeps keyward's state in one SQL database. It answers for three
// things: a commit is whole and on disk before Commit returns; no row that a
// decision rests on can be made, altered, deleted or put back without the row
// key; and there is one Writer, so that whoever does not hold it cannot change
// a row of truth. It never decides anything, owns no table but the head row,
// and what only one database knows stays in the engine's own package.
package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

var (
	// ErrNotFound means that no row has the key asked for.
	ErrNotFound = errors.New("no such row")
	// ErrConflict means that a unique column holds that value already. The
	// transaction it happened in can only be rolled back.
	ErrConflict = errors.New("a row with this unique value exists already")
	// ErrChanged means that a row is not the one the caller remembered.
	ErrChanged = errors.New("the row is not the one remembered")
	// ErrTampered is what every *TamperError is.
	ErrTampered = errors.New("changed outside keyward")
	// ErrUnknownCommit means that a COMMIT was sent and nobody knows whether
	// it took effect. Nothing may be released on it; ask Writer.Happened.
	ErrUnknownCommit = errors.New("it is unknown whether the commit took effect")
	// ErrBroken means that the engine's files or connection cannot be trusted
	// any more. Every Commit fails with it until Writer.Reopen succeeded.
	ErrBroken = errors.New("the database must be reopened after an i/o error")
	// ErrFull means that the disk is full. The transaction was rolled back and
	// nothing is broken: the next one may succeed when space was made.
	ErrFull = errors.New("no space left for the database")
	// ErrBusy means that the engine asked for one retry after the other.
	ErrBusy = errors.New("the database stayed busy")
	// ErrLocked means that the row key is absent: keyward is sealed.
	ErrLocked = errors.New("the row key is locked")
	// ErrInitialized means that the database holds an installation already.
	ErrInitialized = errors.New("the database holds an installation already")
	// ErrUninitialized means that the database holds no installation yet.
	ErrUninitialized = errors.New("the database holds no installation")
)

// Fault is what an engine's error means to whoever ran the statement.
type Fault int

const (
	// FaultNone: the statement failed, connection and files are fine.
	FaultNone Fault = iota
	// FaultRetry: the transaction lost a race and may be run again.
	FaultRetry
	// FaultConflict: a unique value is there already.
	FaultConflict
	// FaultFull: no space; the transaction is rolled back, nothing is broken.
	FaultFull
	// FaultUnknown: the connection went away; a COMMIT may have taken effect.
	FaultUnknown
	// FaultBroken: an i/o error or damage. After a COMMIT its outcome is
	// unknown too, and no open handle may be trusted again.
	FaultBroken
)

// Engine is one SQL database. Its connections speak the dialect of the
// migrations: $1 placeholders, bytea, bigint and text as []byte, int64 and
// string, upsert and returning. Statements implement driver.StmtExecContext and
// driver.StmtQueryContext, connections driver.ConnBeginTx and
// driver.ConnPrepareContext. Byte slices that a query returned stay valid.
type Engine interface {
	// Migrate brings the schema to the newest version that this program knows
	// and refuses a database that a newer one wrote.
	Migrate(ctx context.Context) error
	// Writer opens the one connection that writes. Its BeginTx takes the write
	// lock where the engine has one, and a Commit of it returned is on disk.
	Writer(ctx context.Context) (driver.Conn, error)
	// Reader opens a connection that can only read. Each statement outside a
	// transaction sees the newest commit, a read-only transaction sees one.
	Reader(ctx context.Context) (driver.Conn, error)
	// Classify says what an error of one of its connections means.
	Classify(err error) Fault
	// Intact refuses, with ErrTampered, a schema that is not exactly that of the
	// migrations, and indexes that do not agree with their tables: rows may be
	// genuine, and still not be what a statement finds.
	Intact(ctx context.Context) error
	// Version is a query for one value that stays the same on one writing
	// connection, whatever that connection does, until any other connection has
	// committed; on another connection it means something else. It is "" where
	// several nodes write one database by right: there it would tell nothing.
	Version() string
	// Reopen makes the engine usable after FaultBroken. It trusts no handle
	// opened before, and when it returns nil, whatever the database shows is
	// on disk.
	Reopen(ctx context.Context) error
	// Space returns the bytes that the database may still grow by.
	Space(ctx context.Context) (int64, error)
	// Yield gives the database a part of the space that the engine keeps in
	// reserve for commits that must succeed on a full disk; false when nothing is
	// left to give, or nothing was ever kept.
	Yield(ctx context.Context) (given bool, err error)
	// Refill makes the reserve whole again if there is space enough for that,
	// and tells whether it is. An engine that keeps none is always whole.
	Refill(ctx context.Context) (whole bool, err error)
	// Close closes everything but the connections handed out, which the caller
	// closes before.
	Close() error
}

// Open migrates the engine's schema and returns the Reader and the one Writer
// of the database, both locked. Writer.Close closes the engine, also for the
// Reader; after an error the engine is still the caller's to close.
func Open(ctx context.Context, e Engine) (*Reader, *Writer, error) {
	if err := e.Migrate(ctx); err != nil {
		return nil, nil, fmt.Errorf("migrate database: %w", err)
	}
	keys := &keyring{}
	r := &Reader{pool: &pool{engine: e}, keys: keys}
	return r, &Writer{engine: e, reader: r, keys: keys}, nil
}

// TamperError says which row or table was changed by something else than
// keyward. It never carries what the row holds.
type TamperError struct {
	Table string
	Key   string // primary key, its columns joined by "/"; empty for a table as a whole
	Gone  bool   // there must be such a row, and there is none
}

// Error names the row, or says that the table as a whole does not add up.
func (e *TamperError) Error() string {
	switch {
	case e.Gone:
		return fmt.Sprintf("table %q: row %q was removed outside keyward", e.Table, e.Key)
	case e.Key == "":
		return fmt.Sprintf("table %q: rows were removed, added or put back outside keyward", e.Table)
	}
	return fmt.Sprintf("table %q: row %q was changed outside keyward", e.Table, e.Key)
}

// Is makes every TamperError an ErrTampered.
func (e *TamperError) Is(target error) bool { return target == ErrTampered }
