// Package migrations is the schema of keyward's database, one SQL text for
// every engine. It knows nothing of what the tables mean.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/pressly/goose/v3"
)

//go:embed *.sql
var files embed.FS

// Up brings the database to the newest version. It does nothing when it is
// there already, and refuses a database that a newer program wrote.
func Up(ctx context.Context, db *sql.DB, dialect goose.Dialect) error {
	provider, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	have, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > newest {
		return fmt.Errorf("the database has schema version %d, and this program knows only %d: use a newer keyward", have, newest)
	}
	_, err = provider.Up(ctx)
	return err
}
