package kms_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"keyward/internal/kms"
	"keyward/internal/store/sqlite"
)

// Every row genuine, and yet records would be eaten (P1), or rows of yesterday
// seen: nothing is signed on a schema that is not keyward's own.
func TestForeignSchemaIsRefusedBeforeTheFirstSignature(t *testing.T) {
	for name, attack := range map[string]string{
		"a trigger that eats records": `CREATE TRIGGER lt AFTER INSERT ON log BEGIN DELETE FROM log WHERE first = new.first; END`,
		"a view in front of a table":  `ALTER TABLE service RENAME TO service_new; CREATE VIEW service AS SELECT * FROM service_new`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.again(func() {
				db, err := sql.Open("sqlite", filepath.Join(b.dir, sqlite.File))
				b.must(err)
				_, err = db.Exec(attack)
				b.must(err)
				b.must(db.Close())
			})
			if err := b.tryUnseal(); kms.KindOf(err) != kms.Unready {
				t.Fatalf("got %v, want unready", err)
			}
			if err := b.kms.Ready(); kms.KindOf(err) != kms.Sealed {
				t.Errorf("got %v, want it to stay sealed", err)
			}
		})
	}
}
