package audit_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"keyward/internal/audit"
)

// walk follows the pages of a query to the end and checks that each keeps its
// bound.
func walk(t *testing.T, h *house, q audit.Query) []uint64 {
	t.Helper()
	var all []uint64
	for range 10_000 {
		page, err := audit.Search(t.Context(), h.reader, q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Limit > 0 && len(page.Found) > q.Limit {
			t.Fatalf("got a page of %d records, want at most %d", len(page.Found), q.Limit)
		}
		for _, f := range page.Found {
			all = append(all, f.Entry.Sequence)
		}
		switch {
		case page.Next == 0:
			return all
		case q.Reverse:
			q.To = page.Next
		default:
			q.From = page.Next
		}
	}
	t.Fatal("the pages never end")
	return nil
}

func TestSearchFindsWhatFits(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	records := examples(audit.Position{}, 400)
	for i := range records {
		records[i].Actor = fmt.Sprintf("service:%d", i%7)
		records[i].Time = 1_000_000 + int64(i/10) // ten at one time
		if i%11 == 0 {
			records[i].Action = "key.create"
		}
	}
	for size := 1; len(records) > 0; size = size*3%53 + 1 {
		n := min(size, len(records))
		h.commitRecords(t, records[:n])
		records = records[n:]
	}
	all := func(fits func(sequence uint64) bool) (want []uint64) {
		for s := range uint64(400) {
			if fits(s + 1) {
				want = append(want, s+1)
			}
		}
		return want
	}
	any := func(uint64) bool { return true }
	for name, c := range map[string]struct {
		q    audit.Query
		want []uint64
	}{
		"all":       {audit.Query{}, all(any)},
		"from":      {audit.Query{From: 391}, all(func(s uint64) bool { return s >= 391 })},
		"to":        {audit.Query{To: 17}, all(func(s uint64) bool { return s <= 17 })},
		"one":       {audit.Query{From: 200, To: 200}, []uint64{200}},
		"none":      {audit.Query{From: 401}, nil},
		"empty":     {audit.Query{From: 20, To: 10}, nil},
		"actor":     {audit.Query{Actor: "service:3"}, all(func(s uint64) bool { return (s-1)%7 == 3 })},
		"action":    {audit.Query{Action: "key.create"}, all(func(s uint64) bool { return (s-1)%11 == 0 })},
		"phase":     {audit.Query{Phase: audit.Ended}, all(func(s uint64) bool { return s%2 == 0 })},
		"operation": {audit.Query{Operation: example(77).Operation}, []uint64{77, 78}},
		"subject":   {audit.Query{Subject: "key_01arz3ndektsv4rrffq69g5fav/1"}, all(any)},
		"part":      {audit.Query{Subject: "key_01arz3ndektsv4rrffq69g5fav"}, nil},
		"two": {audit.Query{Actor: "service:3", Phase: audit.Begun, From: 100}, all(func(s uint64) bool {
			return (s-1)%7 == 3 && s%2 == 1 && s >= 100
		})},
		"after":  {audit.Query{After: 1_000_030}, all(func(s uint64) bool { return s > 300 })},
		"until":  {audit.Query{Until: 1_000_005}, all(func(s uint64) bool { return s <= 50 })},
		"during": {audit.Query{After: 1_000_005, Until: 1_000_007}, all(func(s uint64) bool { return s > 50 && s <= 70 })},
	} {
		for _, limit := range []int{0, 1, 7, 1000} {
			c.q.Limit, c.q.Reverse = limit, false
			if got := walk(t, h, c.q); !slices.Equal(got, c.want) {
				t.Errorf("%s, limit %d: got %v, want %v", name, limit, got, c.want)
			}
			c.q.Reverse = true
			got := walk(t, h, c.q)
			slices.Reverse(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, limit %d, backwards: got %v, want %v", name, limit, got, c.want)
			}
		}
	}
}

func TestTailIsTheNewestRecords(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 100)
	page, err := audit.Search(t.Context(), h.reader, audit.Query{Reverse: true, Limit: 3})
	if err != nil || len(page.Found) != 3 || page.Next != 97 {
		t.Fatalf("got %+v and %v", page, err)
	}
	for i, f := range page.Found {
		if want := example(uint64(100 - i)); f.Record.Sequence != want.Sequence || f.Record.Operation != want.Operation {
			t.Errorf("got record %d of %s, want %d of %s", f.Record.Sequence, f.Record.Operation, want.Sequence, want.Operation)
		}
	}
}

func TestErasedRecordsAreFoundByNothingTheySaid(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 10)
	h.close()
	edit(t, filepath.Join(h.dir, "keyward.db"), func(db *sql.DB) {
		changeRow(t, db, 4, func(all []audit.Entry, i int) []audit.Entry {
			all[i] = all[i].Erase()
			return all
		})
	})
	h = open(t, h.dir)
	if got := walk(t, h, audit.Query{}); len(got) != 10 {
		t.Errorf("got %v, want all ten", got)
	}
	if got := walk(t, h, audit.Query{Subject: example(1).Subject}); slices.Contains(got, 4) || len(got) != 9 {
		t.Errorf("got %v, want all but 4", got)
	}
	if got := walk(t, h, audit.Query{After: 1}); slices.Contains(got, 4) || len(got) != 9 {
		t.Errorf("got %v, want all but 4", got)
	}
}
