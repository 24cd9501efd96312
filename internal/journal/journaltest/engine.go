package journaltest

import (
	"context"
	"database/sql/driver"
	"errors"

	"keyward/internal/store"
)

// ErrLost is how a COMMIT fails of which nobody knows whether it happened.
var ErrLost = errors.New("the connection is gone")

// watched is an engine whose COMMITs go through a function.
type watched struct {
	store.Engine
	commit func(commit func() error) error
}

func (w *watched) Writer(ctx context.Context) (driver.Conn, error) {
	c, err := w.Engine.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return &watchedConn{c, w.commit}, nil
}

func (w *watched) Classify(err error) store.Fault {
	if errors.Is(err, ErrLost) {
		return store.FaultUnknown
	}
	return w.Engine.Classify(err)
}

type watchedConn struct {
	driver.Conn
	commit func(commit func() error) error
}

func (c *watchedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *watchedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &watchedTx{tx, c.commit}, nil
}

type watchedTx struct {
	driver.Tx
	commit func(commit func() error) error
}

// Commit leaves no transaction behind, whatever the watcher did.
func (t *watchedTx) Commit() error {
	ran := false
	err := t.commit(func() error { ran = true; return t.Tx.Commit() })
	if !ran {
		err = errors.Join(err, t.Tx.Rollback())
	}
	return err
}
