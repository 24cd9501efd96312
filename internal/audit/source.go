package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"keyward/internal/store"
)

// stored is a log in a data directory, or in a copy of one.
type stored struct {
	reader  *store.Reader
	derived *sql.DB
}

// Stored returns the log of a data directory as a Source that also knows its
// head. It only reads, and the store may be locked: nothing that it says is
// trusted by Verify. Derived may be nil; then there is neither checkpoint nor
// tile, and Verify needs a kept checkpoint.
func Stored(reader *store.Reader, derived *sql.DB) Source { return &stored{reader, derived} }

func (s *stored) Checkpoint(ctx context.Context) ([]byte, error) {
	if s.derived == nil {
		return nil, ErrNoCheckpoint
	}
	var b []byte
	err := s.derived.QueryRowContext(ctx, getCheckpoint).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoCheckpoint
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return b, nil
}

func (s *stored) Tile(ctx context.Context, path string) ([]byte, error) {
	return readPath(ctx, s.derived, path)
}

func (s *stored) Records(ctx context.Context, from uint64) ([]Entry, error) {
	return Page(ctx, s.reader, from, batch)
}

func (s *stored) Head(ctx context.Context) (Position, error) {
	h, err := s.reader.Head(ctx)
	if errors.Is(err, store.ErrUninitialized) {
		err = fault(0, `table "head": row "1" was removed: nothing says any more where the log ends`)
	}
	return Position{h.Sequence, h.Hash}, err
}
