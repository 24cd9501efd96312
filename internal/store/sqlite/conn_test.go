package sqlite_test

import (
	"errors"
	"fmt"
	"testing"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

func TestPlaceholdersBecomePositionalOnlyInOrder(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{`SELECT 1`, `SELECT 1`},
		{`a = $1 AND b = $2`, `a = ? AND b = ?`},
		{`VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, `VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{`a = $2 AND b = $1`, `a = $2 AND b = $1`},
		{`a = $1 OR b = $1`, `a = $1 OR b = $1`},
		{`a = '$1 ''' AND b = $1`, `a = '$1 ''' AND b = ?`},
		{`"$1" = $1`, `"$1" = ?`},
		{`a = $`, `a = $`},
		{`a = $01`, `a = $01`},
	} {
		if got := sqlite.Positional(c.query); got != c.want {
			t.Errorf("%s: got %s, want %s", c.query, got, c.want)
		}
	}
}

func TestErrorsOfOthersAreNoFaults(t *testing.T) {
	var e *sqlite.Engine
	if got := e.Classify(errors.New("something")); got != store.FaultNone {
		t.Errorf("got fault %d, want none", got)
	}
	if got := e.Classify(fmt.Errorf("wrapped: %w", store.ErrBroken)); got != store.FaultBroken {
		t.Errorf("got fault %d, want broken", got)
	}
}
