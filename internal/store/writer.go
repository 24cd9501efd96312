package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Writer changes the database. There is one, and it belongs to the journal. Its
// methods may be called from any goroutine and run one after the other.
type Writer struct {
	engine Engine
	reader *Reader
	keys   *keyring

	mu      sync.Mutex
	session *session // nil until needed, and after a failure
	last    *headRow // as this process wrote or verified it last
	watch   watch
	broken  bool
	closed  bool
}

// Commit runs f in a transaction whose first statement locks the head row and
// whose last one writes it, and returns when both are on disk. f may be run
// several times, each time in a new transaction, and must do the same each
// time. An error of f rolls back and is returned as it is; so does a panic.
//
// ErrFull, ErrBusy and ErrConflict leave nothing behind. ErrUnknownCommit means
// that the outcome must be asked for with Happened, for which f must write the
// log row with this group id; together with ErrBroken only after Reopen. Once f
// runs, ctx no longer counts: nobody's deadline cuts through a group. After
// Verify a commit also fails with ErrTampered, before f runs, when somebody else
// wrote and the rows are no longer right.
func (w *Writer) Commit(ctx context.Context, group [16]byte, f func(*Tx) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys.locked() {
		return ErrLocked
	}
	return w.run(ctx, func(ctx context.Context, s *session) (*headRow, error, error) {
		h, err := w.lockHead(ctx, s)
		if err == nil {
			err = w.look(ctx, s)
		}
		if err != nil {
			return nil, err, err
		}
		return w.change(ctx, s, h, updateHead, group, f)
	})
}

// Init makes the installation's head row and everything else that f writes in
// one commit, signed with the row key, and leaves Reader and Writer unlocked.
// ErrInitialized when there is one. The key, KeySize bytes, stays the caller's.
func (w *Writer) Init(ctx context.Context, key []byte, group [16]byte, f func(*Tx) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.keys.locked() {
		return ErrInitialized
	}
	k, err := newRowKey(key)
	if err != nil {
		return err
	}
	w.keys.set(k)
	err = w.run(ctx, func(ctx context.Context, s *session) (*headRow, error, error) {
		if err := w.unborn(ctx, s); err != nil {
			return nil, err, err
		}
		return w.change(ctx, s, &headRow{}, insertHead, group, f)
	})
	if err != nil {
		w.keys.set(nil)
	}
	return err
}

// Unlock gives Reader and Writer the row key, KeySize bytes, which stays the
// caller's. It fails with a *TamperError, and stays locked, when the head row
// was not written under this key, and with ErrUninitialized when there is none.
func (w *Writer) Unlock(ctx context.Context, key []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.keys.locked() {
		return errors.New("the row key is unlocked already")
	}
	k, err := newRowKey(key)
	if err != nil {
		return err
	}
	w.keys.set(k)
	if _, err := w.reader.Head(ctx); err != nil {
		w.keys.set(nil)
		return err
	}
	return nil
}

// Lock wipes the row key, after the commit that may be running. From then on
// Commit and every authenticated read fail with ErrLocked. Nothing is watched
// any more.
func (w *Writer) Lock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch = watch{}
	w.keys.set(nil)
}

// Happened looks under the head lock whether the commit with this group id took
// effect: whether the log row that it wrote is there.
func (w *Writer) Happened(ctx context.Context, group [16]byte) (happened bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	onlyLooked := errors.New("only looked")
	err = w.run(ctx, func(ctx context.Context, s *session) (*headRow, error, error) {
		if _, err := w.row(ctx, s, lockHead); err != nil {
			return nil, err, err
		}
		found, err := w.row(ctx, s, `SELECT 1 FROM "log" WHERE "group_id" = $1`, group[:])
		if err != nil {
			return nil, err, err
		}
		happened = found != nil
		return nil, onlyLooked, nil
	})
	if err == onlyLooked {
		err = nil
	}
	return happened, err
}

// Space returns the bytes that the database may still grow by.
func (w *Writer) Space(ctx context.Context) (int64, error) { return w.engine.Space(ctx) }

// Yield gives up a part of the engine's reserve of space; see Engine.
func (w *Writer) Yield(ctx context.Context) (given bool, err error) { return w.engine.Yield(ctx) }

// Refill makes the engine's reserve whole again; see Engine.
func (w *Writer) Refill(ctx context.Context) (whole bool, err error) { return w.engine.Refill(ctx) }

// Reopen opens the database anew after ErrBroken. Commits fail until it
// returned nil; it may be called again. It fails when commits that this process
// was told of are gone.
func (w *Writer) Reopen(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.broken = true
	w.drop()
	w.reader.pool.retire(false)
	if err := w.engine.Reopen(ctx); err != nil {
		return fmt.Errorf("reopen database: %w", err)
	}
	err := w.reader.do(ctx, func(s *session) error {
		h, err := w.reader.head(ctx, s)
		if errors.Is(err, ErrUninitialized) && w.last == nil {
			return nil
		}
		if err == nil && w.last != nil && h.commits < w.last.commits {
			err = tamperedHead()
		}
		return err
	})
	w.broken = err != nil
	return err
}

// Close closes Reader, Writer and engine.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	w.keys.set(nil)
	w.drop()
	w.reader.pool.retire(true)
	return w.engine.Close()
}

// drop closes the writing connection, which also ends its transaction.
func (w *Writer) drop() {
	if w.session != nil {
		w.session.close()
		w.session = nil
		w.watch.version = nil // another connection counts anew
	}
}
