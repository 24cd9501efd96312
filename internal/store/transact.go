package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// A transaction that lost a race is run again after 1, 2, 4 … ms.
const maxTries = 9

// body is what is done in one transaction. With a head row, the one that it
// wrote, the transaction is committed. Otherwise seen is the error for the
// caller, and cause the engine's error behind it, if there is one.
type body func(ctx context.Context, s *session) (written *headRow, seen, cause error)

// run runs body in a transaction, again when the engine asks for it.
func (w *Writer) run(ctx context.Context, b body) error {
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		again, err := w.transact(context.WithoutCancel(ctx), b)
		if !again {
			return err
		}
		if try == maxTries-1 {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond << try):
		}
	}
}

// transact runs body in one transaction and sees to what its errors mean.
func (w *Writer) transact(ctx context.Context, b body) (again bool, err error) {
	switch {
	case w.closed:
		return false, errClosed
	case w.broken:
		return false, ErrBroken
	}
	tx, err := w.begin(ctx)
	if err != nil {
		return w.judge(err, err)
	}
	open := true
	rollback := func() {
		open = false
		if tx.Rollback() != nil {
			w.drop() // closing the connection ends the transaction too
		}
	}
	defer func() {
		if open { // the caller's function panicked or ended its goroutine
			rollback()
		}
	}()
	written, seen, cause := b(ctx, w.session)
	if written == nil {
		rollback()
		return w.judge(seen, cause)
	}
	open = false
	if err := tx.Commit(); err != nil {
		w.drop()
		return w.judgeCommit(err)
	}
	w.last, w.watch.why = written, ""
	return false, nil
}

// begin opens a transaction on the writing connection, which it opens if need
// be.
func (w *Writer) begin(ctx context.Context) (driver.Tx, error) {
	if w.session == nil {
		conn, err := w.engine.Writer(ctx)
		if err != nil {
			return nil, fmt.Errorf("open the writing connection: %w", err)
		}
		w.session = newSession(conn)
	}
	tx, err := w.session.conn.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		w.drop()
		return nil, fmt.Errorf("begin: %w", err)
	}
	return tx, nil
}

// judge says whether a transaction that was rolled back should run again, and
// if not, what the caller is told.
func (w *Writer) judge(seen, cause error) (again bool, err error) {
	if cause == nil {
		return false, seen
	}
	switch w.engine.Classify(cause) {
	case FaultRetry:
		return true, cause
	case FaultUnknown:
		w.drop()
	case FaultBroken:
		w.broken = true
		w.drop()
	}
	if seen == cause { // no caller's function came in between
		return false, meaning(w.engine, cause)
	}
	return false, seen
}

// judgeCommit is judge for the error of a COMMIT. What the engine cannot name
// is taken for the worst.
func (w *Writer) judgeCommit(err error) (again bool, _ error) {
	switch w.engine.Classify(err) {
	case FaultRetry:
		return true, err
	case FaultConflict, FaultFull:
		return false, meaning(w.engine, err)
	case FaultUnknown:
		return false, fmt.Errorf("%w: %w", ErrUnknownCommit, err)
	}
	w.broken = true
	return false, fmt.Errorf("%w: %w: %w", ErrUnknownCommit, ErrBroken, err)
}

// row runs a query for one row and returns its values, nil when there is none.
func (w *Writer) row(ctx context.Context, s *session, query string, args ...any) ([]driver.Value, error) {
	st, err := s.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	bound, err := s.bind(args)
	if err != nil {
		return nil, err
	}
	return s.one(ctx, st, bound)
}

// lockHead locks the head row and verifies it, unless it is the one that this
// process wrote last.
func (w *Writer) lockHead(ctx context.Context, s *session) (*headRow, error) {
	values, err := w.row(ctx, s, lockHead)
	if err != nil {
		return nil, err
	}
	h, err := parseHead(values)
	switch {
	case errors.Is(err, ErrUninitialized) && w.last != nil:
		return nil, goneHead() // it was there
	case err != nil:
		return nil, err
	case h.same(w.last):
		return w.last, nil
	case w.last != nil && h.commits <= w.last.commits:
		return nil, tamperedHead() // genuine, but put back
	}
	if err := h.verify(s.macer, w.keys); err != nil {
		return nil, err
	}
	return h, nil
}

// unborn makes sure that there is no installation.
func (w *Writer) unborn(ctx context.Context, s *session) error {
	head, err := w.row(ctx, s, lockHead)
	if err != nil {
		return err
	}
	if head != nil {
		return ErrInitialized
	}
	record, err := w.row(ctx, s, `SELECT 1 FROM "log" LIMIT 1`)
	if err != nil {
		return err
	}
	if record != nil {
		return goneHead() // a log without its head
	}
	return nil
}

// change runs f on the locked head row and writes the new one.
func (w *Writer) change(ctx context.Context, s *session, h *headRow, query string, group [16]byte, f func(*Tx) error) (written *headRow, seen, cause error) {
	t := &Tx{ctx: ctx, session: s, keys: w.keys, engine: w.engine, group: group, head: *h, verified: w.watch.why}
	t.head.sums = append(sums(nil), h.sums...)
	defer func() { t.done = true }()
	if err := f(t); err != nil {
		return nil, err, t.cause
	}
	if t.failed != nil {
		return nil, t.failed, t.cause
	}
	next := t.head // a copy: the caller may have kept the pointer to Head
	if err := next.after(h.Head); err != nil {
		return nil, err, nil
	}
	next.commits++
	if err := next.write(ctx, s, w.keys, query); err != nil {
		return nil, err, err
	}
	return &next, nil, nil
}
