package audit_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyward/internal/audit"
)

// changeRow rewrites the row that holds a record, as somebody with sqlite3 can.
func changeRow(t testing.TB, db *sql.DB, sequence uint64, f func(all []audit.Entry, i int) []audit.Entry) {
	t.Helper()
	var first int64
	var body []byte
	if err := db.QueryRow(`SELECT first, body FROM log WHERE first <= $1 ORDER BY first DESC LIMIT 1`, int64(sequence)).Scan(&first, &body); err != nil {
		t.Fatal(err)
	}
	all, err := audit.DecodeGroup(bytes.Clone(body))
	if err != nil {
		t.Fatal(err)
	}
	all = f(all, int(sequence-all[0].Sequence))
	for i := range all { // as a forger would, keep the row well formed
		all[i].Sequence = uint64(first) + uint64(i)
	}
	exec(t, db, `UPDATE log SET body = $1, count = $2 WHERE first = $3`, audit.AppendGroup(nil, all), len(all), first)
}

// alter changes what a record says.
func alter(t testing.TB, e *audit.Entry, f func(*audit.Record)) {
	t.Helper()
	r, err := audit.DecodeRecord(e.Record)
	if err != nil {
		t.Fatal(err)
	}
	f(&r)
	e.Record = r.Encode()
}

