package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
)

// The reserve is a file that holds nothing but its place on the disk. Whoever
// else fills the disk cannot have that place, and a commit that must succeed
// gets it.

const (
	// ReserveFile is its name in the data directory.
	ReserveFile = "reserve"

	reserveSize = 8 << 20
	// reserveStep is given up at once. All of it at once would be gone at once
	// where something else fills the disk; a step is far more than a commit needs
	// that disables a key.
	reserveStep = 1 << 20
	// reserveSpare must be free beside the reserve, or it is not made: on a disk
	// that is short already it would take what it shall keep.
	reserveSpare = 32 << 20
	// openRoom is free before a database is opened: SQLite then needs an index
	// of 32 KiB and the start of a log, for this file and for what is derived.
	openRoom = 1 << 20
)

// Yield is store.Engine's.
func (e *Engine) Yield(context.Context) (given bool, err error) {
	e.reserving.Lock()
	defer e.reserving.Unlock()
	f, err := os.OpenFile(filepath.Join(e.dir, ReserveFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		given = true
		// Synced, because some file systems hand freed blocks out only then.
		err = errors.Join(f.Truncate(max(0, info.Size()-reserveStep)), f.Sync())
	}
	return given, errors.Join(err, f.Close())
}

// Refill is store.Engine's.
func (e *Engine) Refill(ctx context.Context) (whole bool, err error) {
	e.reserving.Lock()
	defer e.reserving.Unlock()
	info, err := os.Stat(filepath.Join(e.dir, ReserveFile))
	if err == nil && info.Size() == reserveSize {
		return true, nil
	}
	return e.reserve(ctx)
}

// reserve takes the whole place anew, also where the file looks whole: a copy of
// it may have holes.
func (e *Engine) reserve(ctx context.Context) (whole bool, err error) {
	free, err := e.Space(ctx)
	if err != nil || free < reserveSize+reserveSpare {
		return false, err
	}
	f, err := os.OpenFile(filepath.Join(e.dir, ReserveFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	err = allocate(f, reserveSize)
	return err == nil, errors.Join(err, f.Close())
}

// fill is allocate where the system has no call for it. Random, because a file
// system that compresses would keep no place for zeros.
func fill(f *os.File, size int64) error {
	piece := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(piece)) {
		if _, err := rand.Read(piece); err != nil {
			return err
		}
		if _, err := f.WriteAt(piece[:min(size-at, int64(len(piece)))], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// makeRoom gives up what opening needs of a disk that is full.
func (e *Engine) makeRoom(ctx context.Context) error {
	for {
		free, err := e.Space(ctx)
		if err != nil || free >= openRoom {
			return err
		}
		if given, err := e.Yield(ctx); err != nil || !given {
			return err // nothing is left to give: what there is may do
		}
	}
}
