package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"keyward/internal/audit"
	"keyward/internal/store/sqlite"
)

func derivedFile(dir string) string { return filepath.Join(dir, "derived.db") }

// openDerived opens the state that can be made again. What is damaged is moved
// aside, not deleted: it holds the newest signed checkpoint, which the log alone
// cannot tell. It is carried over where it can still be read. A file that only
// cannot be opened now, for want of space or because somebody locks it, is left
// where it is: else whoever fills the disk would have that checkpoint forgotten.
func openDerived(ctx context.Context, dir string, log *slog.Logger) (*sql.DB, error) {
	path := derivedFile(dir)
	fresh := path + ".new"
	if !exists(path) && exists(fresh) { // the process ended between the two renames
		if err := os.Rename(fresh, path); err != nil {
			return nil, err
		}
	}
	derived, why := soundDerived(ctx, path)
	if why == nil {
		return derived, nil
	}
	if !damagedDerived(path, why) || ctx.Err() != nil {
		return nil, fmt.Errorf("open %s: %w", path, why)
	}
	note := salvaged(path)
	if err := makeDerived(ctx, fresh, note); err != nil {
		return nil, fmt.Errorf("%s cannot be used (%w), and could not be made anew: %w", path, why, err)
	}
	aside := path + ".aside-" + time.Now().UTC().Format("20060102T150405.000Z")
	for _, part := range []string{"-wal", "-shm", ""} { // the file last: until then it is found damaged again
		if err := os.Rename(path+part, aside+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s cannot be used (%w), and could not be moved aside: %w; move it away: it is made again from the log", path, why, err)
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return nil, err
	}
	derived, err := soundDerived(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("make %s anew: %w", path, err)
	}
	checkpoint := "none found: keep checkpoints elsewhere, and compare with keyward audit verify --since"
	if note != nil {
		checkpoint = "carried over"
	}
	log.Warn("derived.db cannot be used and is made again from the log", "why", why, "moved", aside, "newest checkpoint", checkpoint)
	return derived, nil
}

// makeDerived makes derived state that holds nothing but a checkpoint, if there
// is one, and is whole before it gets its name.
func makeDerived(ctx context.Context, path string, note []byte) error {
	for _, part := range []string{"", "-wal", "-shm"} { // of an earlier try
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	derived, err := soundDerived(ctx, path)
	if err != nil {
		return err
	}
	if note != nil {
		err = audit.Remember(ctx, derived, note)
	}
	return errors.Join(err, derived.Close())
}

// damagedDerived tells whether it is the file that is wrong, and not the moment.
func damagedDerived(path string, why error) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() || sqlite.Damaged(why) || errors.Is(why, audit.ErrUnsound)
}

// soundDerived opens derived state, and refuses what cannot be worked with.
func soundDerived(ctx context.Context, path string) (*sql.DB, error) {
	derived, err := sqlite.OpenDerived(path)
	if err != nil {
		return nil, err
	}
	if err := audit.Sound(ctx, derived); err != nil {
		return nil, errors.Join(err, derived.Close())
	}
	return derived, nil
}

// salvaged is the newest checkpoint in what is left of the file and its log.
func salvaged(path string) []byte {
	var parts []io.Reader
	for _, part := range []string{"", "-wal"} {
		if f, err := os.Open(path + part); err == nil {
			defer f.Close()
			parts = append(parts, f)
		}
	}
	note, _ := audit.Salvage(io.MultiReader(parts...)) // whatever could be read
	return note
}
