package kms_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"keyward/internal/store"
)

// failEngine is an engine whose COMMITs can be watched and made to fail.
type failEngine struct {
	store.Engine
	mu     sync.Mutex
	n      int
	commit func(n int) error // before the nth COMMIT; an error rolls back
	after  func() error      // once, after a COMMIT that happened
}

// errLost is how a COMMIT fails whose outcome nobody knows.
var errLost = errors.New("the connection is gone")

func (f *failEngine) wrap(e store.Engine) store.Engine {
	f.Engine = e
	return f
}

// unknown makes the next COMMIT one of unknown outcome.
func (f *failEngine) unknown(happens bool) {
	if !happens {
		f.at(1, errLost)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = func() error { return errLost }
}

// at makes the nth COMMIT from now on fail.
func (f *failEngine) at(nth int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n = 0
	f.commit = func(n int) error {
		if n == nth {
			return err
		}
		return nil
	}
}

func (f *failEngine) Writer(ctx context.Context) (driver.Conn, error) {
	c, err := f.Engine.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return &failConn{c, f}, nil
}

func (f *failEngine) Classify(err error) store.Fault {
	if errors.Is(err, errLost) {
		return store.FaultUnknown
	}
	return f.Engine.Classify(err)
}

type failConn struct {
	driver.Conn
	f *failEngine
}

func (c *failConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *failConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &failTx{tx, c.f}, nil
}

type failTx struct {
	driver.Tx
	f *failEngine
}

func (t *failTx) Commit() error {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	t.f.n++
	if t.f.commit != nil {
		if err := t.f.commit(t.f.n); err != nil {
			if rolled := t.Tx.Rollback(); rolled != nil {
				return rolled
			}
			return err
		}
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	if after := t.f.after; after != nil {
		t.f.after = nil
		return after()
	}
	return nil
}

// ready waits until the journal has been repaired.
func (b *bed) ready() {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); b.kms.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatal(b.kms.Ready())
		}
	}
}