func TestEveryChangeOfTheLogIsFoundAndNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	h.fill(t, 700)
	early := h.checkpoint(t)
	h.fill(t, 500)
	c := h.checkpoint(t)
	h.fill(t, 200) // behind the checkpoint, bound by the running hash alone
	h.close()

	type rewrite = func(all []audit.Entry, i int) []audit.Entry
	amount := func(all []audit.Entry, i int) []audit.Entry {
		alter(t, &all[i], func(r *audit.Record) { r.Actor = "service:innocent" })
		return all
	}
	row := func(f rewrite) func(*sql.DB, uint64) {
		return func(db *sql.DB, at uint64) { changeRow(t, db, at, f) }
	}
	cases := []struct {
		name   string
		at     uint64 // where something is done
		want   uint64 // what is named
		change func(*sql.DB, uint64)
	}{
		{"first record", 1, 1, row(amount)},
		{"a record", 333, 333, row(amount)},
		{"last record of a tile", 512, 512, row(amount)},
		{"first record of a tile", 513, 513, row(amount)},
		{"last record of the checkpoint", c.Size, c.Size, row(amount)},
		// The first record behind it that disagrees; the head for the last one.
		{"a record behind the checkpoint", 1300, 1301, row(amount)},
		{"the newest record", 1400, 1400, row(amount)},
		{"time", 430, 430, row(func(all []audit.Entry, i int) []audit.Entry {
			alter(t, &all[i], func(r *audit.Record) { r.Time = 5 })
			return all
		})},
		{"nonce", 431, 431, row(func(all []audit.Entry, i int) []audit.Entry {
			all[i].Nonce[31] ^= 0x80
			return all
		})},
		{"not canonical", 432, 432, row(func(all []audit.Entry, i int) []audit.Entry {
			all[i].Record = append(bytes.Clone(all[i].Record), 0)
			return all
		})},
		{"not a record", 433, 433, row(func(all []audit.Entry, i int) []audit.Entry {
			all[i].Record = []byte("{}")
			return all
		})},
		{"its sequence", 434, 434, row(func(all []audit.Entry, i int) []audit.Entry {
			alter(t, &all[i], func(r *audit.Record) { r.Sequence = 435 })
			return all
		})},
		{"replaced by the one before", 435, 435, row(func(all []audit.Entry, i int) []audit.Entry {
			all[i] = all[i-1]
			return all
		})},
		{"swapped", 436, 436, row(func(all []audit.Entry, i int) []audit.Entry {
			all[i], all[i+1] = all[i+1], all[i]
			return all
		})},
		{"deleted", 437, 437, row(func(all []audit.Entry, i int) []audit.Entry { return slices.Delete(all, i, i+1) })},
		{"inserted", 438, 438, row(func(all []audit.Entry, i int) []audit.Entry { return slices.Insert(all, i, all[i-1]) })},
		{"falsely erased", 439, 439, row(func(all []audit.Entry, i int) []audit.Entry {
			all[i].Nonce[0] ^= 1
			all[i] = all[i].Erase()
			return all
		})},
		{"behind the head", 1401, 1401, func(db *sql.DB, _ uint64) {
			more, _ := entries(audit.Position{Sequence: 1400}, 1)
			exec(t, db, `INSERT INTO log (first, count, group_id, body) VALUES (1401, 1, x'aa', $1)`, audit.AppendGroup(nil, more))
		}},
		{"row deleted", 500, 0, func(db *sql.DB, at uint64) {
			exec(t, db, `DELETE FROM log WHERE first = (SELECT max(first) FROM log WHERE first <= $1)`, int64(at))
		}},
		{"first row deleted", 1, 1, func(db *sql.DB, at uint64) { exec(t, db, `DELETE FROM log WHERE first = 1`) }},
		{"last row deleted", 1400, 0, func(db *sql.DB, at uint64) {
			exec(t, db, `DELETE FROM log WHERE first = (SELECT max(first) FROM log)`)
		}},
		{"all rows deleted", 1, 1, func(db *sql.DB, at uint64) { exec(t, db, `DELETE FROM log`) }},
		{"rows swapped", 500, 0, func(db *sql.DB, at uint64) {
			exec(t, db, `UPDATE log SET body = (SELECT body FROM log l WHERE l.first > log.first ORDER BY l.first LIMIT 1)
				WHERE first = (SELECT max(first) FROM log WHERE first <= $1)`, int64(at))
		}},
		{"row cut", 500, 0, func(db *sql.DB, at uint64) {
			exec(t, db, `UPDATE log SET body = substr(body, 1, length(body)-1) WHERE first = (SELECT max(first) FROM log WHERE first <= $1)`, int64(at))
		}},
		{"count", 500, 0, func(db *sql.DB, at uint64) {
			exec(t, db, `UPDATE log SET count = count + 1 WHERE first = (SELECT max(first) FROM log WHERE first <= $1)`, int64(at))
		}},
		{"first", 500, 0, func(db *sql.DB, at uint64) {
			exec(t, db, `UPDATE log SET first = 90000 WHERE first = (SELECT max(first) FROM log WHERE first <= $1)`, int64(at))
		}},
		{"head put back", 1200, 1200, func(db *sql.DB, at uint64) {
			exec(t, db, `UPDATE head SET sequence = 1200`) // its hash stays
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			copied := copyDir(t, dir)
			edit(t, filepath.Join(copied, "keyward.db"), func(db *sql.DB) {
				if c.want == 0 { // the beginning of the row
					if err := db.QueryRow(`SELECT max(first) FROM log WHERE first <= $1`, int64(c.at)).Scan(&c.want); err != nil {
						t.Fatal(err)
					}
				}
				c.change(db, c.at)
			})
			report, err := verifyCopy(t, copied, audit.Check{Since: early.Note})
			wantFault(t, err, c.want)
			t.Log(err)
			for _, f := range report.Faults {
				if f.Sequence != 0 && f.Sequence < c.want {
					t.Errorf("an innocent record is named: %s", f.What)
				}
			}
		})
	}
}

// verifyCopy verifies as on another machine: without row key and log key.
func verifyCopy(t *testing.T, dir string, check audit.Check) (audit.Report, error) {
	t.Helper()
	reader, derived := openLocked(t, dir)
	check.Verifier = logKey(t).Verifier()
	return audit.Verify(t.Context(), audit.Stored(reader, derived), check)
}

