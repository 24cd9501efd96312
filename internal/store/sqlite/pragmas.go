package sqlite

import (
	"context"
	"database/sql/driver"
	"net/url"

	"modernc.org/sqlite"
)

// purpose says what a connection is for.
type purpose int

const (
	writing purpose = iota
	reading
	copying // of the log into the database
	deriving
)

// How long a connection waits for a lock that another one holds, in
// milliseconds: a foreign sqlite3, or readers of a log that is copied.
const (
	lockTimeout    = "1000"
	copyingTimeout = "25"
)

// address is the file as SQLite's driver wants it, with the settings of every
// connection of that purpose. The file system vfs is for writing; "" is
// SQLite's own.
func address(path string, p purpose, vfs string) string {
	q := url.Values{}
	q.Set("_busy_timeout", lockTimeout)
	q.Set("_defensive", "1")
	q.Set("_dqs", "0")
	q.Set("_foreign_keys", "1")
	for _, pragma := range []string{"trusted_schema(OFF)", "cell_size_check(ON)", "temp_store(MEMORY)"} {
		q.Add("_pragma", pragma)
	}
	switch p {
	case reading:
		q.Set("mode", "ro")
		q.Set("_query_only", "1")
		q.Add("_pragma", "cache_size(-1024)")
	case writing, copying:
		q.Set("mode", "rw")
		if vfs != "" {
			q.Set("vfs", vfs)
		}
		q.Set("_txlock", "immediate")
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "FULL")
		q.Add("_pragma", "secure_delete(ON)")
		q.Add("_pragma", "cache_size(-16384)")
		if p == copying {
			q.Set("_busy_timeout", copyingTimeout)
		}
		q.Add("_pragma", "wal_autocheckpoint(0)") // checkpoints() does it
		// The log is written over and over in place. Only after it had to
		// grow, under a long read, is it cut back to this.
		q.Add("_pragma", "journal_size_limit(67108864)")
	case deriving:
		q.Set("mode", "rw")
		q.Set("_txlock", "immediate")
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "NORMAL")
		q.Add("_pragma", "journal_size_limit(16777216)")
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// connector opens connections of one purpose.
func connector(path string, p purpose) (driver.Connector, error) {
	name, err := vfs()
	if err != nil {
		return nil, err
	}
	return sqlite.NewConnector(address(path, p, name))
}

// connect opens one connection.
func connect(ctx context.Context, path string, p purpose) (driver.Conn, error) {
	c, err := connector(path, p)
	if err != nil {
		return nil, err
	}
	return c.Connect(ctx)
}
