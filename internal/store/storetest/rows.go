package storetest

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"keyward/internal/store"
)

func rows(t *testing.T, open Opener) {
	ctx := context.Background()

	t.Run("values come back as they went in", func(t *testing.T) {
		type name string
		type amount uint32
		h := settled(t, open)
		for i, c := range []struct{ in, want store.Row }{
			{in: service("a", "a")},
			{in: store.Row{"b", "é 世界 ' \" $1 ?", []byte{0, 1, 0xff, 0}, "", int64(math.MinInt64), int64(math.MaxInt64), int64(-1)}},
			{
				in:   store.Row{name("c"), "c", []byte(nil), "", 1, amount(2), uint64(3)},
				want: store.Row{"c", "c", []byte{}, "", int64(1), int64(2), int64(3)},
			},
			{
				in:   store.Row{"d", "d", [2]byte{1, 2}, "", int8(1), uint8(2), 3},
				want: store.Row{"d", "d", []byte{1, 2}, "", int64(1), int64(2), int64(3)},
			},
		} {
			if c.want == nil {
				c.want = c.in
			}
			h.must(h.commit(insert(Service, c.in)))
			if diff := cmp.Diff(c.want, h.row(Service, c.want[0]), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("row %d (-want +got):\n%s", i, diff)
			}
		}
		for _, bad := range []any{nil, 1.5, true, uint64(math.MaxUint64), []int{1}} {
			row := service("x", "x")
			row[1] = bad
			if err := h.commit(insert(Service, row)); err == nil {
				t.Errorf("value %v: got no error", bad)
			}
		}
		if err := h.commit(insert(Service, service("x", "x")[:3])); err == nil {
			t.Error("a short row: got no error")
		}
		if _, err := h.reader.Row(ctx, Spend, 1); err == nil {
			t.Error("a short key: got no error")
		}
		h.must(h.verify())
	})
	t.Run("a row is found, or not", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(func(tx *store.Tx) error { return tx.InsertMany(Spend, spends(30)) }))
		_, err := h.reader.Row(ctx, Spend, spendKey(99, "key_0")...)
		h.wantError(err, store.ErrNotFound)
		for _, c := range []struct {
			where string
			args  []any
			want  int
		}{
			{"", nil, 30},
			{`"bucket" >= $1 AND "bucket" < $2`, []any{10, 20}, 10},
			{`WHERE "key_id" = $1 ORDER BY "bucket" LIMIT 3`, []any{"key_0"}, 3},
			{`ORDER BY "bucket" DESC LIMIT 1`, nil, 1},
			{`"key_id" = $1`, []any{"nobody"}, 0},
		} {
			n := 0
			for row, err := range h.reader.Rows(ctx, Spend, c.where, c.args...) {
				h.must(err)
				if n++; c.where[:min(5, len(c.where))] == "ORDER" && row.Int(0) != 29 {
					t.Errorf("got bucket %d, want the last", row.Int(0))
				}
			}
			if n != c.want {
				t.Errorf("%s: got %d rows, want %d", c.where, n, c.want)
			}
		}
		for range h.reader.Rows(ctx, Spend, "") {
			break // gives the connection back
		}
		for _, err := range h.reader.Query(ctx, "SELECT nonsense") {
			if err == nil {
				t.Error("got no error for nonsense")
			}
		}
	})
	t.Run("a transaction sees what it wrote", func(t *testing.T) {
		h := settled(t, open)
		h.must(h.commit(func(tx *store.Tx) error {
			h.must(tx.InsertMany(Spend, spends(20)))
			h.must(tx.ExecMany(`INSERT INTO "log" ("first", "count", "group_id", "body") VALUES ($1, $2, $3, $4)`,
				[]store.Row{{1, 1, []byte{1}, []byte("a")}, {2, 1, []byte{2}, []byte("b")}}))
			row, err := tx.QueryRow(`SELECT count(*) FROM "log"`)
			h.must(err)
			if row.Int(0) != 2 {
				t.Errorf("got %d log rows, want 2", row.Int(0))
			}
			_, err = tx.QueryRow(`SELECT "first" FROM "log" WHERE "first" = $1`, 77)
			h.wantError(err, store.ErrNotFound)
			n := 0
			for row, err := range tx.Rows(Spend, `"bucket" < $1`, 5) {
				h.must(err)
				h.must(tx.Put(Spend, spend(int(row.Int(0)), "key_0", 8))) // while it ranges
				n++
			}
			if n != 5 {
				t.Errorf("got %d rows, want 5", n)
			}
			changed, err := tx.Exec(`UPDATE "log" SET "count" = 2`)
			if changed != 2 {
				t.Errorf("got %d rows changed, want 2", changed)
			}
			return err
		}))
		h.must(h.verify())
	})
	t.Run("marks save a look", func(t *testing.T) {
		h := settled(t, open)
		var first, second store.Mark
		h.must(h.commit(func(tx *store.Tx) (err error) {
			first, err = tx.Swap(Spend, store.Mark{}, spend(1, "key_0", 1))
			return err
		}))
		h.must(h.commit(func(tx *store.Tx) error {
			row, mark, err := tx.RowMark(Spend, spendKey(1, "key_0")...)
			h.must(err)
			if mark != first || row.Bytes(5)[0] != 1 {
				t.Errorf("got mark %x and row %v, want %x", mark, row, first)
			}
			second, err = tx.Swap(Spend, first, spend(1, "key_0", 2))
			return err
		}))
		h.must(h.verify())
		h.must(h.commit(func(tx *store.Tx) error {
			_, err := tx.Swap(Spend, first, spend(1, "key_0", 3)) // remembered too long
			h.wantError(err, store.ErrChanged)
			_, err = tx.Swap(Spend, second, spend(1, "key_0", 4))
			return err
		}))
		h.must(h.verify())
		h.wantError(h.commit(func(tx *store.Tx) error {
			_, err := tx.Swap(Spend, store.Mark{}, spend(1, "key_0", 5)) // it is there
			return err
		}), store.ErrConflict)
		if got := h.row(Spend, spendKey(1, "key_0")...).Bytes(5)[0]; got != 4 {
			t.Errorf("got total %d, want 4", got)
		}
	})
	t.Run("an update leaves the other columns alone", func(t *testing.T) {
		h := settled(t, open)
		h.wantError(h.commit(func(tx *store.Tx) error { return tx.Update(Operation, operation("op_1", "done")) }), store.ErrNotFound)
		h.wantError(h.commit(func(tx *store.Tx) error { return tx.Update(Spend, spend(1, "key_0", 1)) }), store.ErrNotFound)
		h.wantError(h.commit(func(tx *store.Tx) error { return tx.Delete(Spend, spendKey(1, "key_0")...) }), store.ErrNotFound)
		h.must(h.commit(insert(Operation, operation("op_1", "begun"))))
		h.must(h.commit(func(tx *store.Tx) error { return tx.Update(Operation, operation("op_1", "done")) }))
		h.must(h.commit(func(tx *store.Tx) error { return tx.Put(Operation, operation("op_1", "failed")) }))
		h.must(h.commit(func(tx *store.Tx) error { return tx.Put(Operation, operation("op_2", "begun")) }))
		if got := h.row(Operation, "op_1").Text(6); got != "failed" {
			t.Errorf("got state %q, want failed", got)
		}
		h.must(h.verify())
	})
	t.Run("sums follow whatever happens", func(t *testing.T) {
		h := settled(t, open)
		rapid.Check(t, func(r *rapid.T) { h.walk(r) })
	})
}