// A forger who writes everything anew, up to the head, cannot sign it.
func TestLogWrittenAnewIsFound(t *testing.T) {
	all, end := entries(audit.Position{}, 600)
	honest := newMemory(t, all)
	records := examples(audit.Position{}, 600)
	records[299].Actor = "service:innocent"
	forged, _ := enterAll(audit.Position{}, records)
	m := newMemory(t, forged)

	t.Run("tiles too", func(t *testing.T) {
		m := *m
		m.note = honest.note
		report, err := m.verify(t, audit.Check{})
		wantFault(t, err, 0)
		if report.Checkpoint.Root != honest.root {
			t.Error("the report is not about the signed checkpoint")
		}
	})
	t.Run("but not the tiles", func(t *testing.T) {
		m := *m
		m.note, m.tiles = honest.note, honest.tiles
		_, err := m.verify(t, audit.Check{})
		wantFault(t, err, 300)
	})
	t.Run("but not the upper tiles", func(t *testing.T) {
		m := *m
		m.note, m.tiles = honest.note, copyTiles(m.tiles)
		m.tiles["tile/1/000.p/2"] = honest.tiles["tile/1/000.p/2"]
		_, err := m.verify(t, audit.Check{})
		wantFault(t, err, 257) // the first of those that it can be
	})
	t.Run("by the server itself", func(t *testing.T) { // it has the key
		if _, err := m.verify(t, audit.Check{}); err != nil {
			t.Fatal(err)
		}
		_, err := m.verify(t, audit.Check{Since: honest.note})
		wantFault(t, err, 0)
		_, err = m.verify(t, audit.Check{Since: newMemory(t, all[:400]).note})
		wantFault(t, err, 0)
		_, err = m.verify(t, audit.Check{Seen: end})
		wantFault(t, err, 600)
		if _, err = m.verify(t, audit.Check{Since: newMemory(t, all[:299]).note}); err != nil {
			t.Errorf("up to there it is the same log: %v", err)
		}
	})
	t.Run("by leaving out the end", func(t *testing.T) {
		short := newMemory(t, all[:500])
		if _, err := short.verify(t, audit.Check{}); err != nil {
			t.Fatal(err)
		}
		_, err := short.verify(t, audit.Check{Since: honest.note})
		wantFault(t, err, 501)
		_, err = short.verify(t, audit.Check{Seen: end})
		wantFault(t, err, 501)
	})
}

func copyTiles(m map[string][]byte) map[string][]byte {
	c := map[string][]byte{}
	for k, v := range m {
		c[k] = bytes.Clone(v)
	}
	return c
}

// Each byte of tiles, bundles and checkpoint counts.
func TestEveryByteOfTheTreeIsChecked(t *testing.T) {
	for _, c := range []struct{ records, step int }{{20, 1}, {260, 211}} {
		all, _ := entries(audit.Position{}, c.records)
		m := newMemory(t, all)
		if report, err := m.verify(t, audit.Check{}); err != nil || report.Records != uint64(c.records) {
			t.Fatalf("got %d records, %v", report.Records, err)
		}
		for path, tile := range m.tiles {
			for i := 0; i < len(tile); i += c.step {
				tile[i] ^= 1 << (i % 8)
				wantDamaged(t, m, path)
				tile[i] ^= 1 << (i % 8)
			}
			for _, cut := range [][]byte{nil, tile[:len(tile)-1], append(bytes.Clone(tile), 0)} {
				m.tiles[path] = cut
				wantDamaged(t, m, path)
			}
			m.tiles[path] = tile
		}
		honest := m.note
		for i := range honest {
			m.note = bytes.Clone(honest)
			m.note[i] ^= 2
			if _, err := m.verify(t, audit.Check{}); err == nil {
				t.Errorf("byte %d of the checkpoint may be anything", i)
			}
		}
	}
}

func wantDamaged(t *testing.T, m *memory, path string) {
	t.Helper()
	_, err := m.verify(t, audit.Check{})
	wantFault(t, err, 0)
	if want := path + " is damaged"; !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want %s", err, want)
	}
}

// Each byte of the records counts, and the record is named.
func TestEveryByteOfTheRecordsIsChecked(t *testing.T) {
	all, _ := entries(audit.Position{}, 12)
	m := newMemory(t, all)
	body := audit.AppendGroup(nil, all)
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 1 << (i % 8)
		got, err := audit.DecodeGroup(bad)
		if err != nil {
			continue
		}
		changed := slices.IndexFunc(got, func(e audit.Entry) bool {
			j := e.Sequence - 1
			return j >= 12 || e.Nonce != all[j].Nonce || !bytes.Equal(e.Record, all[j].Record)
		})
		want := uint64(changed + 1)
		if got[0].Sequence != 1 {
			want = 1
		}
		m := *m
		m.entries = got
		_, err = m.verify(t, audit.Check{})
		if err == nil {
			t.Fatalf("byte %d may be anything", i)
		}
		wantFault(t, err, want)
	}
}

