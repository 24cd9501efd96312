package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
)

// session is one connection with its prepared statements. One goroutine at a
// time uses it. It speaks to the driver itself, because a commit holds hundreds
// of statements and database/sql costs a fifth of each.
type session struct {
	conn       driver.Conn
	statements map[string]*statement // by text, at most maxStatements
	plans      map[string]*plan      // by table, with statements of their own
	macer      *macer
	generation int // of the pool it belongs to

	// Scratch of the statement at hand.
	args    []driver.NamedValue
	scratch Row                // canonical values of a row
	macs    [manyRows][32]byte // of the rows of one insert
	boxed   [manyRows]any      // their slices, as arguments
}

// statement is a prepared statement.
type statement struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	dest  []driver.Value // scratch
}

func newSession(conn driver.Conn) *session {
	s := &session{
		conn:       conn,
		statements: make(map[string]*statement),
		plans:      make(map[string]*plan),
		macer:      newMacer(),
	}
	for i := range s.macs {
		s.boxed[i] = s.macs[i][:]
	}
	return s
}

// close gives everything back. A connection must not outlive its statements.
func (s *session) close() error {
	var errs []error
	for _, st := range s.statements {
		errs = append(errs, st.Close())
	}
	for _, p := range s.plans {
		for _, st := range p.statements {
			if st != nil {
				errs = append(errs, st.Close())
			}
		}
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

func (s *session) prepare(ctx context.Context, query string) (*statement, error) {
	prepared, err := s.conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &statement{
		Stmt:  prepared,
		exec:  prepared.(driver.StmtExecContext),
		query: prepared.(driver.StmtQueryContext),
	}, nil
}

// maxStatements bounds what callers with ever new texts could fill.
const maxStatements = 256

// statement prepares query, or finds it prepared.
func (s *session) statement(ctx context.Context, query string) (*statement, error) {
	if st, ok := s.statements[query]; ok {
		return st, nil
	}
	st, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	for text, old := range s.statements {
		if len(s.statements) < maxStatements {
			break
		}
		old.Close()
		delete(s.statements, text)
	}
	s.statements[query] = st
	return st, nil
}

// plan makes a table ready, once.
func (s *session) plan(t Table) (*plan, error) {
	if p, ok := s.plans[t.Name]; ok {
		return p, nil
	}
	p, err := newPlan(t)
	if err != nil {
		return nil, err
	}
	s.plans[t.Name] = p
	return p, nil
}

// planned is the statement for one operation on a planned table.
func (s *session) planned(ctx context.Context, p *plan, o operation) (*statement, error) {
	if p.statements[o] == nil {
		st, err := s.prepare(ctx, p.sql(o))
		if err != nil {
			return nil, err
		}
		p.statements[o] = st
	}
	return p.statements[o], nil
}

// bind makes values the arguments of the next statement.
func (s *session) bind(values []any) ([]driver.NamedValue, error) {
	args := s.room(len(values))
	for i, v := range values {
		bound, err := value(v)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		args[i].Value = bound
	}
	return args, nil
}

// room returns n arguments, numbered, for the caller to fill.
func (s *session) room(n int) []driver.NamedValue {
	for len(s.args) < n {
		s.args = append(s.args, driver.NamedValue{Ordinal: len(s.args) + 1})
	}
	return s.args[:n]
}

// exec runs a statement and returns how many rows it changed.
func (s *session) exec(ctx context.Context, st *statement, args []driver.NamedValue) (int64, error) {
	r, err := st.exec.ExecContext(ctx, args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query runs a statement and calls f with each row until f returns false. The
// values given to f are overwritten by the next row.
func (s *session) query(ctx context.Context, st *statement, args []driver.NamedValue, f func(values []driver.Value) bool) (err error) {
	rows, err := st.query.QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if n := len(rows.Columns()); len(st.dest) != n {
		st.dest = make([]driver.Value, n)
	}
	for {
		switch err := rows.Next(st.dest); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !f(st.dest):
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// one runs a query for one row. It returns nil when there is none.
func (s *session) one(ctx context.Context, st *statement, args []driver.NamedValue) (values []driver.Value, err error) {
	err = s.query(ctx, st, args, func(v []driver.Value) bool {
		values = v
		return false
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// maxIdle bounds the reading connections that are kept; more are opened while
// they are needed, so that a reader never waits for another.
const maxIdle = 32

// pool lends reading sessions.
type pool struct {
	engine Engine

	mu         sync.Mutex
	idle       []*session
	generation int // sessions of an older one are closed, not kept
	closed     bool
}

var errClosed = errors.New("the database is closed")

func (p *pool) take(ctx context.Context) (*session, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	generation := p.generation
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	conn, err := p.engine.Reader(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a reading connection: %w", err)
	}
	s := newSession(conn)
	s.generation = generation
	return s, nil
}

// give takes a session back; a session that failed is closed.
func (p *pool) give(s *session, failed bool) {
	p.mu.Lock()
	if !failed && !p.closed && s.generation == p.generation && len(p.idle) < maxIdle {
		p.idle = append(p.idle, s)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	s.close() // read only: nothing is lost with it
}

// retire closes the idle sessions, and those that are lent when they come back.
func (p *pool) retire(closed bool) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.generation++
	p.closed = p.closed || closed
	p.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
}
