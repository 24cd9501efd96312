package sqlite

import (
	"context"
	"database/sql/driver"
	"strconv"
	"strings"

	"modernc.org/sqlite"
)

// conn is a connection as the store wants it. It drops contexts: a statement of
// ours is over in microseconds, and the driver starts a goroutine for each
// context that could end.
type conn struct {
	driver.Conn
	engine *Engine // nil on a reading connection
}

// Prepare is driver.Conn's.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext is driver.ConnPrepareContext's.
func (c *conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), positional(query))
	if err != nil {
		return nil, err
	}
	return &statement{Stmt: s, exec: s.(driver.StmtExecContext), query: s.(driver.StmtQueryContext)}, nil
}

// BeginTx is driver.ConnBeginTx's. On the writing connection the transaction
// holds the write lock from its first moment.
func (c *conn) BeginTx(_ context.Context, options driver.TxOptions) (driver.Tx, error) {
	if c.engine != nil {
		c.engine.gate.Lock()
		if err := c.engine.fault; err != nil {
			c.engine.gate.Unlock()
			return nil, err
		}
	}
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(context.Background(), options)
	if err != nil {
		if c.engine != nil {
			c.engine.gate.Unlock()
		}
		return nil, err
	}
	return &tx{Tx: inner, conn: c}, nil
}

// statement is a prepared statement without contexts.
type statement struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
}

// ExecContext is driver.StmtExecContext's.
func (s *statement) ExecContext(_ context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.exec.ExecContext(context.Background(), args)
}

// QueryContext is driver.StmtQueryContext's.
func (s *statement) QueryContext(_ context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.query.QueryContext(context.Background(), args)
}

// tx gives the gate back when the transaction ends.
type tx struct {
	driver.Tx
	conn *conn
}

// Commit is driver.Tx's. When it returns nil the transaction is on disk.
func (t *tx) Commit() error {
	err := t.Tx.Commit()
	if e := t.conn.engine; e != nil {
		defer e.gate.Unlock()
		if err == nil {
			e.count(t.conn.Conn)
		}
	}
	return err
}

// Rollback is driver.Tx's.
func (t *tx) Rollback() error {
	if e := t.conn.engine; e != nil {
		defer e.gate.Unlock()
	}
	return t.Tx.Rollback()
}

// count adds what a transaction wrote to the log, and wakes the checkpointer
// when it is time.
func (e *Engine) count(c driver.Conn) {
	n, _, err := c.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
	if err != nil {
		n = 1 // not worth an error: the log is copied a little later
	}
	if e.pages += n; e.pages < checkpointPages {
		return
	}
	e.pages = 0
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// positional writes $1, $2, … as ?, which SQLite binds without looking up names.
// A query in which they do not stand in order, once each, stays as it is.
func positional(query string) string {
	var b strings.Builder
	next := "1"
	quoted := byte(0)
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case quoted != 0:
			if c == quoted {
				quoted = 0
			}
		case c == '\'' || c == '"':
			quoted = c
		case c == '$':
			end := i + 1
			for end < len(query) && '0' <= query[end] && query[end] <= '9' {
				end++
			}
			if query[i+1:end] != next {
				return query
			}
			n, _ := strconv.Atoi(next)
			next = strconv.Itoa(n + 1)
			b.WriteByte('?')
			i = end - 1
			continue
		}
		b.WriteByte(query[i])
	}
	return b.String()
}
