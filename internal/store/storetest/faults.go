package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"keyward/internal/store"
)

// faulty is an engine whose writing connection fails when it is told to.
type faulty struct {
	store.Engine
	begin, commit []fault // the next ones, in order
	reopen        error
}

// fault is one failure.
type fault struct {
	kind  store.Fault
	after bool // after the engine did what it was asked for
}

func (f fault) Error() string { return fmt.Sprintf("fault %d", f.kind) }

func (e *faulty) Classify(err error) store.Fault {
	var f fault
	if errors.As(err, &f) {
		return f.kind
	}
	return e.Engine.Classify(err)
}

func (e *faulty) Reopen(ctx context.Context) error {
	if e.reopen != nil {
		return e.reopen
	}
	return e.Engine.Reopen(ctx)
}

func (e *faulty) Writer(ctx context.Context) (driver.Conn, error) {
	c, err := e.Engine.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{Conn: c, engine: e}, nil
}

type faultyConn struct {
	driver.Conn
	engine *faulty
}

func (c *faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if f := pop(&c.engine.begin); f != nil {
		return nil, f
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return &faultyTx{Tx: tx, engine: c.engine}, err
}

type faultyTx struct {
	driver.Tx
	engine *faulty
}

func (t *faultyTx) Commit() error {
	f := pop(&t.engine.commit)
	switch {
	case f == nil:
		return t.Tx.Commit()
	case f.(fault).after:
		return errors.Join(f, t.Tx.Commit())
	}
	return errors.Join(f, t.Tx.Rollback())
}

func pop(faults *[]fault) error {
	if len(*faults) == 0 {
		return nil
	}
	f := (*faults)[0]
	*faults = (*faults)[1:]
	return f
}

func repeat(kind store.Fault, n int) []fault {
	faults := make([]fault, n)
	for i := range faults {
		faults[i] = fault{kind: kind}
	}
	return faults
}

// faults shows what the Writer makes of an engine's errors. The engine's own
// judgement of its errors is tested beside the engine.
func faults(t *testing.T, open Opener) {
	ctx := context.Background()
	broken := func(t *testing.T) (*house, *faulty) {
		e := &faulty{Engine: open(t, filepath.Join(t.TempDir(), "place"))}
		h := settled(t, func(testing.TB, string) store.Engine { return e })
		return h, e
	}
	record := func(tx *store.Tx) error {
		tx.Head().Sequence++
		id := tx.Group()
		_, err := tx.Exec(`INSERT INTO "log" ("first", "count", "group_id", "body") VALUES ($1, $2, $3, $4)`,
			tx.Head().Sequence, 1, id, []byte{})
		return errors.Join(err, tx.Put(Spend, spend(1, "key_0", id[0])))
	}

	t.Run("a lost race is run again", func(t *testing.T) {
		h, e := broken(t)
		e.begin, e.commit = repeat(store.FaultRetry, 2), repeat(store.FaultRetry, 2)
		runs := 0
		h.must(h.writer.Commit(ctx, [16]byte{1}, func(tx *store.Tx) error {
			runs++
			return record(tx)
		}))
		if runs != 3 {
			t.Errorf("got %d runs, want 3", runs)
		}
		if got := h.head().Sequence; got != 1 {
			t.Errorf("got sequence %d, want 1", got)
		}
		h.must(h.verify())
	})
	t.Run("but not for ever", func(t *testing.T) {
		h, e := broken(t)
		e.commit = repeat(store.FaultRetry, 1000)
		h.wantError(h.writer.Commit(ctx, [16]byte{1}, record), store.ErrBusy)
		e.commit = nil
		h.must(h.writer.Commit(ctx, [16]byte{1}, record))
	})
	for _, c := range []struct {
		kind store.Fault
		want error
	}{{store.FaultFull, store.ErrFull}, {store.FaultConflict, store.ErrConflict}} {
		t.Run(c.want.Error(), func(t *testing.T) {
			h, e := broken(t)
			e.commit = repeat(c.kind, 1)
			err := h.writer.Commit(ctx, [16]byte{1}, record)
			h.wantError(err, c.want)
			if errors.Is(err, store.ErrBroken) || errors.Is(err, store.ErrUnknownCommit) {
				t.Errorf("got %v: nothing is broken or unknown", err)
			}
			h.must(h.writer.Commit(ctx, [16]byte{2}, record))
			h.must(h.verify())
		})
	}
	for _, kind := range []store.Fault{store.FaultUnknown, store.FaultBroken, store.FaultNone} {
		for _, happened := range []bool{false, true} {
			t.Run(fmt.Sprintf("a commit of unknown outcome, fault %d, happened %v", kind, happened), func(t *testing.T) {
				h, e := broken(t)
				h.must(h.writer.Commit(ctx, [16]byte{1}, record))
				e.commit = []fault{{kind, happened}}
				err := h.writer.Commit(ctx, [16]byte{2}, record)
				h.wantError(err, store.ErrUnknownCommit)
				if got, want := errors.Is(err, store.ErrBroken), kind != store.FaultUnknown; got != want {
					t.Errorf("got %v, broken must be %v", err, want)
				}
				if kind != store.FaultUnknown {
					h.wantError(h.writer.Commit(ctx, [16]byte{3}, record), store.ErrBroken)
					_, err := h.writer.Happened(ctx, [16]byte{2})
					h.wantError(err, store.ErrBroken)
					e.reopen = errors.New("still no disk")
					h.wantError(h.writer.Reopen(ctx), e.reopen)
					h.wantError(h.writer.Commit(ctx, [16]byte{3}, record), store.ErrBroken)
					e.reopen = nil
					h.must(h.writer.Reopen(ctx))
				}
				if got, err := h.writer.Happened(ctx, [16]byte{2}); got != happened || err != nil {
					t.Errorf("got %v, %v, want %v", got, err, happened)
				}
				h.must(h.writer.Commit(ctx, [16]byte{4}, record))
				if got, want := h.head().Sequence, 2+uint64(len(e.commit)); got < want {
					t.Errorf("got sequence %d, want at least %d", got, want)
				}
				h.must(h.verify())
			})
		}
	}
	t.Run("an i/o error before COMMIT is known not to be one", func(t *testing.T) {
		h, e := broken(t)
		e.begin = repeat(store.FaultBroken, 1)
		err := h.writer.Commit(ctx, [16]byte{1}, record)
		h.wantError(err, store.ErrBroken)
		if errors.Is(err, store.ErrUnknownCommit) {
			t.Errorf("got %v: it was never sent", err)
		}
		h.wantError(h.writer.Commit(ctx, [16]byte{1}, record), store.ErrBroken)
		h.must(h.writer.Reopen(ctx))
		h.must(h.writer.Commit(ctx, [16]byte{1}, record))
	})
	t.Run("reading goes on while broken", func(t *testing.T) {
		h, e := broken(t)
		h.must(h.writer.Commit(ctx, [16]byte{1}, record))
		e.begin = repeat(store.FaultBroken, 1)
		h.wantError(h.writer.Commit(ctx, [16]byte{2}, record), store.ErrBroken)
		h.row(Spend, spendKey(1, "key_0")...)
		h.must(h.verify())
	})
}