// walk makes random changes, some of them rolled back, and compares what is
// there with a map.
func (h *house) walk(r *rapid.T) {
	key := rapid.IntRange(0, 6)
	total := rapid.Byte()
	want := map[int]byte{}
	for row, err := range h.reader.Rows(context.Background(), Spend, "") {
		h.must(err)
		want[int(row.Int(0))] = row.Bytes(5)[0]
	}
	for range rapid.IntRange(1, 5).Draw(r, "commits") {
		next := map[int]byte{}
		for k, v := range want {
			next[k] = v
		}
		steps := rapid.IntRange(0, 6).Draw(r, "steps")
		err := h.commit(func(tx *store.Tx) error {
			for range steps {
				k, v := key.Draw(r, "key"), total.Draw(r, "total")
				_, there := next[k]
				var err error
				switch rapid.IntRange(0, 3).Draw(r, "step") {
				case 0:
					err = tx.Put(Spend, spend(k, "key_0", v))
					next[k] = v
				case 1:
					err = tx.Insert(Spend, spend(k, "key_0", v))
					next[k] = v
				case 2:
					if err = tx.Update(Spend, spend(k, "key_0", v)); there {
						next[k] = v
					}
				case 3:
					err = tx.Delete(Spend, spendKey(k, "key_0")...)
					delete(next, k)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			want = next
		}
	}
	got := map[int]byte{}
	for row, err := range h.reader.Rows(context.Background(), Spend, "") {
		h.must(err)
		got[int(row.Int(0))] = row.Bytes(5)[0]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("rows (-want +got):\n%s", diff)
	}
	if err := h.verify(); err != nil {
		r.Fatal(err)
	}
}
