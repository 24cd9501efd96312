package audit_test

import (
	"bufio"
	"context"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"keyward/internal/audit"
)

const childDir = "KEYWARD_AUDIT_CHILD_DIR"

// TestCrashChild is the process that TestKillWhileIntegrating kills.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return // no child
	}
	h := open(t, dir)
	os.Stdout.WriteString("ready\n")
	h.checkpoint(t)
	os.Stdout.WriteString("done\n")
}

// Whenever the process dies, the next one goes on from a whole batch.
func TestKillWhileIntegrating(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	for range 100 {
		h.commit(t, 200)
	}
	h.close()
	pristine := copyDir(t, dir)
	h = open(t, dir)
	want := h.checkpoint(t)
	h.close()

	midway := 0
	for range 5 {
		dir := copyDir(t, pristine)
		for range 3 { // killed again and again on the same data
			if kill(t, dir) {
				break
			}
		}
		h := open(t, dir)
		var size int64
		_ = h.derived.QueryRow("SELECT size FROM tree_state").Scan(&size) // none yet: 0
		if size > 0 && size < int64(want.Size) {
			midway++
		}
		if got := h.checkpoint(t); got.Root != want.Root || got.Size != want.Size {
			t.Errorf("killed at %d records: got size %d, root %x, want size %d, root %x", size, got.Size, got.Root, want.Size, want.Root)
		}
		if _, err := h.verify(t, audit.Check{Since: want.Note}); err != nil {
			t.Errorf("killed at %d records: %v", size, err)
		}
		h.close()
	}
	t.Logf("killed midway %d times of 5", midway)
}

// kill runs a child and kills it at a random moment; true when it was done.
func kill(t *testing.T, dir string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := osexec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashChild$", "-test.v=false")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child said %q", lines.Text())
	}
	timer := time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, cancel)
	defer timer.Stop()
	done := lines.Scan() && lines.Text() == "done"
	_ = cmd.Wait() // killed
	return done
}

// A disk that fails between two statements leaves the state of before.
func TestFailedBatchLeavesNothing(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 300)
	first := h.checkpoint(t)
	h.fill(t, 300)
	// The last statement of a batch fails; so do the tiles before it.
	exec(t, h.derived, `CREATE TRIGGER broken BEFORE UPDATE ON tree_state BEGIN SELECT RAISE(FAIL, 'disk'); END`)
	if _, err := h.log.CheckpointNow(t.Context()); err == nil {
		t.Fatal("got no error")
	}
	if c, _ := h.log.Newest(); c.Size != first.Size {
		t.Errorf("got a checkpoint of %d records, want %d", c.Size, first.Size)
	}
	exec(t, h.derived, `DROP TRIGGER broken`)
	// The checkpoint cannot be kept: then nobody sees it.
	exec(t, h.derived, `CREATE TRIGGER broken BEFORE UPDATE ON tree_checkpoint BEGIN SELECT RAISE(FAIL, 'disk'); END`)
	if _, err := h.log.CheckpointNow(t.Context()); err == nil {
		t.Fatal("got no error")
	}
	if c, _ := h.log.Newest(); c.Size != first.Size {
		t.Errorf("got a checkpoint of %d records, want %d", c.Size, first.Size)
	}
	exec(t, h.derived, `DROP TRIGGER broken`)
	if c := h.checkpoint(t); c.Size != 600 {
		t.Errorf("got %d records, want 600", c.Size)
	}
	if _, err := h.verify(t, audit.Check{Since: first.Note}); err != nil {
		t.Error(err)
	}
}
