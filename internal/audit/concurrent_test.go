package audit_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"keyward/internal/audit"
)

// Many ask for checkpoints while records are written: each gets one that covers
// what was committed when it asked, and all are of one history.
func TestCheckpointsWhileRecordsAreWritten(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	var mu sync.Mutex
	var all []audit.Checkpoint
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				head, err := h.reader.Head(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				c, err := h.log.CheckpointNow(t.Context())
				if err != nil || c.Size < head.Sequence {
					t.Errorf("got %d records and %v, want at least %d", c.Size, err, head.Sequence)
					return
				}
				if _, err := h.log.Tile(t.Context(), "tile/0/000"); err != nil && !errors.Is(err, audit.ErrNotFound) {
					t.Error(err)
				}
				mu.Lock()
				all = append(all, c)
				mu.Unlock()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	h.fill(t, 2000)
	close(done)
	wg.Wait()
	last := h.checkpoint(t)
	for _, c := range all {
		proof, err := h.log.ProveConsistency(t.Context(), c.Size, last.Size)
		if err == nil {
			err = audit.CheckConsistency(c, last, proof)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
