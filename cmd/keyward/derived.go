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

// openDerived opens the state that can be made again. What cannot be used is moved
// aside, not deleted: it holds the newest signed checkpoint, which the log alone
// cannot tell. It is carried over where it can still be read.
func openDerived(ctx context.Context, dir string, log *slog.Logger) (*sql.DB, error) {
	path := derivedFile(dir)
	derived, why := soundDerived(ctx, path)
	if why == nil {
		return derived, nil
	}
	if errors.Is(why, sqlite.ErrOpenToOthers) || ctx.Err() != nil {
		return nil, why // whole, for all we know
	}
	aside := path + ".aside-" + time.Now().UTC().Format("20060102T150405.000Z")
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+part, aside+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s cannot be used (%w), and could not be moved aside: %w; move it away: it is made again from the log", path, why, err)
		}
	}
	derived, err := soundDerived(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("make %s anew: %w", path, err)
	}
	checkpoint := "none found: keep checkpoints elsewhere, and compare with keyward audit verify --since"
	if note := salvaged(aside); note != nil {
		if err := audit.Remember(ctx, derived, note); err != nil {
			return nil, errors.Join(err, derived.Close())
		}
		checkpoint = "carried over"
	}
	log.Warn("derived.db cannot be used and is made again from the log", "why", why, "moved", aside, "newest checkpoint", checkpoint)
	return derived, nil
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
