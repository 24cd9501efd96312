package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
	"keyward/internal/store/storetest"
)

// A child is this test binary, run again for one test, with what it shall do in
// the environment: under strace, which makes system calls fail, or counts them.
const (
	childRole = "KEYWARD_STORE_CHILD"
	childDir  = "KEYWARD_STORE_DIR"
)

// straced runs the calling test again as a child with the role, under strace
// with these options.
func straced(t *testing.T, role, dir string, options ...string) {
	t.Helper()
	args := append([]string{"-f", "--seccomp-bpf", "-qq", "-e", "signal=none"}, options...)
	child := exec.Command("strace", append(args, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")...)
	child.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	if out, err := child.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("child %q: %v\n%s", role, err, out)
	}
}

// needStrace skips the test, or fails it where all tests must run, when strace
// is not there or may not trace.
func needStrace(t *testing.T) {
	t.Helper()
	err := exec.Command("strace", "-o", os.DevNull, "true").Run()
	switch {
	case err == nil:
	case os.Getenv("KEYWARD_TEST_ALL") == "1":
		t.Fatalf("judge \"strace\" missing: %v", err)
	default:
		t.Skipf("judge \"strace\" missing: %v", err)
	}
}

// settled makes an installation with one commit and closes it again.
func settled(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	w, _ := open(t, dir)
	if err := w.Commit(context.Background(), group(0), record); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func group(n int) [16]byte { return [16]byte{byte(n >> 8), byte(n), 1} }

// commits commits until one fails, and returns how many did not and the error.
// It stays on its thread, because strace counts calls for each.
func commits(w *store.Writer, f func(*store.Tx) error, most int) (int, error) {
	runtime.LockOSThread()
	for n := range most {
		if err := w.Commit(context.Background(), group(n+1), f); err != nil {
			return n, err
		}
	}
	return most, nil
}

func want(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got error %v, want %v", err, target)
		}
	}
}

func TestEveryCommitIsSynced(t *testing.T) {
	const n = 60
	if os.Getenv(childRole) != "" {
		w, _ := open(t, os.Getenv(childDir))
		if done, err := commits(w, record, n); done != n {
			t.Fatal(err)
		}
		return
	}
	needStrace(t)
	dir := settled(t)
	trace := filepath.Join(t.TempDir(), "trace")
	straced(t, "commit", dir, "-y", "-e", "trace=fsync,fdatasync", "-o", trace)
	out, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	synced := 0
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, sqlite.File+"-wal>") && strings.HasSuffix(strings.TrimSpace(line), "= 0") {
			synced++
		}
	}
	// A few more for the log's header, and for its last copy at the end.
	if synced < n || synced > n+8 {
		t.Errorf("got %d syncs of the log for %d commits, want one each", synced, n)
	}
}

// A sync fails once: the commit's outcome is unknown, nothing is written any
// more until the database was opened anew, and then it can be told.
func TestFailedSyncIsAnUnknownCommit(t *testing.T) {
	if os.Getenv(childRole) != "" {
		w, r := open(t, os.Getenv(childDir))
		n, err := commits(w, record, 30)
		want(t, err, store.ErrUnknownCommit, store.ErrBroken)
		before, err := r.Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got := int(before.Sequence); got < n+1 || got > n+2 {
			t.Errorf("got sequence %d after %d commits", got, n)
		}
		want(t, w.Commit(context.Background(), group(100), record), store.ErrBroken)
		_, err = w.Happened(context.Background(), group(n+1))
		want(t, err, store.ErrBroken)
		if err := w.Reopen(context.Background()); err != nil {
			t.Fatal(err)
		}
		happened, err := w.Happened(context.Background(), group(n+1))
		if err != nil {
			t.Fatal(err)
		}
		after, err := r.Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got := after.Sequence == uint64(n+2); got != happened {
			t.Errorf("got sequence %d after %d commits and one unknown that happened: %v", after.Sequence, n, happened)
		}
		if err := w.Commit(context.Background(), group(100), record); err != nil {
			t.Error(err)
		}
		if err := r.VerifyAll(context.Background(), []store.Table{storetest.Spend}); err != nil {
			t.Error(err)
		}
		return
	}
	needStrace(t)
	dir := settled(t)
	straced(t, "once", dir, "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=12")
	w, r := open(t, dir)
	if err := r.VerifyAll(context.Background(), []store.Table{storetest.Spend}); err != nil {
		t.Error(err)
	}
	if err := w.Commit(context.Background(), group(200), record); err != nil {
		t.Error(err)
	}
}

