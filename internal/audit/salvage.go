package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// derivedVersion is the form of derived state, as its user_version says. State
// of a newer program is not read.
const derivedVersion = 0

// ErrUnsound: derived state is of another form, or does not hold together.
var ErrUnsound = errors.New("derived state cannot be used")

// Sound refuses derived state that cannot be worked with: a file that is damaged,
// or of another form. What it refuses can be made anew from the log, but for the
// newest checkpoint; see Salvage.
func Sound(ctx context.Context, derived *sql.DB) error {
	var version int64
	if err := derived.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version != derivedVersion {
		return fmt.Errorf("%w: it is of form %d, and this program reads %d", ErrUnsound, version, derivedVersion)
	}
	for _, table := range derivedTables {
		if _, err := derived.ExecContext(ctx, table); err != nil {
			return err
		}
	}
	for query, args := range map[string][]any{getState: nil, getCheckpoint: nil, getTile: {0, 0}} {
		rows, err := derived.QueryContext(ctx, query, args...)
		if err != nil {
			return err // such as: no such column
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	var verdict string
	if err := derived.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrUnsound, verdict)
	}
	return nil
}

// noteText is a checkpoint of ours, as sign writes it.
var noteText = regexp.MustCompile(`keyward/[0-9a-f]{16}\n([0-9]{1,19})\n[A-Za-z0-9+/]{43}=\n\n— keyward/[0-9a-f]{16} [A-Za-z0-9+/]{20,200}={0,2}\n`)

// Salvage looks through the bytes of damaged derived state for the checkpoint of
// the largest log; nil when there is none. Nobody has verified it: Open does, and
// drops what the log's key did not sign.
func Salvage(r io.Reader) (note []byte, err error) {
	const overlap = 1 << 10 // longer than any note
	var newest uint64
	b := make([]byte, 0, 1<<20)
	for {
		n, err := io.ReadFull(r, b[len(b):cap(b)])
		b = b[:len(b)+n]
		for _, at := range noteText.FindAllSubmatchIndex(b, -1) {
			size, err := strconv.ParseUint(string(b[at[2]:at[3]]), 10, 64)
			if err == nil && (note == nil || size > newest) {
				newest, note = size, append([]byte(nil), b[at[0]:at[1]]...)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return note, nil
		case err != nil:
			return note, err
		}
		b = b[:copy(b, b[len(b)-overlap:])]
	}
}

// Remember puts a salvaged checkpoint into derived state that was made anew: the
// log must agree with it, or it is a fork.
func Remember(ctx context.Context, derived *sql.DB, note []byte) error {
	_, err := derived.ExecContext(ctx, putCheckpoint, note)
	return err
}
