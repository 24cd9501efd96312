// Package storetest is the suite that every engine of the store must pass: what
// a commit promises, what the Reader refuses, and what survives kill -9. It
// sees what a caller sees, and writes past the store only where it plays the
// attacker.
package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"keyward/internal/store"
)

// Opener opens the engine whose state lives at place: a folder that may not be
// there yet, below one that is; an engine without files may take it for a name.
// It is called again for the same place after the engine was closed.
type Opener func(t testing.TB, place string) store.Engine

// Run runs the suite. It starts the test binary again, with the same top-level
// test, to kill it: so that test must do nothing else before it calls Run.
func Run(t *testing.T, open Opener) {
	if killed(t, open) {
		return
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, Opener)
	}{
		{"Migrations", migrations},
		{"Birth", birth},
		{"Commits", commits},
		{"Rows", rows},
		{"Faults", faults},
		{"Concurrency", concurrency},
		{"Attacks", attacks},
		{"Watch", watch},
		{"Kill", kill},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open) })
	}
}

// The tables that the suite writes, as their owners describe them, or close to.
var (
	Spend = store.Table{
		Name:    "spend",
		Key:     []string{"bucket", "key_id", "actor", "asset", "destination"},
		Columns: []string{"bucket", "key_id", "actor", "asset", "destination", "total"},
		Summed:  true,
	}
	Service = store.Table{
		Name:    "service",
		Key:     []string{"id"},
		Columns: []string{"id", "name", "token_hash", "networks", "created", "expires", "revoked"},
		Summed:  true,
	}
	Operation = store.Table{
		Name: "operation",
		Key:  []string{"id"},
		Columns: []string{"id", "parent", "actor", "idem", "idx", "hash", "state", "verb", "key_id", "key_version", "subject",
			"request", "created", "expires", "changed", "begun", "ended", "charter", "outcome", "result"},
		Mutable: []string{"state", "changed", "begun", "ended", "outcome", "result"},
	}
)

var summed = []store.Table{Spend, Service}

// rowKey is the row key of every installation of the suite.
var rowKey = []byte("storetest: thirty-two bytes long")

// house is an installation under test.
type house struct {
	*testing.T
	open   Opener
	place  string
	engine store.Engine
	reader *store.Reader
	writer *store.Writer
}

// newHouse opens a database that was never used.
func newHouse(t *testing.T, open Opener) *house {
	t.Helper()
	h := &house{T: t, open: open, place: filepath.Join(t.TempDir(), "place")}
	h.start()
	t.Cleanup(h.stop)
	return h
}

// settled is newHouse with an installation in it.
func settled(t *testing.T, open Opener) *house {
	t.Helper()
	h := newHouse(t, open)
	h.must(h.writer.Init(h.Context(), rowKey, [16]byte{}, func(*store.Tx) error { return nil }))
	return h
}

func (h *house) start() {
	h.Helper()
	h.engine = h.open(h, h.place)
	var err error
	h.reader, h.writer, err = store.Open(context.Background(), h.engine)
	h.must(err)
}

func (h *house) stop() { h.must(h.writer.Close()) }

// restart closes everything and opens it again, locked.
func (h *house) restart() {
	h.Helper()
	h.stop()
	h.start()
}

func (h *house) unlock() {
	h.Helper()
	h.must(h.writer.Unlock(context.Background(), rowKey))
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// commit commits f, with one record's worth of movement of the head.
func (h *house) commit(f func(*store.Tx) error) error {
	return h.writer.Commit(context.Background(), [16]byte{}, func(t *store.Tx) error {
		t.Head().Sequence++
		t.Head().Time++
		return f(t)
	})
}

// verify runs the full scan.
func (h *house) verify() error {
	return h.reader.VerifyAll(context.Background(), append([]store.Table{Operation}, summed...))
}

func (h *house) head() store.Head {
	h.Helper()
	head, err := h.reader.Head(context.Background())
	h.must(err)
	return head
}

// row fails the test unless the row is there and verified.
func (h *house) row(t store.Table, key ...any) store.Row {
	h.Helper()
	row, err := h.reader.Row(context.Background(), t, key...)
	h.must(err)
	return row
}

// count is how many rows a table has, by its own word.
func (h *house) count(table string) int64 {
	h.Helper()
	row, err := h.reader.QueryRow(context.Background(), fmt.Sprintf("SELECT count(*) FROM %q", table))
	h.must(err)
	return row.Int(0)
}

// attack runs statements past the store, as somebody does who can write the
// database but has no row key.
func (h *house) attack(statements ...string) {
	h.Helper()
	for _, s := range statements {
		h.attackWith(s)
	}
}

func (h *house) attackWith(statement string, args ...any) {
	h.Helper()
	conn, err := h.engine.Writer(context.Background())
	h.must(err)
	defer conn.Close()
	bound := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		bound[i].Ordinal = i + 1
		bound[i].Value, err = driver.DefaultParameterConverter.ConvertValue(arg)
		h.must(err)
	}
	tx, err := conn.(driver.ConnBeginTx).BeginTx(context.Background(), driver.TxOptions{})
	h.must(err)
	st, err := conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), statement)
	if err == nil {
		_, err = st.(driver.StmtExecContext).ExecContext(context.Background(), bound)
		err = errors.Join(err, st.Close())
	}
	if err != nil {
		h.Fatalf("%s: %v", statement, errors.Join(err, tx.Rollback()))
	}
	h.must(tx.Commit())
}

// wantError fails the test unless err is target.
func (h *house) wantError(err, target error) {
	h.Helper()
	if !errors.Is(err, target) {
		h.Errorf("got error %v, want %v", err, target)
	}
}

// spend is a row of Spend.
func spend(bucket int, key string, total byte) store.Row {
	return store.Row{int64(bucket), key, "service:payouts", "eip155:1/slip44:60", "0xd8da6bf2", []byte{total}}
}

func spendKey(bucket int, key string) []any { return spend(bucket, key, 0)[:len(Spend.Key)] }

// service is a row of Service.
func service(id, name string) store.Row {
	return store.Row{id, name, []byte(id), "10.0.0.0/8", int64(1), int64(2), int64(0)}
}

// operation is a row of Operation.
func operation(id, state string) store.Row {
	return store.Row{id, "", "service:payouts", id, int64(0), make([]byte, 32), state, "sign-transaction", "key_1", int64(1), "",
		[]byte("request"), int64(1), int64(2), int64(3), int64(4), int64(0), int64(1), "", []byte{}}
}
