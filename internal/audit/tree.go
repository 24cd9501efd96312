package audit

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// The tree is that of RFC 6962, section 2.1, kept as the tiles of C2SP
// tlog-tiles: height 8, so at most 256 hashes a tile. Record number s is leaf
// number s-1. At level -1 lie the entry bundles.
const (
	tileHeight  = 8
	tileWidth   = 1 << tileHeight
	tileBytes   = tileWidth * tlog.HashSize
	bundleLevel = -1
	entryLength = 2 + leafLength
)

// edge is the right border of a growing tree: at each level the tile that is not
// full yet, and the bundle. Everything left of it is never needed to append.
type edge struct {
	size   uint64
	bundle []byte
	levels [][]byte
	// full is called with each tile and bundle as it fills up. The data is
	// overwritten afterwards.
	full func(level int, n uint64, data []byte) error
}

// append adds one leaf.
func (e *edge) append(leaf []byte) error {
	e.bundle = binary.BigEndian.AppendUint16(e.bundle, uint16(len(leaf)))
	e.bundle = append(e.bundle, leaf...)
	hash := tlog.RecordHash(leaf)
	e.size++
	if e.size%tileWidth == 0 {
		if err := e.full(bundleLevel, e.size/tileWidth-1, e.bundle); err != nil {
			return err
		}
		e.bundle = e.bundle[:0]
	}
	for level := 0; ; level++ {
		if level == len(e.levels) {
			e.levels = append(e.levels, make([]byte, 0, tileBytes))
		}
		e.levels[level] = append(e.levels[level], hash[:]...)
		if len(e.levels[level]) < tileBytes {
			return nil
		}
		if err := e.full(level, e.index(level)-1, e.levels[level]); err != nil {
			return err
		}
		hash = tileHash(e.levels[level])
		e.levels[level] = e.levels[level][:0]
	}
}

// index is the number of the unfinished tile at a level, bundleLevel included.
func (e *edge) index(level int) uint64 {
	return e.size >> (tileHeight * (max(level, 0) + 1))
}

// width is how many hashes or entries the unfinished tile at a level has.
func (e *edge) width(level int) int {
	return int(e.size >> (tileHeight * max(level, 0)) % tileWidth)
}

// partial calls f with each unfinished tile and bundle that is not empty.
func (e *edge) partial(f func(level int, n uint64, data []byte) error) error {
	if len(e.bundle) > 0 {
		if err := f(bundleLevel, e.index(bundleLevel), e.bundle); err != nil {
			return err
		}
	}
	for level, data := range e.levels {
		if len(data) > 0 {
			if err := f(level, e.index(level), data); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadHashes makes the edge a tlog.HashReader for the hashes that lie in it:
// among them all that the root is made of.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	return readHashes(indexes, func(t tlog.Tile) ([]byte, error) {
		if t.L >= len(e.levels) || uint64(t.N) != e.index(t.L) {
			return nil, fmt.Errorf("%w: %s at the edge", ErrNotFound, tilePath(t.L, uint64(t.N), t.W))
		}
		return e.levels[t.L], nil
	})
}

func (e *edge) root() [32]byte {
	root, err := tlog.TreeHash(int64(e.size), e)
	if err != nil {
		panic(err) // all of a root's parts lie in the edge
	}
	return root
}

// clone returns an edge that grows apart from e.
func (e *edge) clone() edge {
	c := edge{size: e.size, bundle: slices.Clone(e.bundle), full: e.full}
	for _, data := range e.levels {
		c.levels = append(c.levels, append(make([]byte, 0, tileBytes), data...))
	}
	return c
}

// tileHash is the root of the subtree above a full tile.
func tileHash(hashes []byte) tlog.Hash {
	if len(hashes) == tlog.HashSize {
		return tlog.Hash(hashes)
	}
	half := len(hashes) / 2
	return tlog.NodeHash(tileHash(hashes[:half]), tileHash(hashes[half:]))
}

// readHashes finds stored hashes (see tlog.StoredHashIndex) in tiles. A tile may
// be wider than was asked for.
func readHashes(indexes []int64, tile func(tlog.Tile) ([]byte, error)) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		t := tlog.TileForIndex(tileHeight, index)
		data, err := tile(t)
		if err != nil {
			return nil, err
		}
		if hashes[i], err = tlog.HashFromTile(t, data, index); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}
