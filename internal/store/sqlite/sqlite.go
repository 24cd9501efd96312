// Package sqlite is the store's embedded engine: one SQLite database in one
// data directory that one process owns. Everything that only SQLite knows is
// here. A COMMIT of its writing connection costs one fsync of the log file;
// copying that file into the database is done behind it.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"

	"keyward/internal/store"
	"keyward/internal/store/migrations"
)

// File is the database's name in the data directory.
const File = "keyward.db"

// lockFile is held by whoever owns the data directory.
const lockFile = "keyward.lock"

// ErrInUse means that another process owns the data directory.
var ErrInUse = errors.New("a keyward server is running on it")

// ErrOpenToOthers means that others than the owner may read or write a file.
var ErrOpenToOthers = errors.New("is open to others")

// Engine is a store.Engine.
type Engine struct {
	dir  string
	path string
	lock *os.File

	copying sync.Mutex  // before gate
	anchor  driver.Conn // copies the log; nil after a Reopen that failed

	// gate is held by whoever writes: a transaction from BEGIN to its end, and
	// the checkpointer while it brings the database up to the log's end.
	gate  sync.Mutex
	pages int   // written to the log since the last checkpoint
	fault error // why nothing may be written until Reopen

	reserving sync.Mutex // of the reserve's file

	wake    chan struct{} // the checkpointer
	stop    chan struct{}
	done    chan struct{}
	closing sync.Once
}

var _ store.Engine = (*Engine)(nil)

// Open takes the data directory, which it makes if it is not there, and opens
// the database in it. The directory must be its owner's alone (0700).
// ErrInUse when another process has it.
func Open(ctx context.Context, dir string) (*Engine, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := prepare(dir); err != nil {
		return nil, err
	}
	lock, err := own(dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		dir:  dir,
		path: filepath.Join(dir, File),
		lock: lock,
		wake: make(chan struct{}, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	if err := e.makeRoom(ctx); err != nil {
		lock.Close()
		return nil, err
	}
	if err := e.start(ctx); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open %s: %w", e.path, err)
	}
	_, _ = e.reserve(ctx) // nothing is lost without; Refill says why
	go e.checkpoints()
	return e, nil
}

// prepare sees to the directory and its mode.
func prepare(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		if err := syncDirectory(filepath.Dir(dir)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	return private(dir, info)
}

// syncDirectory makes the names in a directory survive a power cut.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// private refuses what others than its owner may read or write.
func private(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s %w (mode %04o): run chmod go-rwx %s", path, ErrOpenToOthers, mode, path)
	}
	return nil
}

// own locks the directory for this process, for as long as the file is open.
func own(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return f, take(f, dir, unix.LOCK_EX)
}

// Hold keeps every process from owning a data directory until the result is
// closed, and changes nothing in it. ErrInUse when one owns it already.
func Hold(dir string) (io.Closer, error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil // a copy: nothing ever ran on it
	}
	if err != nil {
		return nil, err
	}
	return f, take(f, dir, unix.LOCK_SH)
}

// take locks the file, and closes it when it cannot.
func take(f *os.File, dir string, how int) error {
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if err == nil {
		return nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("data directory %s is in use: %w", dir, ErrInUse)
	}
	return fmt.Errorf("lock data directory %s: %w", dir, err)
}

// start makes the file if it is not there, with the mode that SQLite then gives
// to its companions, and opens the first connection.
func (e *Engine) start(ctx context.Context) error {
	f, err := os.OpenFile(e.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close(), syncDirectory(e.dir)); err != nil {
		return err
	}
	if err := private(e.path, info); err != nil {
		return err
	}
	e.anchor, err = connect(ctx, e.path, copying)
	if err != nil {
		return err
	}
	if err := durable(ctx, e.anchor); err != nil {
		return errors.Join(err, e.anchor.Close())
	}
	return nil
}

// Migrate is store.Engine's.
func (e *Engine) Migrate(ctx context.Context) error {
	c, err := connector(e.path, writing)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	return errors.Join(migrations.Up(ctx, db, goose.DialectSQLite3), db.Close())
}

// Writer is store.Engine's.
func (e *Engine) Writer(ctx context.Context) (driver.Conn, error) {
	c, err := connect(ctx, e.path, writing)
	if err != nil {
		return nil, err
	}
	if err := durable(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &conn{Conn: c, engine: e}, nil
}

// Reader is store.Engine's.
func (e *Engine) Reader(ctx context.Context) (driver.Conn, error) {
	c, err := connect(ctx, e.path, reading)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// Version is store.Engine's. Measured: our own commits, rollbacks, checkpoints
// and readers do not move it; TRUNCATE, which Reopen alone asks for, does. Bytes
// that are written into the file past SQLite do not move it either.
func (e *Engine) Version() string { return "PRAGMA data_version" }

// Space is store.Engine's: what the file system gives to users that are not
// root.
func (e *Engine) Space(context.Context) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(e.dir, &s); err != nil {
		return 0, fmt.Errorf("space of %s: %w", e.dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil // their types differ between systems
}

// Reopen is store.Engine's. After a failed fsync the kernel may show pages that
// never reached the disk, so all that the log holds is written once more, into
// the database file, and synced there.
func (e *Engine) Reopen(ctx context.Context) error {
	e.copying.Lock()
	defer e.copying.Unlock()
	e.gate.Lock()
	defer e.gate.Unlock()
	e.fault = store.ErrBroken
	if e.anchor != nil {
		e.anchor.Close() // whatever it says: it is not used again
		e.anchor = nil
	}
	if err := e.makeRoom(ctx); err != nil {
		return err
	}
	if err := rewrite(ctx, e.path); err != nil {
		return err
	}
	anchor, err := connect(ctx, e.path, copying)
	if err != nil {
		return err
	}
	e.anchor, e.fault, e.pages = anchor, nil, 0
	return nil
}

// rewrite copies the whole log into the database and empties it.
func rewrite(ctx context.Context, path string) error {
	c, err := connect(ctx, path, writing)
	if err != nil {
		return err
	}
	r, err := checkpoint(ctx, c, "TRUNCATE")
	if err == nil && r.busy {
		err = errors.New("a reader still uses the log file")
	}
	return errors.Join(err, c.Close())
}

// Close is store.Engine's. It gives the data directory free. Another Close does
// nothing.
func (e *Engine) Close() (err error) {
	e.closing.Do(func() {
		close(e.stop)
		<-e.done
		if e.anchor != nil {
			err = e.anchor.Close()
		}
		err = errors.Join(err, e.lock.Close())
	})
	return err
}

// OpenDerived opens, and makes if need be, a plain database for state that can
// be rebuilt: a commit survives the process, but not always a power cut.
func OpenDerived(path string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := private(path, info); err != nil {
		return nil, err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c, err := connector(path, deriving)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}
