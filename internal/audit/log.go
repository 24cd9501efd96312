package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"keyward/internal/store"
)

// Options are what a Log is made of.
type Options struct {
	Reader   *store.Reader
	Derived  *sql.DB      // derived state, of which Log owns the tables tree_…
	Verifier string       // the log key's public half, see LogKey.Verifier
	Log      *slog.Logger // nil for none
}

// Log follows the rows of the log, keeps the tree over them in derived state and
// signs its checkpoints. Its methods are safe for concurrent use.
type Log struct {
	reader   *store.Reader
	derived  *sql.DB
	verifier string
	origin   string
	log      *slog.Logger

	newest  atomic.Pointer[Checkpoint]
	trouble atomic.Pointer[error]
	locking atomic.Bool // somebody waits to wipe the key

	turn  chan struct{} // holds one token: whoever took it owns what follows
	key   *LogKey       // nil while locked
	edge  edge
	chain chain

	damage atomic.Pointer[error] // what only a look by a person can mend
}

// Open reads what derived state remembers; what is missing or damaged is made
// anew when the log is next followed. The Log is locked: it serves what it has.
func Open(ctx context.Context, o Options) (*Log, error) {
	v, err := parseVerifier(o.Verifier)
	if err != nil {
		return nil, err
	}
	l := &Log{reader: o.Reader, derived: o.Derived, verifier: o.Verifier, origin: v.Name(), log: o.Log, turn: make(chan struct{}, 1)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	for _, table := range derivedTables {
		if _, err := l.derived.ExecContext(ctx, table); err != nil {
			return nil, fmt.Errorf("open the tree: %w", err)
		}
	}
	if err := l.loadCheckpoint(ctx); err != nil {
		return nil, err
	}
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	l.turn <- struct{}{}
	return l, nil
}

// loadCheckpoint reads the newest checkpoint that was signed. One that our key
// did not sign tells nothing, as if it had been deleted.
func (l *Log) loadCheckpoint(ctx context.Context) error {
	var b []byte
	switch err := l.derived.QueryRowContext(ctx, getCheckpoint).Scan(&b); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("open the tree: %w", err)
	}
	c, err := OpenCheckpoint(b, l.verifier)
	if err != nil {
		l.log.Warn("the stored checkpoint is damaged and was dropped", "error", err)
		return nil
	}
	l.newest.Store(&c)
	return nil
}

// load reads position and edge. What does not fit together is dropped.
func (l *Log) load(ctx context.Context) error {
	var size int64
	var hash, root []byte
	err := l.derived.QueryRowContext(ctx, getState).Scan(&size, &hash, &root)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		l.place(edge{}, chainFrom(1))
		return nil
	case err != nil:
		return fmt.Errorf("open the tree: %w", err)
	}
	e, err := loadEdge(ctx, l.derived, uint64(size), root)
	if err == nil && len(hash) != 32 {
		err = errors.New("the stored running hash is damaged")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return l.rebuild(ctx, err)
	}
	l.place(e, chain{Position{uint64(size), [32]byte(hash)}, true})
	return nil
}

func (l *Log) place(e edge, c chain) { l.edge, l.chain = e, c }

// Unlock gives the log its key, and owns the key from then on.
func (l *Log) Unlock(ctx context.Context, k *LogKey) error {
	if k.Verifier() != l.verifier {
		k.Destroy()
		return errors.New("this is not the log's key")
	}
	return l.locked(ctx, func() error {
		l.lock()
		l.key = k
		return nil
	})
}

// Lock wipes the key. What was signed is still served.
func (l *Log) Lock() {
	l.locking.Store(true) // so that it does not wait for a whole log to be read
	<-l.turn
	l.lock()
	l.locking.Store(false)
	l.turn <- struct{}{}
}

func (l *Log) lock() {
	if l.key != nil {
		l.key.Destroy()
		l.key = nil
	}
}

// locked runs f when it is its turn.
func (l *Log) locked(ctx context.Context, f func() error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	return f()
}

// Checkpoint is the newest signed checkpoint as a note, nil when there is none.
// It only reads memory and must not be modified.
func (l *Log) Checkpoint() []byte {
	if c := l.newest.Load(); c != nil {
		return c.Note
	}
	return nil
}

// Newest is the newest signed checkpoint; false when there is none.
func (l *Log) Newest() (Checkpoint, bool) {
	if c := l.newest.Load(); c != nil {
		return *c, true
	}
	return Checkpoint{}, false
}

// Tile returns a tile or an entry bundle by its path in C2SP tlog-tiles,
// tile/<L>/<N>[.p/<W>] or tile/entries/<N>[.p/<W>], else ErrNotFound.
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error) {
	return readPath(ctx, l.derived, path)
}

// interval is how often a log that grows gets a new checkpoint.
const interval = time.Second

// Run follows the log until ctx ends. While the log is locked it does nothing.
func (l *Log) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, err := l.CheckpointNow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, ErrLocked), errors.Is(err, store.ErrLocked):
			told = ""
		case err.Error() != told: // once, not each second
			told = err.Error()
			l.log.Error("the log gets no checkpoint", "error", err)
		}
	}
}

// CheckpointNow returns a signed checkpoint over every record that was committed
// when it was called. It is a *Fault when the log itself was changed and ErrFork
// when the log contradicts what was signed before; both stay until the Log is
// opened again. While the key is away it is ErrLocked.
func (l *Log) CheckpointNow(ctx context.Context) (c Checkpoint, err error) {
	err = l.locked(ctx, func() error {
		if l.key == nil {
			return ErrLocked
		}
		if err := l.Damage(); err != nil {
			return err
		}
		err := l.follow(ctx)
		l.judge(err)
		if err == nil {
			c = *l.newest.Load()
		}
		return err
	})
	if !errors.Is(err, ErrLocked) && ctx.Err() == nil {
		l.trouble.Store(&err)
	}
	return c, err
}

// judge remembers an error that says that the log was changed.
func (l *Log) judge(err error) {
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFork) {
		l.damage.CompareAndSwap(nil, &err)
	}
}

// Damage is the *Fault or ErrFork that was found in the log; nil while none was.
// It stays until the Log is opened again.
func (l *Log) Damage() error {
	if err := l.damage.Load(); err != nil {
		return *err
	}
	return nil
}

// Inspect reads every record that is committed and makes sure that each follows
// the one before, up to the running hash in the head row. Following the log sees
// only what is new; this finds what was changed or taken away behind it. What it
// finds it returns, and from then on is Damage.
func (l *Log) Inspect(ctx context.Context) error {
	head, err := l.reader.Head(ctx)
	if err != nil {
		return err
	}
	c := chainFrom(1)
	for e, err := range Records(ctx, l.reader, 1, head.Sequence) {
		if err == nil {
			_, err = c.next(e)
		}
		if err != nil {
			l.judge(err)
			return err
		}
	}
	if head.Sequence > 0 && c.at.Hash != head.Hash {
		err := fault(head.Sequence, "after record %d the running hash is not that of the log's head: the record was changed", head.Sequence)
		l.judge(err)
		return err
	}
	return nil
}

// Err is why the log got no checkpoint when one was last due; nil when it did.
func (l *Log) Err() error {
	if err := l.trouble.Load(); err != nil {
		return *err
	}
	return nil
}
