package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"keyward/internal/audit"
	"keyward/internal/secret"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

const origin = "keyward/0102030405060708"

func seed() secret.Bytes {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(i)
	}
	return secret.Take(b)
}

func logKey(t testing.TB) *audit.LogKey {
	t.Helper()
	k, err := audit.TakeLogKey(origin, seed())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Destroy)
	return k
}

// example is a record as journal writes them; it depends on the sequence alone.
func example(sequence uint64) audit.Record {
	r := audit.Record{
		Sequence: sequence, Time: 1_800_000_000_000 + int64(sequence), Node: "node-1",
		Action: "key.sign", Phase: audit.Begun, Operation: fmt.Sprintf("op_%026d", (sequence+1)/2),
		Actor: "service:payouts", Source: "10.0.0.7", Subject: "key_01arz3ndektsv4rrffq69g5fav/1",
	}
	if sequence%2 == 0 {
		r.Phase, r.Outcome, r.Result = audit.Ended, "done", sha256.Sum256([]byte(r.Operation))
		return r
	}
	r.Request, r.Decision, r.Rules, r.Charter, r.Epoch = sha256.Sum256([]byte("request")), "allow", []string{"payouts"}, 3, 7
	r.Charges = []audit.Charge{
		{Asset: "eip155:1/slip44:60", Destination: "0x52908400098527886e0f7030069857d2e4169ee7", Amount: "1500000000000000000"},
		{Asset: "eip155:1/slip44:60", Destination: "fee", Amount: "21000000000000"},
	}
	return r
}

func nonce(sequence uint64) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("nonce"), sequence))
}

// enter makes the entry that follows a position.
func enter(at audit.Position, r audit.Record) (audit.Entry, audit.Position) {
	r.Sequence, r.Previous = at.Sequence+1, at.Hash
	e := audit.Entry{Sequence: r.Sequence, Nonce: nonce(r.Sequence), Record: r.Encode()}
	return e, audit.Position{Sequence: r.Sequence, Hash: audit.Chain(at.Hash, audit.Leaf(e.Sequence, e.Nonce, e.Record))}
}

// examples makes n records that follow a position.
func examples(at audit.Position, n int) []audit.Record {
	all := make([]audit.Record, n)
	for i := range all {
		all[i] = example(at.Sequence + uint64(i) + 1)
	}
	return all
}

// entries makes n consecutive entries behind a position.
func entries(at audit.Position, n int) ([]audit.Entry, audit.Position) {
	return enterAll(at, examples(at, n))
}

func enterAll(at audit.Position, records []audit.Record) ([]audit.Entry, audit.Position) {
	all := make([]audit.Entry, len(records))
	for i, r := range records {
		all[i], at = enter(at, r)
	}
	return all, at
}

// house is a data directory with a log in it.
type house struct {
	dir     string
	reader  *store.Reader
	writer  *store.Writer
	derived *sql.DB
	log     *audit.Log
	key     *audit.LogKey
}

