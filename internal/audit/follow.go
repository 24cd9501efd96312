package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// follow brings tree and checkpoint up to the log. What derived state holds may
// be wrong without the log being so: before it complains, it has read the whole
// log once more.
func (l *Log) follow(ctx context.Context) error {
	fresh := l.edge.size == 0
	err := l.advance(ctx)
	var doubt *doubtError
	if !fresh && errors.As(err, &doubt) {
		if err := l.rebuild(ctx, doubt.error); err != nil {
			return err
		}
		err = l.advance(ctx)
	}
	if errors.As(err, &doubt) {
		return doubt.error
	}
	return err
}

// doubtError is a contradiction between the log and derived state.
type doubtError struct{ error }

// advance integrates all that is committed, then signs.
func (l *Log) advance(ctx context.Context) error {
	head, err := l.reader.Head(ctx)
	if err != nil {
		return err
	}
	if c := l.newest.Load(); c != nil && head.Sequence < c.Size {
		return fmt.Errorf("%w: it has %d records, but %d were signed", ErrFork, head.Sequence, c.Size)
	}
	if l.edge.size > head.Sequence {
		return &doubtError{fault(head.Sequence+1, "the tree has %d records, the log %d", l.edge.size, head.Sequence)}
	}
	if err := l.integrate(ctx, head.Sequence); err != nil {
		return err
	}
	if l.chain.at.Hash != head.Hash {
		return &doubtError{fault(head.Sequence, "the running hash of the %d records in the log is not that of its head", head.Sequence)}
	}
	return l.sign(ctx)
}

// sign makes a checkpoint of the tree as it is, if there is none yet, but never
// one that contradicts an older one.
func (l *Log) sign(ctx context.Context) error {
	c := Checkpoint{Origin: l.origin, Size: l.edge.size, Root: l.edge.root()}
	if last := l.newest.Load(); last != nil {
		if err := l.consistent(ctx, *last, c); err != nil {
			return err
		}
		if last.Size == c.Size {
			return nil
		}
	}
	if err := c.sign(l.key); err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	// Remembered first: no crash of ours makes us forget what was published. (A
	// power cut can; what it leaves is an older checkpoint of the same log.)
	if _, err := l.derived.ExecContext(ctx, putCheckpoint, c.Note); err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	l.newest.Store(&c)
	return nil
}

func (l *Log) consistent(ctx context.Context, last, c Checkpoint) error {
	var proof []tlog.Hash
	if last.Size > 0 && last.Size < c.Size {
		var err error
		if proof, err = tlog.ProveTree(int64(c.Size), int64(last.Size), hashReader(ctx, l.derived)); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &doubtError{fmt.Errorf("%w: %w", ErrFork, err)}
		}
	}
	if err := CheckConsistency(last, c, proof); err != nil {
		return &doubtError{err}
	}
	return nil
}

// batch is how many records one transaction of derived state takes, about.
const batch = 4096

// integrate appends the records up to the sequence to the tree, a batch at a time.
func (l *Log) integrate(ctx context.Context, to uint64) error {
	for l.edge.size < to {
		if l.locking.Load() {
			return ErrLocked
		}
		rows, err := l.read(ctx, to)
		if err != nil {
			return err
		}
		e, c := l.edge.clone(), l.chain
		if err := l.store(ctx, rows, to, &e, &c); err != nil {
			return err
		}
		if e.size == l.edge.size {
			return &doubtError{fault(e.size+1, "record %d is missing from the log", e.size+1)}
		}
		l.place(e, c)
	}
	return nil
}

// read collects the rows of a batch, so that no row is held while tiles are
// written.
func (l *Log) read(ctx context.Context, to uint64) (rows [][]Entry, err error) {
	read := 0
	for entries, err := range readRows(ctx, l.reader, rowsFrom, l.edge.size+1, batch) {
		var f *Fault
		switch {
		case errors.As(err, &f):
			return nil, &doubtError{err}
		case err != nil:
			return nil, err
		case entries[0].Sequence > to:
			return rows, nil // committed after the head was read
		}
		rows = append(rows, entries)
		if read += len(entries); read >= batch {
			break
		}
	}
	return rows, nil
}

// store writes what a batch adds to the tree, all or nothing.
func (l *Log) store(ctx context.Context, rows [][]Entry, to uint64, e *edge, c *chain) error {
	return l.transact(ctx, func(tx *sql.Tx) error {
		put, err := tx.PrepareContext(ctx, putTile)
		if err != nil {
			return err
		}
		defer put.Close()
		tile := func(level int, n uint64, data []byte) error {
			_, err := put.ExecContext(ctx, int64(level), int64(n), data)
			return err
		}
		e.full = tile
		for _, entries := range rows {
			for _, entry := range entries {
				leaf, err := c.next(entry)
				if err == nil && entry.Sequence > to {
					err = fault(entry.Sequence, "record %d is in the log, but the log's head does not know it", entry.Sequence)
				}
				if err != nil {
					return &doubtError{err}
				}
				if err := e.append(leaf); err != nil {
					return err
				}
			}
		}
		e.full = nil
		if err := e.partial(tile); err != nil {
			return err
		}
		root := e.root()
		_, err = tx.ExecContext(ctx, putState, int64(e.size), c.at.Hash[:], root[:])
		return err
	})
}

// rebuild forgets the tree, not the checkpoint: that is what the tree made anew
// has to agree with.
func (l *Log) rebuild(ctx context.Context, why error) error {
	l.log.Warn("the audit tree is rebuilt from the log", "why", why)
	err := l.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM tree_tile`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM tree_state`)
		return err
	})
	if err != nil {
		return fmt.Errorf("rebuild the tree: %w", err)
	}
	l.place(edge{}, chainFrom(1))
	return nil
}

func (l *Log) transact(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := l.derived.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
