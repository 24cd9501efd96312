package sqlite_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
	"keyward/internal/store/storetest"
)

// smallDisk mounts a disk that can be filled.
func smallDisk(t *testing.T, size string) (mount string) {
	t.Helper()
	mount = t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		if os.Getenv("KEYWARD_TEST_ALL") == "1" {
			t.Fatalf("judge root, who can mount a small tmpfs, missing: %v", err)
		}
		t.Skipf("judge root, who can mount a small tmpfs, missing: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return mount
}

// stuff lets a file grow until the disk has not one byte left.
func stuff(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		switch n, err := f.Write(make([]byte, size)); {
		case errors.Is(err, unix.ENOSPC) && n == 0:
			size /= 2
		case err != nil && !errors.Is(err, unix.ENOSPC):
			t.Fatal(err)
		}
	}
}

// Something else takes the disk to the last byte, before and after a restart,
// and again what was given up: each time a commit can still be had.
func TestReserveIsForCommitsOnAFullDisk(t *testing.T) {
	mount, ctx := smallDisk(t, "56m"), context.Background()
	dir, filler := filepath.Join(mount, "data"), filepath.Join(mount, "filler")
	w, _ := open(t, dir)
	info, err := os.Stat(filepath.Join(dir, sqlite.ReserveFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v; want a reserve for its owner alone", info, err)
	}
	var s unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, sqlite.ReserveFile), &s); err != nil || s.Blocks*512 != 8<<20 {
		t.Errorf("got %d bytes of blocks, %v; want 8 MiB that are really taken", s.Blocks*512, err)
	}
	big := func(tx *store.Tx) error {
		row := spendRow(int(tx.Head().Sequence + 1))
		row[5] = make([]byte, 300<<10)
		tx.Head().Sequence++
		return tx.Insert(storetest.Spend, row)
	}
	n := 0
	commit := func() error { n++; return w.Commit(ctx, group(n), big) }
	squeezed := func() {
		t.Helper()
		for commit() == nil { // room that the log file has already
		}
		want(t, commit(), store.ErrFull)
		if given, err := w.Yield(ctx); err != nil || !given {
			t.Fatalf("got %v, %v; want something given", given, err)
		}
		if err := commit(); err != nil {
			t.Fatalf("after the reserve was given up: %v", err)
		}
	}
	for range 2 {
		stuff(t, filler)
		squeezed()
		stuff(t, filler)
		if whole, err := w.Refill(ctx); whole || err != nil {
			t.Errorf("got %v, %v; want no refilling on a full disk", whole, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		stuff(t, filler)
		w, _ = open(t, dir)
	}
	for given := true; given; {
		if given, err = w.Yield(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), os.Remove(filler)); err != nil {
		t.Fatal(err)
	}
	w, r := open(t, dir)
	if whole, err := w.Refill(ctx); !whole || err != nil {
		t.Errorf("got %v, %v; want the reserve made again at opening", whole, err)
	}
	if err := r.VerifyAll(ctx, []store.Table{storetest.Spend}); err != nil {
		t.Error(err)
	}
	if given, err := w.Yield(ctx); !given || err != nil {
		t.Errorf("got %v, %v", given, err)
	}
	if whole, err := w.Refill(ctx); !whole || err != nil {
		t.Errorf("got %v, %v; want the reserve made again", whole, err)
	}
}

// SQLite needs a new index and a new log before it reads a word of a database
// that was closed in order.
func TestFullDiskCanBeOpened(t *testing.T) {
	mount, ctx := smallDisk(t, "56m"), context.Background()
	dir := filepath.Join(mount, "data")
	for range 3 {
		w, _ := open(t, dir)
		if err := w.Commit(ctx, group(1), func(*store.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		stuff(t, filepath.Join(mount, "filler"))
	}
}

// Nor is a file of zeros one, on file systems that would not keep a place for it.
func TestReserveIsNotMadeOnASmallDisk(t *testing.T) {
	mount := smallDisk(t, "24m")
	w, _ := open(t, filepath.Join(mount, "data"))
	if _, err := os.Stat(filepath.Join(mount, "data", sqlite.ReserveFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want no reserve: it would take most of the disk", err)
	}
	if given, err := w.Yield(context.Background()); given || err != nil {
		t.Errorf("got %v, %v; want nothing to give", given, err)
	}
	f, err := os.Create(filepath.Join(mount, "filled"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := sqlite.Fill(f, 3<<20+5); err != nil {
		t.Fatal(err)
	}
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size != 3<<20+5 {
		t.Errorf("got %d bytes, %v", size, err)
	}
}