func open(t testing.TB, dir string) *house {
	t.Helper()
	engine, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{dir: dir, key: logKey(t)}
	if h.reader, h.writer, err = store.Open(t.Context(), engine); err != nil {
		t.Fatal(err)
	}
	rowKey := make([]byte, 32)
	err = h.writer.Init(t.Context(), rowKey, [16]byte{}, func(*store.Tx) error { return nil })
	if errors.Is(err, store.ErrInitialized) {
		err = h.writer.Unlock(t.Context(), rowKey)
	}
	if err != nil {
		t.Fatal(err)
	}
	if h.derived, err = sqlite.OpenDerived(filepath.Join(dir, "derived.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	h.follow(t)
	return h
}

// openLocked opens a data directory without any key.
func openLocked(t testing.TB, dir string) (*store.Reader, *sql.DB) {
	t.Helper()
	engine, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := store.Open(t.Context(), engine)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := sqlite.OpenDerived(filepath.Join(dir, "derived.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { derived.Close(); writer.Close() })
	return reader, derived
}

// follow opens the log of a house and gives it its key.
func (h *house) follow(t testing.TB) {
	t.Helper()
	var err error
	if h.log, err = audit.Open(t.Context(), audit.Options{Reader: h.reader, Derived: h.derived, Verifier: h.key.Verifier()}); err != nil {
		t.Fatal(err)
	}
	if err := h.log.Unlock(t.Context(), logKey(t)); err != nil {
		t.Fatal(err)
	}
}

func (h *house) close() {
	h.derived.Close()
	h.writer.Close()
}

// commit writes one group of n records.
func (h *house) commit(t testing.TB, n int) {
	t.Helper()
	head, err := h.reader.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.commitRecords(t, examples(audit.Position{Sequence: head.Sequence}, n))
}

// commitRecords writes one group, as journal does.
func (h *house) commitRecords(t testing.TB, records []audit.Record) {
	t.Helper()
	err := h.writer.Commit(t.Context(), [16]byte{}, func(tx *store.Tx) error {
		head := tx.Head()
		all, at := enterAll(audit.Position{Sequence: head.Sequence, Hash: head.Hash}, records)
		head.Sequence, head.Hash, head.Time = at.Sequence, at.Hash, records[len(records)-1].Time
		_, err := tx.Exec("INSERT INTO log (first, count, group_id, body) VALUES ($1, $2, $3, $4)",
			int64(all[0].Sequence), int64(len(all)), binary.BigEndian.AppendUint64(nil, all[0].Sequence), audit.AppendGroup(nil, all))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill commits n records in groups of many sizes.
func (h *house) fill(t testing.TB, n int) {
	t.Helper()
	for size := 1; n > 0; size = size*3%97 + 1 {
		h.commit(t, min(size, n))
		n -= min(size, n)
	}
}

func (h *house) checkpoint(t testing.TB) audit.Checkpoint {
	t.Helper()
	c, err := h.log.CheckpointNow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *house) verify(t testing.TB, check audit.Check) (audit.Report, error) {
	t.Helper()
	check.Verifier = h.key.Verifier()
	return audit.Verify(t.Context(), audit.Stored(h.reader, h.derived), check)
}

// copyDir copies a data directory whose files nobody writes.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, f.Name()), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// edit opens a database behind keyward's back.
func edit(t testing.TB, path string, f func(*sql.DB)) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f(db)
}

func exec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// memory is a log in memory whose tree was made by x/mod's own functions.
type memory struct {
	entries []audit.Entry
	note    []byte
	tiles   map[string][]byte
	root    tlog.Hash
	page    int
}

func newMemory(t testing.TB, all []audit.Entry) *memory {
	t.Helper()
	m := &memory{entries: all, tiles: map[string][]byte{}, page: 100}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, i := range indexes {
			list = append(list, hashes[i])
		}
		return list, nil
	})
	for i, e := range all {
		more, err := tlog.StoredHashes(int64(i), e.LeafData(), reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	for _, tile := range tlog.NewTiles(8, 0, int64(len(all))) {
		data, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			t.Fatal(err)
		}
		m.tiles["tile/"+tile.Path()[len("tile/8/"):]] = data
		if tile.L == 0 {
			var bundle []byte
			for _, e := range all[tile.N*256:][:tile.W] {
				bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(e.LeafData())))
				bundle = append(bundle, e.LeafData()...)
			}
			m.tiles["tile/entries/"+tile.Path()[len("tile/8/0/"):]] = bundle
		}
	}
	var err error
	if m.root, err = tlog.TreeHash(int64(len(all)), reader); err != nil {
		t.Fatal(err)
	}
	m.note = sign(t, logKey(t), len(all), m.root)
	return m
}

// sign writes a checkpoint by hand.
func sign(t testing.TB, k note.Signer, size int, root tlog.Hash) []byte {
	t.Helper()
	b, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", k.Name(), size, root)}, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (m *memory) Checkpoint(context.Context) ([]byte, error) {
	if m.note == nil {
		return nil, audit.ErrNoCheckpoint
	}
	return m.note, nil
}

func (m *memory) Tile(_ context.Context, path string) ([]byte, error) {
	if b, ok := m.tiles[path]; ok {
		return b, nil
	}
	return nil, audit.ErrNotFound
}

func (m *memory) Records(_ context.Context, from uint64) ([]audit.Entry, error) {
	for i, e := range m.entries {
		if e.Sequence >= from {
			return m.entries[i:min(i+m.page, len(m.entries))], nil
		}
	}
	return nil, nil
}

func (m *memory) verify(t testing.TB, check audit.Check) (audit.Report, error) {
	t.Helper()
	check.Verifier = logKey(t).Verifier()
	return audit.Verify(t.Context(), m, check)
}

// wantFault checks that an error is the fault of a record; 0 means of none.
func wantFault(t testing.TB, err error, sequence uint64) {
	t.Helper()
	var f *audit.Fault
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a fault of record %d", err, sequence)
	}
	if f.Sequence != sequence {
		t.Fatalf("got the fault of record %d (%s), want of %d", f.Sequence, f.What, sequence)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

var _ io.Reader = zeros{}

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%x, want\n%x", what, got, want)
	}
}
