package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tilePath is the C2SP tlog-tiles path of a tile or, at bundleLevel, of a bundle.
func tilePath(level int, n uint64, width int) string {
	path := tlog.Tile{H: tileHeight, L: level, N: int64(n), W: width}.Path()
	rest := strings.TrimPrefix(path, "tile/8/")
	if level == bundleLevel {
		return "tile/entries/" + strings.TrimPrefix(rest, "data/")
	}
	return "tile/" + rest
}

// parseTilePath reads a path of tlog-tiles, strictly.
func parseTilePath(path string) (tlog.Tile, error) {
	bad := fmt.Errorf("%w: %q is no path of a tile", ErrNotFound, clip(path))
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 64 {
		return tlog.Tile{}, bad
	}
	if bundle, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + bundle
	} else if strings.HasPrefix(rest, "data/") {
		return tlog.Tile{}, bad
	}
	t, err := tlog.ParseTilePath("tile/8/" + rest)
	if err != nil || t.L > 63 {
		return tlog.Tile{}, bad
	}
	return t, nil
}

// cutTile cuts a stored tile or bundle to the width asked for. A wider one holds
// all narrower ones, so that those of old checkpoints stay readable for ever.
func cutTile(t tlog.Tile, data []byte) ([]byte, error) {
	size := t.W * tlog.HashSize
	if t.L == bundleLevel {
		size = t.W * entryLength
	}
	if len(data) < size {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, tilePath(t.L, uint64(t.N), t.W))
	}
	return data[:size], nil
}

// Tables of derived state. They can be dropped at any time; the log is read
// again from its beginning.
var derivedTables = [...]string{
	`CREATE TABLE IF NOT EXISTS tree_tile (level bigint NOT NULL, n bigint NOT NULL, data bytea NOT NULL, PRIMARY KEY (level, n))`,
	`CREATE TABLE IF NOT EXISTS tree_state (id bigint PRIMARY KEY, size bigint NOT NULL, hash bytea NOT NULL, root bytea NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS tree_checkpoint (id bigint PRIMARY KEY, note bytea NOT NULL)`,
}

const (
	putTile       = `INSERT INTO tree_tile (level, n, data) VALUES ($1, $2, $3) ON CONFLICT (level, n) DO UPDATE SET data = excluded.data`
	putState      = `INSERT INTO tree_state (id, size, hash, root) VALUES (1, $1, $2, $3) ON CONFLICT (id) DO UPDATE SET size = excluded.size, hash = excluded.hash, root = excluded.root`
	putCheckpoint = `INSERT INTO tree_checkpoint (id, note) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET note = excluded.note`
	getTile       = `SELECT data FROM tree_tile WHERE level = $1 AND n = $2`
	getState      = `SELECT size, hash, root FROM tree_state WHERE id = 1`
	getCheckpoint = `SELECT note FROM tree_checkpoint WHERE id = 1`
)

// readTile reads a tile or bundle from derived state.
func readTile(ctx context.Context, derived *sql.DB, t tlog.Tile) ([]byte, error) {
	var data []byte
	err := derived.QueryRowContext(ctx, getTile, int64(t.L), t.N).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: %s", ErrNotFound, tilePath(t.L, uint64(t.N), t.W))
	}
	if err != nil {
		return nil, err
	}
	return cutTile(t, data)
}

func readPath(ctx context.Context, derived *sql.DB, path string) ([]byte, error) {
	t, err := parseTilePath(path)
	if err != nil {
		return nil, err
	}
	return readTile(ctx, derived, t)
}

// hashReader finds stored hashes in the tiles of derived state.
func hashReader(ctx context.Context, derived *sql.DB) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var last tlog.Tile
		var data []byte
		return readHashes(indexes, func(t tlog.Tile) (_ []byte, err error) {
			if t != last { // neighbours often lie in one tile
				if data, err = readTile(ctx, derived, t); err != nil {
					return nil, err
				}
				last = t
			}
			return data, nil
		})
	})
}

// loadEdge reads the border of a tree of the given size, and refuses one that
// does not have the root given.
func loadEdge(ctx context.Context, derived *sql.DB, size uint64, root []byte) (edge, error) {
	if size >= maxSequence {
		return edge{}, errors.New("the stored position is damaged")
	}
	e := edge{size: size}
	read := func(level int) ([]byte, error) {
		width := e.width(level)
		if width == 0 {
			return nil, nil
		}
		return readTile(ctx, derived, tlog.Tile{H: tileHeight, L: level, N: int64(e.index(level)), W: width})
	}
	bundle, err := read(bundleLevel)
	if err != nil {
		return edge{}, err
	}
	e.bundle = bundle
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		data, err := read(level)
		if err != nil {
			return edge{}, err
		}
		e.levels = append(e.levels, append(make([]byte, 0, tileBytes), data...))
	}
	if got := e.root(); !bytes.Equal(got[:], root) {
		return edge{}, errors.New("the stored tiles do not have the stored root")
	}
	return e, nil
}
