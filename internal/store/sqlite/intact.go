package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/pressly/goose/v3"

	"keyward/internal/store"
	"keyward/internal/store/migrations"
)

// Intact is store.Engine's. A view, a trigger or an index that leads elsewhere
// would change what statements see and do without touching a row: so the schema
// must be, text for text, that of an empty database of this program, and every
// index must agree with its table.
func (e *Engine) Intact(ctx context.Context) error {
	want, err := freshSchema(ctx)
	if err != nil {
		return err
	}
	c, err := connector(e.path, reading)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	have, err := schemaOf(ctx, db)
	if err != nil {
		return err
	}
	for _, item := range have {
		if !slices.Contains(want, item) {
			return fmt.Errorf("the schema: %s %q is not as keyward made it: %w", item.kind, item.name, store.ErrTampered)
		}
	}
	for _, item := range want {
		if !slices.Contains(have, item) {
			return fmt.Errorf("the schema: %s %q is missing: %w", item.kind, item.name, store.ErrTampered)
		}
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("an index or page does not fit (%s): %w", verdict, store.ErrTampered)
	}
	return nil
}

// item is one entry of SQLite's own table of what there is.
type item struct{ kind, name, table, text string }

func schemaOf(ctx context.Context, db *sql.DB) (all []item, err error) {
	rows, err := db.QueryContext(ctx, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i item
		if err := rows.Scan(&i.kind, &i.name, &i.table, &i.text); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, rows.Err()
}

func freshSchema(ctx context.Context) (all []item, err error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // each connection would have a memory of its own
	if err := migrations.Up(ctx, db, goose.DialectSQLite3); err != nil {
		return nil, err
	}
	return schemaOf(ctx, db)
}
