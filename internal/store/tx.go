package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
)

// Tx is the transaction of one Commit. It is valid only while the function
// given to Commit runs, on that function's goroutine. After an error of a
// statement, ErrConflict too, it can only be rolled back, as in PostgreSQL:
// Commit does so even when the function returned nil.
type Tx struct {
	ctx     context.Context
	session *session
	keys    *keyring
	engine  Engine
	group   [16]byte
	head    headRow

	verified string // why; see Verified

	written any // head.Sequence as an argument, boxed once
	at      uint64
	failed  error // of the first statement that failed, as the caller saw it
	cause   error // the same as the engine said it
	done    bool
}

var errDone = errors.New("the transaction is over")

// Group is the id that Commit was given.
func (t *Tx) Group() [16]byte { return t.group }

// Head is the head row, locked. What is set in it is written at the end of the
// transaction; Sequence, Time and Epoch may only grow.
func (t *Tx) Head() *Head { return &t.head.Head }

// RaiseEpoch makes every Decision stale that was made before this commit.
func (t *Tx) RaiseEpoch() { t.head.Epoch++ }

// Exec runs a statement on a plain table and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	st, bound, err := t.ready(query, args)
	if err != nil {
		return 0, err
	}
	n, err := t.session.exec(t.ctx, st, bound)
	return n, t.fail(err)
}

// ExecMany runs a statement on a plain table once for each row of arguments.
func (t *Tx) ExecMany(query string, rows []Row) error {
	for _, row := range rows {
		if _, err := t.Exec(query, row...); err != nil {
			return err
		}
	}
	return nil
}

// Query runs a query on plain columns; nothing of what it yields is verified.
func (t *Tx) Query(query string, args ...any) iter.Seq2[Row, error] {
	var rows []Row
	st, bound, err := t.ready(query, args)
	if err == nil {
		err = t.fail(t.session.query(t.ctx, st, bound, func(v []driver.Value) bool {
			rows = append(rows, plainRow(v))
			return true
		}))
	}
	return sequence(rows, err)
}

// QueryRow is Query for one row, or ErrNotFound.
func (t *Tx) QueryRow(query string, args ...any) (Row, error) {
	for row, err := range t.Query(query, args...) {
		return row, err
	}
	return nil, ErrNotFound
}

// Row returns the row with this primary key, verified. ErrNotFound, ErrTampered.
func (t *Tx) Row(table Table, key ...any) (Row, error) {
	row, _, err := t.RowMark(table, key...)
	return row, err
}

// RowMark is Row with the mark of the row, for a later Swap.
func (t *Tx) RowMark(table Table, key ...any) (Row, Mark, error) {
	values, p, err := t.find(table, selectRow, key)
	if err != nil {
		return nil, Mark{}, err
	}
	return t.session.macer.verify(t.keys, &p.table, values)
}

// Rows returns the rows that fit where, each verified; see Reader.Rows. A row
// that is not there is not missed: only the table's sum tells.
func (t *Tx) Rows(table Table, where string, args ...any) iter.Seq2[Row, error] {
	var rows []Row
	p, err := t.plan(table)
	if err != nil {
		return sequence(nil, err)
	}
	st, bound, err := t.ready(p.selectAll()+clause(where), args)
	if err != nil {
		return sequence(nil, err)
	}
	var bad error
	err = t.session.query(t.ctx, st, bound, func(v []driver.Value) bool {
		var row Row
		if row, _, bad = t.session.macer.verify(t.keys, &p.table, v); bad == nil {
			rows = append(rows, row)
		}
		return bad == nil
	})
	if err := t.fail(err); err != nil {
		return sequence(nil, err)
	}
	return sequence(rows, bad)
}

// sequence yields rows and then err, if there is one. Rows are collected before
// they are yielded, because a connection of some engines runs one query at a
// time and the caller may run another while it ranges.
func sequence(rows []Row, err error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func plainRow(values []driver.Value) Row {
	row := make(Row, len(values))
	for i, v := range values {
		row[i] = v
	}
	return row
}

// ready prepares a statement and binds its arguments.
func (t *Tx) ready(query string, args []any) (*statement, []driver.NamedValue, error) {
	if err := t.usable(); err != nil {
		return nil, nil, err
	}
	st, err := t.session.statement(t.ctx, query)
	if err != nil {
		return nil, nil, t.fail(err)
	}
	bound, err := t.session.bind(args)
	return st, bound, err
}

func (t *Tx) plan(table Table) (*plan, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	return t.session.plan(table)
}

func (t *Tx) usable() error {
	if t.done {
		return errDone
	}
	return t.failed
}

// fail remembers the first error of a statement and gives it the meaning that
// the engine sees in it.
func (t *Tx) fail(err error) error {
	if err == nil {
		return nil
	}
	meant := meaning(t.engine, err)
	if t.failed == nil {
		t.failed, t.cause = meant, err
	}
	return meant
}

// meaning wraps an engine's error in the sentinel that callers test for.
func meaning(e Engine, err error) error {
	switch e.Classify(err) {
	case FaultConflict:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case FaultFull:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case FaultBroken:
		if !errors.Is(err, ErrBroken) {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
	return err
}

// find runs one of the statements that go by primary key and answer with a row.
func (t *Tx) find(table Table, o operation, key []any) ([]driver.Value, *plan, error) {
	p, err := t.plan(table)
	if err != nil {
		return nil, nil, err
	}
	if len(key) != len(table.Key) {
		return nil, nil, fmt.Errorf("table %q: the key has %d columns, not %d", table.Name, len(table.Key), len(key))
	}
	st, err := t.session.planned(t.ctx, p, o)
	if err != nil {
		return nil, nil, t.fail(err)
	}
	bound, err := t.session.bind(key)
	if err != nil {
		return nil, nil, err
	}
	values, err := t.session.one(t.ctx, st, bound)
	if err != nil {
		return nil, nil, t.fail(err)
	}
	if values == nil {
		return nil, nil, fmt.Errorf("table %q: %w", table.Name, ErrNotFound)
	}
	return values, p, nil
}
