package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keyward/internal/audit"
)

func TestCheckpointCoversEveryCommittedRecord(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	if c := h.checkpoint(t); c.Size != 0 || h.log.Checkpoint() == nil {
		t.Errorf("got %d records in an empty log", c.Size)
	}
	at := audit.Position{}
	var all []audit.Entry
	for _, n := range []int{1, 1, 2, 60, 190, 1, 1, 255, 256, 257, 1000} {
		h.commit(t, n)
		c := h.checkpoint(t)
		var more []audit.Entry
		more, at = entries(at, n)
		all = append(all, more...)
		m := newMemory(t, all)
		if c.Size != uint64(len(all)) || c.Root != m.root {
			t.Fatalf("got size %d, root %x, want size %d, root %x", c.Size, c.Root, len(all), m.root)
		}
		for path, want := range m.tiles {
			got, err := h.log.Tile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			same(t, path, got, want)
		}
		if !bytes.Equal(h.log.Checkpoint(), c.Note) {
			t.Error("the newest checkpoint is not the one just signed")
		}
		if report, err := h.verify(t, audit.Check{Seen: at}); err != nil || report.Records != c.Size {
			t.Fatalf("verify: got %d records and %v, want %d", report.Records, err, c.Size)
		}
	}
}

func TestTreeIsTheSameHoweverItGrew(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 5000)
	once := h.checkpoint(t)
	h.derived.Exec("DELETE FROM tree_tile")
	h.derived.Exec("DELETE FROM tree_state")
	h.follow(t)
	if again := h.checkpoint(t); again.Root != once.Root {
		t.Errorf("got root %x after a rebuild, want %x", again.Root, once.Root)
	}
	// All of derived state is gone.
	h.close()
	for _, name := range []string{"derived.db", "derived.db-wal", "derived.db-shm"} {
		if err := os.Remove(filepath.Join(h.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	h = open(t, h.dir)
	if again := h.checkpoint(t); again.Root != once.Root {
		t.Errorf("got root %x without derived state, want %x", again.Root, once.Root)
	}
	if _, err := h.verify(t, audit.Check{Since: once.Note}); err != nil {
		t.Error(err)
	}
}

func TestRestartGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	h.fill(t, 700)
	first := h.checkpoint(t)
	h.close()
	h = open(t, dir)
	if !bytes.Equal(h.log.Checkpoint(), first.Note) {
		t.Error("the newest checkpoint was forgotten")
	}
	h.fill(t, 500)
	second := h.checkpoint(t)
	proof, err := h.log.ProveConsistency(t.Context(), first.Size, second.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.CheckConsistency(first, second, proof); err != nil {
		t.Error(err)
	}
	if _, err := h.verify(t, audit.Check{Since: first.Note}); err != nil {
		t.Error(err)
	}
}

func TestRunSignsEachSecondWhenSomethingIsNew(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { h.log.Run(ctx); close(ended) }()
		var before []byte
		for _, records := range []int{10, 0, 20, 0, 0, 1} {
			if records > 0 {
				h.fill(t, records)
			}
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait()
			if now := h.log.Checkpoint(); (records > 0) == bytes.Equal(now, before) {
				t.Errorf("after %d more records: new checkpoint is %v", records, records == 0)
			}
			before = h.log.Checkpoint()
		}
		cancel()
		<-ended
	})
}

