package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
)

// Reader reads. It is safe for concurrent use, and never waits for the Writer.
// Each call sees the newest commit, whole.
type Reader struct {
	pool *pool
	keys *keyring

	verifying sync.Mutex // one VerifyAll at a time: each reads all there is
}

// do lends f a session. A session in which the database failed is not lent
// again.
func (r *Reader) do(ctx context.Context, f func(*session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := r.pool.take(ctx)
	if err != nil {
		return err
	}
	failed := true
	defer func() { r.pool.give(s, failed) }()
	err = f(s)
	failed = err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrTampered) && !errors.Is(err, ErrLocked)
	return err
}

// Row returns the row with this primary key, verified. ErrNotFound, ErrTampered,
// ErrLocked.
func (r *Reader) Row(ctx context.Context, table Table, key ...any) (row Row, err error) {
	if len(key) != len(table.Key) {
		return nil, fmt.Errorf("table %q: the key has %d columns, not %d", table.Name, len(table.Key), len(key))
	}
	err = r.do(ctx, func(s *session) error {
		p, err := s.plan(table)
		if err != nil {
			return err
		}
		st, err := s.planned(ctx, p, selectRow)
		if err != nil {
			return err
		}
		bound, err := s.bind(key)
		if err != nil {
			return err
		}
		values, err := s.one(ctx, st, bound)
		if err != nil {
			return err
		}
		if values == nil {
			return fmt.Errorf("table %q: %w", table.Name, ErrNotFound)
		}
		row, _, err = s.macer.verify(r.keys, &p.table, values)
		return err
	})
	return row, err
}

// Rows yields the rows that fit where, each verified; the first error is the
// last thing yielded. where is the SQL after WHERE, or starts with WHERE,
// ORDER BY or LIMIT; "" means all. It works on columns as they are stored, so a
// row that was changed may be left out unnoticed: only the table's sum tells
// (VerifyAll). While it is ranged over, the database keeps what it shows.
func (r *Reader) Rows(ctx context.Context, table Table, where string, args ...any) iter.Seq2[Row, error] {
	return r.scan(ctx, table, where, args, true)
}

// Unverified is Rows without any check, also while the row key is locked: for
// what must be read to unlock it. Whoever can write the database file chose
// what it yields.
func (r *Reader) Unverified(ctx context.Context, table Table, where string, args ...any) iter.Seq2[Row, error] {
	return r.scan(ctx, table, where, args, false)
}

func (r *Reader) scan(ctx context.Context, table Table, where string, args []any, verified bool) iter.Seq2[Row, error] {
	p, err := newPlan(table)
	if err != nil {
		return sequence(nil, err)
	}
	if verified && r.keys.locked() {
		return sequence(nil, ErrLocked)
	}
	return r.stream(ctx, p.selectAll()+clause(where), args, func(s *session, v []driver.Value) (row Row, err error) {
		if !verified {
			return plainRow(v[:len(table.Columns)]), nil
		}
		row, _, err = s.macer.verify(r.keys, &p.table, v)
		return row, err
	})
}

// Query yields the rows of a query on plain columns; nothing is verified.
func (r *Reader) Query(ctx context.Context, query string, args ...any) iter.Seq2[Row, error] {
	return r.stream(ctx, query, args, func(_ *session, v []driver.Value) (Row, error) { return plainRow(v), nil })
}

// QueryRow is Query for one row, or ErrNotFound.
func (r *Reader) QueryRow(ctx context.Context, query string, args ...any) (Row, error) {
	for row, err := range r.Query(ctx, query, args...) {
		return row, err
	}
	return nil, ErrNotFound
}

// stream yields what row makes of each row of a query.
func (r *Reader) stream(ctx context.Context, query string, args []any, row func(*session, []driver.Value) (Row, error)) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stopped := false
		err := r.do(ctx, func(s *session) error {
			st, err := s.statement(ctx, query)
			if err != nil {
				return err
			}
			bound, err := s.bind(args)
			if err != nil {
				return err
			}
			var bad error
			err = s.query(ctx, st, bound, func(v []driver.Value) bool {
				var one Row
				if one, bad = row(s, v); bad != nil {
					return false
				}
				stopped = !yield(one, nil)
				return !stopped
			})
			return errors.Join(err, bad)
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// Head returns the head row. While the row key is locked it is not verified.
// ErrUninitialized before Writer.Init.
func (r *Reader) Head(ctx context.Context) (head Head, err error) {
	err = r.do(ctx, func(s *session) error {
		h, err := r.head(ctx, s)
		if err == nil {
			head = h.Head
		}
		return err
	})
	return head, err
}

// head reads the head row and verifies it unless the row key is locked.
func (r *Reader) head(ctx context.Context, s *session) (*headRow, error) {
	st, err := s.statement(ctx, readHead)
	if err != nil {
		return nil, err
	}
	values, err := s.one(ctx, st, nil)
	if err != nil {
		return nil, err
	}
	h, err := parseHead(values)
	if err != nil {
		return nil, err
	}
	if err := h.verify(s.macer, r.keys); err != nil && !errors.Is(err, ErrLocked) {
		return nil, err
	}
	return h, nil
}

// snapshot is a transaction that sees one state of the whole database.
var snapshot = driver.TxOptions{Isolation: driver.IsolationLevel(sql.LevelRepeatableRead), ReadOnly: true}

// VerifyAll has the engine see to schema and indexes, then reads every row of
// the tables in one snapshot, verifies each, and compares each summed table with
// its sum in the head row. The first thing that does not fit is the error,
// ErrTampered, and a *TamperError where a row or table is meant. A second call
// waits for the first.
func (r *Reader) VerifyAll(ctx context.Context, tables []Table) error {
	if r.keys.locked() {
		return ErrLocked
	}
	r.verifying.Lock()
	defer r.verifying.Unlock()
	if err := r.pool.engine.Intact(ctx); err != nil {
		return err
	}
	return r.do(ctx, func(s *session) (err error) {
		if r.keys.locked() {
			return ErrLocked
		}
		tx, err := s.conn.(driver.ConnBeginTx).BeginTx(ctx, snapshot)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tx.Rollback()) }()
		h, err := r.head(ctx, s)
		if err != nil {
			return err
		}
		for _, t := range tables {
			total, err := r.total(ctx, s, t)
			if err != nil {
				return err
			}
			if t.Summed && total != *h.sums.of(t.Name) {
				return &TamperError{Table: t.Name}
			}
		}
		return nil
	})
}

// total verifies the rows of a table and adds up their MACs.
func (r *Reader) total(ctx context.Context, s *session, t Table) (total sum, err error) {
	p, err := s.plan(t)
	if err != nil {
		return total, err
	}
	st, err := s.statement(ctx, p.selectAll())
	if err != nil {
		return total, err
	}
	var bad error
	err = s.query(ctx, st, nil, func(v []driver.Value) bool {
		var mark Mark
		if mark, bad = s.macer.check(r.keys, &p.table, v); bad == nil {
			total.add((*[32]byte)(&mark))
		}
		return bad == nil
	})
	return total, errors.Join(err, bad)
}

// clause lets callers leave out WHERE, and write ORDER BY or LIMIT alone.
func clause(where string) string {
	where = strings.TrimSpace(where)
	if where == "" {
		return ""
	}
	first, _, _ := strings.Cut(where, " ")
	switch strings.ToUpper(first) {
	case "WHERE", "ORDER", "LIMIT":
		return " " + where
	}
	return " WHERE " + where
}
