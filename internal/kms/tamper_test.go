package kms_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// used is a keyward with something in every table.
func used(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	now := time.Now()
	b.clock = func() time.Time { return now } // all payments in one bucket
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.key("k", key.P256, key.Raw)
	b.apply(payouts("3"))
	a := b.service("payouts")
	for i, who := range []identity.Actor{a, operator} {
		if _, err := b.pay(who, "hot", payee, 100, i, kms.Ask{}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// copyDB keeps the closed database beside itself.
func (b *bed) copyDB(to string) {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, sqlite.File))
	b.must(err)
	b.must(os.WriteFile(to, data, 0o600))
}

// refused wants the node to refuse to serve, for a reason that names the table.
func (b *bed) refused(t *testing.T, table string) {
	t.Helper()
	err := b.tryUnseal()
	if err == nil {
		_, err = b.sign("k", "hello", kms.Ask{})
		t.Fatalf("it was unsealed on a changed table %q; then a signature: %v", table, err)
	}
	e := wantKind(t, err, kms.Unready)
	if !strings.Contains(e.Message, fmt.Sprintf("table %q", table)) || e.Hint == "" {
		t.Errorf("got %q, hint %q; want a sentence that names table %q and the next step", e.Message, e.Hint, table)
	}
	_, err = b.sign("k", "hello", kms.Ask{})
	wantKind(t, err, kms.Sealed)
}

func TestEditedRowsAreRefusedBeforeTheFirstSignature(t *testing.T) {
	for _, c := range []struct{ name, table, sql string }{
		{"a key made active", "key", `UPDATE key SET state = 'suspended' WHERE name = 'k'`},
		{"a key deleted", "key", `DELETE FROM key WHERE name = 'hot'`},
		{"a public key exchanged", "key_version", `UPDATE key_version SET public = (SELECT public FROM key_version WHERE public <> x'' LIMIT 1)`},
		{"a version deleted", "key_version", `DELETE FROM key_version`},
		{"material exchanged", "material", `UPDATE material SET sealed = zeroblob(80)`},
		{"a payment forgotten", "spend", `DELETE FROM spend WHERE rowid = (SELECT min(rowid) FROM spend)`},
		{"a payment made smaller", "spend", `UPDATE spend SET total = zeroblob(32)`},
		{"a payment made twice", "spend", `INSERT INTO spend SELECT bucket + 60000, key_id, actor, asset, destination, total, written, mac FROM spend`},
		{"a service's networks widened", "service", `UPDATE service SET networks = '0.0.0.0/0'`},
		{"a policy exchanged", "charter", `UPDATE charter SET body = (SELECT body FROM charter WHERE version = 0) WHERE version = 1`},
		{"a policy deleted", "charter", `DELETE FROM charter WHERE version = 1`},
		{"a slot added", "slot", `INSERT INTO slot SELECT 'slot_zzzzzzzzzzzzzzzz', kind, 'mine', created, root_version, params, public, sealed_private, sealed_root, written, mac FROM slot`},
		{"a system key added", "system_key", `INSERT INTO system_key SELECT 'authority/2', root_version, public, sealed, written, mac FROM system_key WHERE name = 'authority'`},
		{"the epoch put back", "head", `UPDATE head SET epoch = epoch - 1`},
		{"another policy in force", "head", `UPDATE head SET rules = zeroblob(32)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := used(t)
			b.again(func() { b.sql(c.sql) })
			b.refused(t, c.table)
		})
	}
}

// Rows of yesterday are genuine, and yet not those of today.
func TestRowsPutBackAreRefused(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name, table, where string
		since              func(*bed) error // what happened since yesterday
	}{
		{"a disabled key", "key", `name = 'k'`, func(b *bed) error {
			_, _, err := b.kms.DisableKey(ctx, operator, "k", kms.Ask{})
			return err
		}},
		{"a revoked service", "service", `name = 'payouts'`, func(b *bed) error {
			_, err := b.kms.RevokeService(ctx, operator, "payouts", kms.Ask{})
			return err
		}},
		{"what was spent", "spend", "TRUE", func(b *bed) error {
			_, err := b.pay(operator, "hot", payee, 1, 1, kms.Ask{})
			return err
		}},
		{"a destroyed slot", "slot", "TRUE", func(b *bed) error {
			_, err := b.kms.RotateRoot(ctx, operator, kms.Ask{})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := used(t)
			yesterday := filepath.Join(t.TempDir(), "yesterday.db")
			b.again(func() { b.copyDB(yesterday) })
			b.unseal()
			b.must(c.since(b))
			b.again(func() {
				b.sql(`ATTACH '` + yesterday + `' AS y; INSERT OR REPLACE INTO ` + c.table + ` SELECT * FROM y.` + c.table + ` WHERE ` + c.where)
			})
			if c.table == "slot" { // what an old slot opens is not the root key of today
				if err := b.tryUnseal(); err == nil {
					t.Error("unsealed by a slot that was put back")
				}
				return
			}
			b.refused(t, c.table)
		})
	}
}

// The file is changed while keyward serves, and the look that time brings finds
// it; what a commit finds is in watch_test.go.
func TestRowsChangedWhileServingStopIt(t *testing.T) {
	b := used(t)
	ctx := context.Background()
	yesterday := filepath.Join(t.TempDir(), "yesterday.db")
	b.again(func() { b.copyDB(yesterday) })
	b.unseal()
	_, _, err := b.kms.DisableKey(ctx, operator, "k", kms.Ask{})
	b.must(err)
	b.must(b.kms.VerifyRows(ctx))
	b.sql(`ATTACH '` + yesterday + `' AS y; INSERT OR REPLACE INTO key SELECT * FROM y.key WHERE name = 'k'`)
	err = b.kms.VerifyRows(ctx)
	if !errors.Is(err, store.ErrTampered) {
		t.Fatalf("got %v, want the changed table", err)
	}
	_, err = b.sign("k", "hello", kms.Ask{})
	wantKind(t, err, kms.Unready)
	if s := b.kms.Status(ctx); s.Ready || !strings.Contains(s.Why, `"key"`) {
		t.Errorf("got ready %v, %q; want the changed table", s.Ready, s.Why)
	}
	b.must(b.kms.Seal(ctx, operator)) // which is always possible
	b.again(nil)
	b.refused(t, "key")
}

func TestAnotherInstallationsFirstCharterOpensNothing(t *testing.T) {
	b, other := used(t), newBed(t)
	other.close()
	b.again(func() {
		b.sql(`ATTACH '` + filepath.Join(other.dir, sqlite.File) + `' AS y; INSERT OR REPLACE INTO charter SELECT * FROM y.charter`)
	})
	if err := b.tryUnseal(); err == nil {
		t.Fatal("unsealed under another installation's charter")
	}
	_, err := b.sign("k", "hello", kms.Ask{})
	wantKind(t, err, kms.Sealed)
}

// What is missing is named, and so is the next step.
func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, c := range []struct{ name, sql, want string }{
		{"the first charter", `DELETE FROM charter WHERE version = 0`, `table "charter": row "0" was removed outside keyward`},
		{"the head", `DELETE FROM head`, `table "head": row "1" was removed outside keyward`},
		{"a system key", `DELETE FROM system_key WHERE name = '` + seal.PurposeRow + `'`, `table "system_key": row "` + seal.PurposeRow + `" was removed outside keyward`},
		{"the last log row", `DELETE FROM log WHERE first = (SELECT max(first) FROM log)`, `is missing from the log`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := used(t)
			b.again(func() { b.sql(c.sql) })
			e := wantKind(t, b.tryUnseal(), kms.Unready)
			if !strings.Contains(e.Message, c.want) || e.Hint == "" {
				t.Errorf("got %q, hint %q; want %q and the next step", e.Message, e.Hint, c.want)
			}
		})
	}
}