func TestLockedLogSignsNothing(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 10)
	before := h.checkpoint(t)
	h.log.Lock()
	h.fill(t, 10)
	if _, err := h.log.CheckpointNow(t.Context()); !errors.Is(err, audit.ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if !bytes.Equal(h.log.Checkpoint(), before.Note) {
		t.Error("the old checkpoint is not served any more")
	}
	other, err := audit.GenerateLogKey(origin, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.log.Unlock(t.Context(), other); err == nil {
		t.Error("a foreign key was accepted")
	}
	if err := h.log.Unlock(t.Context(), logKey(t)); err != nil {
		t.Fatal(err)
	}
	if c := h.checkpoint(t); c.Size != 20 {
		t.Errorf("got %d records, want 20", c.Size)
	}
}

// A client that knows C2SP tlog-tiles and nothing of keyward reads the tree.
func TestTilesAreReadByAnyClient(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 1337)
	old := h.checkpoint(t)
	h.fill(t, 800)
	c := h.checkpoint(t)
	for _, c := range []audit.Checkpoint{old, c} { // also at the size of an old checkpoint
		tree := tlog.Tree{N: int64(c.Size), Hash: c.Root}
		reader := tlog.TileHashReader(tree, client{t, h.log})
		for n := range int64(c.Size) {
			hash, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
			if err != nil {
				t.Fatal(err)
			}
			if n%100 != 0 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, n, reader)
			if err == nil {
				err = tlog.CheckRecord(proof, tree.N, tree.Hash, n, hash[0])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, path := range []string{
		"", "tile", "tile/0/9", "tile/0/0009", "tile/0/x000/001", "tile/64/000", "tile/-1/000", "tile/data/000", "tile/8/0/000", "tile/0/000.p/0",
		"tile/0/000.p/256", "tile/0/000.p/07", "tile/0/999", "tile/0/008.p/200", "tile/entries/000/", "/tile/0/000", "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
	} {
		if b, err := h.log.Tile(t.Context(), path); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("path %q: got %d bytes and %v, want ErrNotFound", path, len(b), err)
		}
	}
}

type client struct {
	t   *testing.T
	log *audit.Log
}

func (client) Height() int                     { return 8 }
func (client) SaveTiles([]tlog.Tile, [][]byte) {}
func (c client) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		b, err := c.log.Tile(c.t.Context(), strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// What derived state holds may be wrong; the log says what is right.
func TestDamagedDerivedStateIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	h.fill(t, 900)
	want := h.checkpoint(t)
	h.close()
	for name, query := range map[string]string{
		"edge tile":     `UPDATE tree_tile SET data = zeroblob(length(data)) WHERE level = 0 AND n = 3`,
		"edge bundle":   `DELETE FROM tree_tile WHERE level = -1 AND n = 3`,
		"upper tile":    `UPDATE tree_tile SET data = substr(data, 1, 32) WHERE level = 1`,
		"position":      `UPDATE tree_state SET size = 899`,
		"beyond":        `UPDATE tree_state SET size = 90000`,
		"negative":      `UPDATE tree_state SET size = -1`,
		"running hash":  `UPDATE tree_state SET hash = zeroblob(32)`,
		"short hash":    `UPDATE tree_state SET hash = x'00'`,
		"root":          `UPDATE tree_state SET root = zeroblob(32)`,
		"all tiles":     `DELETE FROM tree_tile`,
		"checkpoint":    `UPDATE tree_checkpoint SET note = x'00'`,
		"no checkpoint": `DELETE FROM tree_checkpoint`,
	} {
		t.Run(name, func(t *testing.T) {
			copied := copyDir(t, dir)
			edit(t, filepath.Join(copied, "derived.db"), func(db *sql.DB) { exec(t, db, query) })
			h := open(t, copied)
			if got := h.checkpoint(t); got.Root != want.Root || got.Size != want.Size {
				t.Errorf("got size %d, root %x, want size %d, root %x", got.Size, got.Root, want.Size, want.Root)
			}
			h.fill(t, 300)
			h.checkpoint(t)
			if _, err := h.verify(t, audit.Check{Since: want.Note}); err != nil {
				t.Error(err)
			}
		})
	}
	// A full tile that the next consistency proof rests on.
	copied := copyDir(t, dir)
	h = open(t, copied)
	h.fill(t, 300)
	exec(t, h.derived, `UPDATE tree_tile SET data = zeroblob(length(data)) WHERE level = 1 AND n = 0`)
	h.checkpoint(t)
	if _, err := h.verify(t, audit.Check{Since: want.Note}); err != nil {
		t.Error(err)
	}
}

// Two histories under one key are never signed.
func TestForkIsNeverSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	one := open(t, dir)
	one.fill(t, 300)
	one.close()
	yesterday := copyDir(t, dir)
	one = open(t, dir)
	one.fill(t, 400)
	signed := one.checkpoint(t)
	one.close()

	// The same number of other records, longer and shorter.
	for name, records := range map[string]int{"same size": 700, "longer": 900, "shorter": 500} {
		t.Run(name, func(t *testing.T) {
			h := open(t, filepath.Join(t.TempDir(), "d"))
			h.fill(t, 250)
			h.commitRecords(t, []audit.Record{{Action: "key.create", Phase: audit.Noted, Time: example(251).Time}})
			h.fill(t, records-251)
			h.close()
			forged := copyDir(t, h.dir)
			replace(t, forged, one.dir, "derived.db")
			wantFork(t, forged, signed)
		})
	}
	t.Run("yesterday's database", func(t *testing.T) {
		replace(t, yesterday, one.dir, "derived.db")
		wantFork(t, yesterday, signed)
	})
}

