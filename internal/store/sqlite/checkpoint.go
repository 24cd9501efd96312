package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"keyward/internal/store"
)

// A checkpoint copies the pages in the log file into the database file, after
// which the log is written from its start again. SQLite would do that within
// some COMMIT, which then takes many times as long as the others. Here it is
// done behind them, by a connection of its own.

const (
	// checkpointPages is how many pages of 4 KiB the log takes before they are
	// copied.
	checkpointPages = 2000
	// insistPages is how long the log may become before commits wait, for
	// copyingTimeout at most, until the readers let it start over.
	insistPages = 4 * checkpointPages
)

// checkpoints copies the log whenever it is told that it is long.
func (e *Engine) checkpoints() {
	defer close(e.done)
	for {
		select {
		case <-e.stop:
			return
		case <-e.wake:
			e.checkpoint()
		}
	}
}

// checkpoint copies most of the log while commits go on, and then, with no
// commit in between, what they added. Only a log that was copied to its end,
// and that nobody is reading then, starts over: under steady load the first
// pass alone would never get there.
func (e *Engine) checkpoint() {
	e.copying.Lock()
	defer e.copying.Unlock()
	if e.anchor == nil {
		return // a Reopen failed
	}
	first, err := checkpoint(context.Background(), e.anchor, "PASSIVE")
	e.gate.Lock()
	defer e.gate.Unlock()
	if err == nil {
		mode := "PASSIVE"
		if first.log > insistPages {
			mode = "RESTART"
		}
		_, err = checkpoint(context.Background(), e.anchor, mode)
	}
	// A full disk or a reader in the way is no harm: the log goes on growing
	// until a later checkpoint. But a failed sync leaves a file that may have
	// lost what the kernel believes it holds.
	if err != nil && e.Classify(err) == store.FaultBroken {
		e.fault = fmt.Errorf("checkpoint: %w: %w", store.ErrBroken, err)
	}
}

// result is what a checkpoint answers.
type result struct {
	busy bool  // it could not do all that its mode asks for
	log  int64 // pages in the log
}

func checkpoint(ctx context.Context, c driver.Conn, mode string) (result, error) {
	v, err := row(ctx, c, "PRAGMA wal_checkpoint("+mode+")")
	if err != nil {
		return result{}, err
	}
	busy, _ := v[0].(int64)
	log, _ := v[1].(int64)
	return result{busy: busy != 0, log: log}, nil
}
