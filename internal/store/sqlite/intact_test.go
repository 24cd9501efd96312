package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// Rows may all be genuine, and a statement still see others: a view in front of
// them, a trigger behind them, an index that leads elsewhere.
func TestForeignSchemaIsRefused(t *testing.T) {
	for name, attack := range map[string]string{
		"view in front of a table":      `ALTER TABLE service RENAME TO service_new; CREATE VIEW service AS SELECT * FROM service_new`,
		"trigger that eats records":     `CREATE TRIGGER lt AFTER INSERT ON log BEGIN DELETE FROM log WHERE first = new.first; END`,
		"further table":                 `CREATE TABLE lim AS SELECT 1 AS v`,
		"index taken away":              `DROP INDEX operation_idem`,
		"index made without uniqueness": `DROP INDEX operation_idem; CREATE INDEX operation_idem ON operation (actor, idem, idx) WHERE idem <> ''`,
		"index that leads to nothing": `INSERT INTO log (first, count, group_id, body) VALUES (1, 1, x'01', x'00');
			CREATE TABLE twin (first bigint NOT NULL PRIMARY KEY, count bigint, group_id bytea NOT NULL UNIQUE, body bytea);
			PRAGMA writable_schema = ON;
			UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_twin_1') WHERE name = 'sqlite_autoindex_log_1';
			DELETE FROM sqlite_schema WHERE tbl_name = 'twin'`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			dir := filepath.Join(t.TempDir(), "data")
			engine, err := sqlite.Open(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := engine.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			if err := engine.Intact(ctx); err != nil {
				t.Fatalf("untouched: %v", err)
			}
			if err := engine.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.File))
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			for _, statement := range strings.Split(attack, ";\n") {
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			engine, err = sqlite.Open(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			if err := engine.Intact(ctx); !errors.Is(err, store.ErrTampered) {
				t.Errorf("got %v, want ErrTampered", err)
			}
		})
	}
}
