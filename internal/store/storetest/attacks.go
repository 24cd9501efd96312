package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyward/internal/store"
)

// attacks plays somebody who can write the database but has no row key. Each
// change must be found by the full scan at the next start, those of single rows
// also by whoever reads the row, and told in a sentence that names the place.
func attacks(t *testing.T, open Opener) {
	const removed = `table "spend": rows were removed, added or put back outside keyward`
	changed := func(key string) string {
		return fmt.Sprintf("table %q: row %q was changed outside keyward", "spend", key)
	}
	victim := "1/key_0/service:payouts/eip155:1/slip44:60/0xd8da6bf2"
	const other = `"mac" = (SELECT "mac" FROM "spend" WHERE "bucket" = 2)`

	for _, a := range []struct {
		name string
		sql  []string
		row  bool // the row itself gives it away
		want string
	}{
		{"a column", []string{`UPDATE "spend" SET "total" = (SELECT "total" FROM "spend" WHERE "bucket" = 2) WHERE "bucket" = 1`}, true, changed(victim)},
		{"its written", []string{`UPDATE "spend" SET "written" = "written" - 1 WHERE "bucket" = 1`}, true, changed(victim)},
		{"its MAC", []string{`UPDATE "spend" SET ` + other + ` WHERE "bucket" = 1`}, true, changed(victim)},
		{"all columns of another row", []string{
			`UPDATE "spend" SET "total" = (SELECT "total" FROM "spend" WHERE "bucket" = 2), ` + other + ` WHERE "bucket" = 1`}, true, changed(victim)},
		{"two columns run together", []string{`UPDATE "spend" SET "key_id" = 'key_0s', "actor" = 'ervice:payouts' WHERE "bucket" = 2`}, false,
			changed(strings.Replace(victim, "1/key_0/s", "2/key_0s/", 1))},
		{"a row deleted", []string{`DELETE FROM "spend" WHERE "bucket" = 1`}, false, removed},
		{"all rows deleted", []string{`DELETE FROM "spend"`}, false, removed},
		{"a row copied to another key", []string{`INSERT INTO "spend" SELECT 77, "key_id", "actor", "asset", "destination", "total", "written", "mac" FROM "spend" WHERE "bucket" = 1`}, false,
			changed(strings.Replace(victim, "1", "77", 1))},
		{"an older copy put back", []string{`DELETE FROM "spend" WHERE "bucket" = 1`, `INSERT INTO "spend" SELECT * FROM "yesterday"`}, false, removed},
		{"an older copy put back beside the new ones", []string{`INSERT INTO "spend" SELECT * FROM "gone"`}, false, removed},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := attacked(t, open)
			h.attack(a.sql...)
			h.wantTamper(h.verify(), a.want)
			if a.row {
				_, err := h.reader.Row(context.Background(), Spend, spendKey(1, "key_0")...)
				h.wantTamper(err, a.want)
				h.wantTamper(h.commit(func(tx *store.Tx) error {
					_, err := tx.Row(Spend, spendKey(1, "key_0")...)
					return err
				}), a.want)
				for _, err = range h.reader.Rows(context.Background(), Spend, `ORDER BY "bucket"`) {
				}
				h.wantTamper(err, a.want)
			}
			h.restart()
			h.unlock()
			h.wantTamper(h.verify(), a.want)
			// Commits meanwhile, to other rows and to the same, do not launder it.
			h.commit(insert(Spend, spend(50, "key_0", 1)))
			h.commit(func(tx *store.Tx) error { return tx.Put(Spend, spend(1, "key_0", 3)) })
			h.commit(func(tx *store.Tx) error { return tx.Delete(Spend, spendKey(2, "key_0")...) })
			if err := h.verify(); !errors.Is(err, store.ErrTampered) {
				t.Errorf("after commits, got %v, want %v", err, store.ErrTampered)
			}
		})
	}
	t.Run("a row of another table", func(t *testing.T) { moved(t, open) })
	t.Run("a chosen MAC makes good for a deletion", func(t *testing.T) { balanced(t, open) })
	t.Run("the head", func(t *testing.T) { beheaded(t, open) })
}

// attacked is an installation with a history: the rows with bucket 1 to 3, of
// which "yesterday" keeps an older version of the first, and "gone" a row that
// was deleted since.
func attacked(t *testing.T, open Opener) *house {
	h := settled(t, func(t testing.TB, place string) store.Engine { return rowsOnly{open(t, place)} })
	for i := range 3 {
		h.must(h.commit(insert(Spend, spend(i+1, "key_0", byte(i+1)))))
	}
	h.must(h.commit(insert(Spend, spend(9, "key_0", 1))))
	h.attack(
		`CREATE TABLE "yesterday" AS SELECT * FROM "spend" WHERE "bucket" = 1`,
		`CREATE TABLE "gone" AS SELECT * FROM "spend" WHERE "bucket" = 9`,
		`CREATE TABLE "head_yesterday" AS SELECT * FROM "head"`)
	h.must(h.commit(func(tx *store.Tx) error {
		h.must(tx.Put(Spend, spend(1, "key_0", 200)))
		return tx.Delete(Spend, spendKey(9, "key_0")...)
	}))
	h.must(h.verify())
	return h
}

// rowsOnly is an engine that lets the attacker keep tables of their own in the
// database: what is tried here must be found in the rows.
type rowsOnly struct{ store.Engine }

func (rowsOnly) Intact(context.Context) error { return nil }

