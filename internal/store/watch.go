package store

import (
	"context"
	"database/sql/driver"
	"errors"
)

// watch is what the Writer knows of commits that were not its own. Rows that
// were deleted or put back are genuine one by one: between two looks at all of
// them, only the engine can tell that there is something to look for.
type watch struct {
	tables  []Table      // that decisions rest on; nil before Verify
	version driver.Value // the engine's, when they were last known to be right; nil on a new connection
	why     string       // they were verified anew since the last commit; "" if not
	found   error        // what was wrong with them, until Lock
}

// Why every row was verified before a commit.
const (
	writtenOutside = "the database was written from outside"
	openedAnew     = "the connection to the database was opened anew"
)

// Verify does what Reader.VerifyAll does while nobody can commit, and has the
// Writer watch these tables until Lock: when anybody else has committed since,
// or the connection had to be opened anew, the next Commit verifies them again
// before it runs. When that finds something it fails with the ErrTampered, and
// so does every later one. A look that finds nothing costs a few microseconds.
// Where the engine has no Version, others commit by right and nothing is watched.
func (w *Writer) Verify(ctx context.Context, tables []Table) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys.locked() {
		return ErrLocked
	}
	w.watch = watch{tables: tables}
	onlyLooked := errors.New("only looked")
	err := w.run(ctx, func(ctx context.Context, s *session) (*headRow, error, error) {
		if _, err := w.lockHead(ctx, s); err != nil {
			return nil, err, err
		}
		version, err := w.version(ctx, s)
		if err == nil {
			err = w.reader.VerifyAll(ctx, tables)
		}
		if err != nil {
			return nil, err, err
		}
		w.watch.version = version
		return nil, onlyLooked, nil
	})
	if err == onlyLooked {
		err = nil
	}
	return err
}

// version asks the engine; nil where it has nothing to say.
func (w *Writer) version(ctx context.Context, s *session) (driver.Value, error) {
	query := w.engine.Version()
	if query == "" {
		return nil, nil
	}
	values, err := w.row(ctx, s, query)
	if err != nil {
		return nil, err
	}
	if values == nil {
		return nil, errors.New("the database does not tell its version")
	}
	return values[0], nil
}

// look makes sure that the rows are those that this Writer left. It runs under
// the head lock: whoever else wants to commit waits for the commit that follows.
func (w *Writer) look(ctx context.Context, s *session) error {
	if w.watch.tables == nil || w.engine.Version() == "" {
		return nil
	}
	if w.watch.found != nil {
		return w.watch.found
	}
	version, err := w.version(ctx, s)
	if err != nil || version == w.watch.version {
		return err
	}
	why := writtenOutside
	if w.watch.version == nil {
		why = openedAnew
	}
	if err := w.reader.VerifyAll(ctx, w.watch.tables); err != nil {
		if errors.Is(err, ErrTampered) {
			w.watch.found = err
		}
		return err
	}
	w.watch.version = version
	if w.watch.why == "" {
		w.watch.why = why
	}
	return nil
}

// Verified says why every watched row was verified anew since the last commit,
// "" when that was not needed. What was read before may have been something
// else than the rows as they are now.
func (t *Tx) Verified() string { return t.verified }