// The disk is gone: whatever is tried, nothing is acknowledged any more, and
// what was acknowledged is there when the disk is back.
func TestNothingIsAcknowledgedWithoutADisk(t *testing.T) {
	const file = "acknowledged"
	if os.Getenv(childRole) != "" {
		w, _ := open(t, os.Getenv(childDir))
		n, err := commits(w, record, 30)
		want(t, err, store.ErrUnknownCommit, store.ErrBroken)
		for range 3 {
			want(t, w.Commit(context.Background(), group(100), record), store.ErrBroken)
			if err := w.Reopen(context.Background()); err == nil {
				t.Error("got no error from Reopen")
			}
		}
		if err := os.WriteFile(filepath.Join(os.Getenv(childDir), file), fmt.Append(nil, n), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	needStrace(t)
	dir := settled(t)
	straced(t, "gone", dir, "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=12+")
	var n uint64
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		t.Fatal(err)
	}
	_, r := open(t, dir)
	head, err := r.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// One more than acknowledged is the unknown one.
	if head.Sequence != n+1 && head.Sequence != n+2 {
		t.Errorf("got sequence %d after %d acknowledged commits", head.Sequence, n)
	}
	if err := r.VerifyAll(context.Background(), []store.Table{storetest.Spend}); err != nil {
		t.Error(err)
	}
}

// The log is synced, but the database file behind it is not.
func TestFailedCheckpointStopsCommits(t *testing.T) {
	if os.Getenv(childRole) != "" {
		w, r := open(t, os.Getenv(childDir))
		n := 0
		big := func(tx *store.Tx) error {
			if err := record(tx); err != nil {
				return err
			}
			rows := make([]store.Row, 1000)
			for i := range rows {
				rows[i] = spendRow(i)
				rows[i][1] = fmt.Sprint("key_", tx.Head().Sequence)
			}
			return tx.InsertMany(storetest.Spend, rows)
		}
		n, err := commits(w, big, 40)
		want(t, err, store.ErrBroken)
		if errors.Is(err, store.ErrUnknownCommit) {
			t.Errorf("got %v: that commit was never sent", err)
		}
		head, err := r.Head(context.Background())
		if err != nil || head.Sequence != uint64(n+1) {
			t.Errorf("got %+v, %v, want sequence %d", head, err, n+1)
		}
		if err := w.Reopen(context.Background()); err == nil {
			t.Error("got no error from Reopen")
		}
		want(t, w.Commit(context.Background(), group(100), record), store.ErrBroken)
		return
	}
	needStrace(t)
	dir := settled(t)
	straced(t, "checkpoint", dir, "-o", os.DevNull, "-P", filepath.Join(dir, sqlite.File),
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	w, r := open(t, dir)
	if err := r.VerifyAll(context.Background(), []store.Table{storetest.Spend}); err != nil {
		t.Error(err)
	}
	if err := w.Commit(context.Background(), group(200), record); err != nil {
		t.Error(err)
	}
}

func TestFullDiskLosesNothing(t *testing.T) {
	mount := smallDisk(t, "16m")
	dir := filepath.Join(mount, "data")
	w, r := open(t, dir)
	t.Cleanup(func() { w.Close() }) // before the file system goes
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := w.Space(context.Background())
	if err != nil || before > 4<<20 {
		t.Fatalf("got %d bytes of space, %v, want less than 4 MiB", before, err)
	}
	big := func(tx *store.Tx) error {
		if err := record(tx); err != nil {
			return err
		}
		row := spendRow(0)
		row[1], row[5] = fmt.Sprint(tx.Head().Sequence), make([]byte, 100<<10)
		return tx.Insert(storetest.Spend, row)
	}
	n, err := commits(w, big, 100)
	want(t, err, store.ErrFull)
	for _, target := range []error{store.ErrBroken, store.ErrUnknownCommit} {
		if errors.Is(err, target) {
			t.Errorf("got %v: nothing is broken or unknown", err)
		}
	}
	check := func(commits int) {
		t.Helper()
		if err := r.VerifyAll(context.Background(), []store.Table{storetest.Spend}); err != nil {
			t.Error(err)
		}
		head, err := r.Head(context.Background())
		if err != nil || head.Sequence != uint64(commits) {
			t.Errorf("got %+v, %v, want sequence %d", head, err, commits)
		}
	}
	check(n)
	want(t, w.Commit(context.Background(), group(100), big), store.ErrFull)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(context.Background(), group(100), big); err != nil {
		t.Fatal(err)
	}
	check(n + 1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, r = open(t, dir)
	check(n + 1)
}