func (h *house) wantTamper(err error, sentence string) {
	h.Helper()
	var tamper *store.TamperError
	if !errors.As(err, &tamper) || !errors.Is(err, store.ErrTampered) {
		h.Errorf("got %v, want a TamperError", err)
		return
	}
	if tamper.Error() != sentence {
		h.Errorf("got %q, want %q", tamper.Error(), sentence)
	}
}

// moved puts a row, MAC and all, into a table of the same columns.
func moved(t *testing.T, open Opener) {
	h := settled(t, func(t testing.TB, place string) store.Engine { return rowsOnly{open(t, place)} })
	describe := func(name string) store.Table {
		return store.Table{Name: name, Key: []string{"id"}, Columns: []string{"id", "what"}, Summed: true}
	}
	from, to := describe("allowed"), describe("forbidden")
	for _, t := range []store.Table{from, to} {
		h.attack(fmt.Sprintf(`CREATE TABLE %q ("id" text PRIMARY KEY, "what" text, "written" bigint, "mac" bytea)`, t.Name))
	}
	h.must(h.commit(insert(from, store.Row{"1", "sign"})))
	h.attack(`INSERT INTO "forbidden" SELECT * FROM "allowed"`)
	_, err := h.reader.Row(context.Background(), to, "1")
	h.wantTamper(err, `table "forbidden": row "1" was changed outside keyward`)
	h.must(h.reader.VerifyAll(context.Background(), []store.Table{from}))
	h.wantTamper(h.reader.VerifyAll(context.Background(), []store.Table{from, to}), `table "forbidden": row "1" was changed outside keyward`)
}

// balanced deletes one row and gives another, about to be replaced or deleted,
// a MAC such that the sum would fit again: what it loses is the MAC of both.
func balanced(t *testing.T, open Opener) {
	for name, change := range map[string]func(*store.Tx) error{
		"put":    func(tx *store.Tx) error { return tx.Put(Spend, spend(2, "key_0", 8)) },
		"update": func(tx *store.Tx) error { return tx.Update(Spend, spend(2, "key_0", 8)) },
		"delete": func(tx *store.Tx) error { return tx.Delete(Spend, spendKey(2, "key_0")...) },
	} {
		t.Run(name, func(t *testing.T) {
			h := attacked(t, open)
			var macs [2][]byte
			for i := range macs {
				row, err := h.reader.QueryRow(context.Background(), `SELECT "mac" FROM "spend" WHERE "bucket" = $1`, i+1)
				h.must(err)
				macs[i] = row.Bytes(0)
			}
			both, carry := make([]byte, 32), 0
			for i := 31; i >= 0; i-- {
				carry += int(macs[0][i]) + int(macs[1][i])
				both[i] = byte(carry)
				carry >>= 8
			}
			h.attack(`DELETE FROM "spend" WHERE "bucket" = 1`)
			h.set("spend", "mac", both, `"bucket" = 2`)
			h.wantTamper(h.commit(change), `table "spend": row "2/key_0/service:payouts/eip155:1/slip44:60/0xd8da6bf2" was changed outside keyward`)
			if err := h.verify(); !errors.Is(err, store.ErrTampered) {
				t.Errorf("got %v: the deletion was made good", err)
			}
		})
	}
}

// beheaded changes the head row.
func beheaded(t *testing.T, open Opener) {
	ctx := context.Background()
	const sentence = `table "head": row "1" was changed outside keyward`
	nothing := func(*store.Tx) error { return nil }
	for column, to := range map[string]any{
		"sequence": 1000, "hash": make([]byte, 32), "time": 5, "epoch": 7, "charter": 7, "rules": append(make([]byte, 31), 1), "open": 7,
		"commits": 1000, "sums": []byte{}, "mac": make([]byte, 32),
	} {
		t.Run(column, func(t *testing.T) {
			h := attacked(t, open)
			h.must(h.commit(func(tx *store.Tx) error { tx.Head().Hash = [32]byte{9}; return nil }))
			h.set("head", column, to, `"id" = 1`)
			h.wantTamper(h.commit(nothing), sentence)
			_, err := h.reader.Head(ctx)
			h.wantTamper(err, sentence)
			h.wantTamper(h.verify(), sentence)
			h.restart()
			h.wantTamper(h.writer.Unlock(ctx, rowKey), sentence)
			h.wantError(h.commit(nothing), store.ErrLocked)
		})
	}
	t.Run("an older one put back", func(t *testing.T) {
		h := attacked(t, open)
		h.attack(`DELETE FROM "head"`, `INSERT INTO "head" SELECT * FROM "head_yesterday"`)
		h.wantTamper(h.commit(nothing), sentence) // this process has seen a newer one
		h.restart()
		h.unlock()
		h.wantTamper(h.verify(), `table "spend": rows were removed, added or put back outside keyward`)
	})
	t.Run("removed", func(t *testing.T) {
		h := attacked(t, open)
		h.must(h.commit(func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO "log" ("first", "count", "group_id", "body") VALUES (1, 1, $1, $2)`, []byte{1}, []byte{1})
			return err
		}))
		h.attack(`DELETE FROM "head"`)
		h.wantTamper(h.commit(nothing), strings.Replace(sentence, "changed", "removed", 1))
		h.restart()
		h.wantError(h.writer.Unlock(ctx, rowKey), store.ErrUninitialized)
		h.wantTamper(h.writer.Init(ctx, rowKey, [16]byte{}, nothing), strings.Replace(sentence, "changed", "removed", 1)) // a log without a head
	})
}

// set changes one column past the store.
func (h *house) set(table, column string, to any, where string) {
	h.Helper()
	h.attackWith(fmt.Sprintf("UPDATE %q SET %q = $1 WHERE %s", table, column, where), to)
}