func TestErasedRecordsLeaveLogAndTreeWhole(t *testing.T) {
	all, end := entries(audit.Position{}, 600)
	m := newMemory(t, all)
	for _, i := range []int{0, 1, 5, 255, 256, 300, 598, 599} {
		m.entries[i] = m.entries[i].Erase()
	}
	report, err := m.verify(t, audit.Check{Seen: end})
	if err != nil || report.Erased != 8 || report.Records != 600 {
		t.Errorf("got %+v and %v", report, err)
	}
	// 6 and 256 were ends, 257 and 301 beginnings; 1 and 2, 599 and 600 were both.
	if report.Operations != 300-4 || report.Unmatched != 2 || report.Open != 2 {
		t.Errorf("got %d operations, %d unmatched, %d open", report.Operations, report.Unmatched, report.Open)
	}
}

func TestErasedRecordsMustLeaveALeaf(t *testing.T) {
	all, _ := entries(audit.Position{}, 5)
	for name, leaf := range map[string][]byte{
		"empty": {}, "short": all[2].LeafData()[:40], "long": append(all[2].LeafData(), 0), "another's": all[3].LeafData(),
	} {
		m := newMemory(t, all)
		m.entries = slices.Clone(all)
		m.entries[2] = audit.Entry{Sequence: 3, Leaf: leaf}
		_, err := m.verify(t, audit.Check{})
		t.Log(name)
		wantFault(t, err, 3)
	}
}

func TestReportJoinsOperations(t *testing.T) {
	record := func(op, phase, outcome string) audit.Record {
		return audit.Record{Action: "key.sign", Operation: op, Phase: phase, Outcome: outcome, Time: 7}
	}
	all, _ := enterAll(audit.Position{}, []audit.Record{
		record("a", audit.Begun, ""), record("b", audit.Begun, ""), record("a", audit.Ended, "done"), record("c", audit.Denied, ""),
		record("d", audit.Waiting, ""), record("d", audit.Begun, ""), record("d", audit.Ended, "unknown: the process that began it ended"),
		record("", audit.Counted, ""), record("e", audit.Ended, "done"), record("", audit.Noted, "done"),
	})
	report, err := newMemory(t, all).verify(t, audit.Check{})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(report.Records, report.Operations, report.Open, report.Unknown, report.Unmatched, report.First, report.Last)
	if want := "10 3 1 1 1 7 7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVerifyWithoutDerivedState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	h := open(t, dir)
	h.fill(t, 300)
	kept := h.checkpoint(t)
	h.fill(t, 300)
	check := audit.Check{Verifier: h.key.Verifier()}
	if _, err := audit.Verify(t.Context(), audit.Stored(h.reader, nil), check); err != audit.ErrNoCheckpoint {
		t.Errorf("got %v, want ErrNoCheckpoint", err)
	}
	check.Since = kept.Note
	report, err := audit.Verify(t.Context(), audit.Stored(h.reader, nil), check)
	if err != nil || report.Records != 600 || report.Tail != 300 || report.Checkpoint.Size != 300 {
		t.Errorf("got %+v and %v", report, err)
	}
	h.close()
	edit(t, filepath.Join(dir, "keyward.db"), func(db *sql.DB) {
		changeRow(t, db, 299, func(all []audit.Entry, i int) []audit.Entry {
			all[i].Nonce[0]++
			return all
		})
	})
	reader, _ := openLocked(t, dir)
	_, err = audit.Verify(t.Context(), audit.Stored(reader, nil), check)
	wantFault(t, err, 300)
}

func TestVerifyNeedsTheRightKey(t *testing.T) {
	all, _ := entries(audit.Position{}, 3)
	m := newMemory(t, all)
	other, err := audit.GenerateLogKey(origin, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = audit.Verify(t.Context(), m, audit.Check{Verifier: other.Verifier()})
	wantFault(t, err, 0)
	for _, bad := range []string{"", "x", other.Verifier() + "x"} {
		if _, err := audit.Verify(t.Context(), m, audit.Check{Verifier: bad}); err == nil {
			t.Errorf("key %q: got no error", bad)
		}
	}
}
