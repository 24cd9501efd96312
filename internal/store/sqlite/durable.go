package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// durable refuses a connection whose commits would not be on disk: SQLite
// leaves a setting as it was, without an error, where it cannot be had.
func durable(ctx context.Context, c driver.Conn) error {
	for _, want := range []struct {
		pragma string
		value  any
	}{
		{"journal_mode", "wal"},
		{"synchronous", int64(2)},
	} {
		got, err := row(ctx, c, "PRAGMA "+want.pragma)
		if err != nil {
			return err
		}
		if got[0] != want.value {
			return fmt.Errorf("the file system does not support what keyward needs: %s is %v, not %v", want.pragma, got[0], want.value)
		}
	}
	return nil
}

// row runs a statement that answers with one row.
func row(ctx context.Context, c driver.Conn, query string) ([]driver.Value, error) {
	rows, err := c.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	values := make([]driver.Value, len(rows.Columns()))
	return values, rows.Next(values)
}