// replace puts one directory's file in the place of another's.
func replace(t *testing.T, dir, from, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, name))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wantFork(t *testing.T, dir string, signed audit.Checkpoint) {
	t.Helper()
	h := open(t, dir)
	defer h.close()
	for range 2 {
		if _, err := h.log.CheckpointNow(t.Context()); !errors.Is(err, audit.ErrFork) {
			t.Errorf("got %v, want ErrFork", err)
		}
	}
	if !bytes.Equal(h.log.Checkpoint(), signed.Note) {
		t.Error("the checkpoint changed")
	}
	if _, err := h.verify(t, audit.Check{}); err == nil {
		t.Error("verify found nothing")
	}
}

func TestForkOfOneSizeIsInconsistent(t *testing.T) {
	k := logKey(t)
	var two []audit.Checkpoint
	for _, root := range []tlog.Hash{{1}, {2}} {
		c, err := audit.OpenCheckpoint(sign(t, k, 5, root), k.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		two = append(two, c)
	}
	if err := audit.CheckConsistency(two[0], two[1], nil); !errors.Is(err, audit.ErrFork) {
		t.Errorf("got %v, want ErrFork", err)
	}
	if err := audit.CheckConsistency(two[0], two[0], nil); err != nil {
		t.Error(err)
	}
}

// A record changed under a running server stops the checkpoints.
func TestChangedLogIsNeverSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	h.fill(t, 300)
	before := h.checkpoint(t)
	h.fill(t, 300)
	h.close()
	for name, c := range map[string]struct {
		at   uint64
		want uint64
	}{"not yet integrated": {450, 451}, "last": {600, 600}} {
		t.Run(name, func(t *testing.T) {
			copied := copyDir(t, dir)
			edit(t, filepath.Join(copied, "keyward.db"), func(db *sql.DB) {
				changeRow(t, db, c.at, func(all []audit.Entry, i int) []audit.Entry {
					all[i].Nonce[0] ^= 1
					return all
				})
			})
			h := open(t, copied)
			_, err := h.log.CheckpointNow(t.Context())
			wantFault(t, err, c.want)
			if !bytes.Equal(h.log.Checkpoint(), before.Note) {
				t.Error("the checkpoint changed")
			}
			if h.log.Err() == nil {
				t.Error("the trouble is not told")
			}
		})
	}
}

func TestPositionsOfLog(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 500)
	want, _ := entries(audit.Position{}, 500)
	for _, c := range []struct{ from, to, first, last uint64 }{{0, 0, 1, 500}, {1, 0, 1, 500}, {77, 0, 77, 500}, {77, 78, 77, 78}, {500, 500, 500, 500}, {501, 0, 501, 500}} {
		t.Run(fmt.Sprintf("%d to %d", c.from, c.to), func(t *testing.T) {
			next := c.first
			for e, err := range audit.Records(t.Context(), h.reader, c.from, c.to) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Sequence != next || !bytes.Equal(e.Record, want[next-1].Record) {
					t.Fatalf("got record %d, want %d", e.Sequence, next)
				}
				next++
			}
			if next != c.last+1 {
				t.Errorf("ended before %d, want %d", next, c.last+1)
			}
		})
	}
	for _, err := range audit.Records(t.Context(), h.reader, 490, 501) {
		if err != nil {
			wantFault(t, err, 501)
			return
		}
	}
	t.Error("a record that is not there was not missed")
}
