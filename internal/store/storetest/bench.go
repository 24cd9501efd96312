package storetest

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"keyward/internal/store"
)

// Bench measures what rows and commits cost. cpu-µs is processor time of the
// whole process, all threads, for one row, with its share of the commit.
func Bench(b *testing.B, open Opener) {
	spendRow := func(n int) store.Row {
		return store.Row{n / 64, fmt.Sprintf("key_%026d", n), "service:payouts", "eip155:1/slip44:60",
			"0x52908400098527886e0f7030069857d2e4169ee7", make([]byte, 32)}
	}
	operationRow := func(n int) store.Row {
		row := operation(fmt.Sprintf("op_%026d", n), "begun")
		row[11] = make([]byte, 200)
		return row
	}
	for _, size := range []int{1, 64, 256} {
		benchCommit(b, open, "insert spend", size, spendRow, func(tx *store.Tx, rows []store.Row) error {
			return tx.InsertMany(Spend, rows)
		})
	}
	for _, size := range []int{1, 64, 256} {
		benchCommit(b, open, "insert operation", size, operationRow, func(tx *store.Tx, rows []store.Row) error {
			return tx.InsertMany(Operation, rows)
		})
	}
	benchCommit(b, open, "insert and finish operation", 64, operationRow, func(tx *store.Tx, rows []store.Row) error {
		if err := tx.InsertMany(Operation, rows); err != nil {
			return err
		}
		for _, row := range rows {
			row[6] = "done"
			if err := tx.Update(Operation, row); err != nil {
				return err
			}
		}
		return nil
	})
	marks := map[string]store.Mark{}
	benchCommit(b, open, "swap spend", 64, func(n int) store.Row { return spendRow(n % 64) }, func(tx *store.Tx, rows []store.Row) (err error) {
		if tx.Head().Sequence == 1 {
			clear(marks) // another database
		}
		for _, row := range rows {
			id := row[1].(string)
			if marks[id], err = tx.Swap(Spend, marks[id], row); err != nil {
				return err
			}
		}
		return nil
	})
	benchCommit(b, open, "put spend", 64, func(n int) store.Row { return spendRow(n % 64) }, func(tx *store.Tx, rows []store.Row) error {
		for _, row := range rows {
			if err := tx.Put(Spend, row); err != nil {
				return err
			}
		}
		return nil
	})

	const stock = 20_000
	_, r := stocked(b, open, Service, stock, func(n int) store.Row { return service(fmt.Sprintf("svc_%026d", n), fmt.Sprint(n)) })
	b.Run("read service", func(b *testing.B) {
		benchRead(b, func(n int) error {
			_, err := r.Row(context.Background(), Service, fmt.Sprintf("svc_%026d", n*7919%stock))
			return err
		})
	})
	b.Run("verify all", func(b *testing.B) {
		before := cpu()
		for b.Loop() {
			if err := r.VerifyAll(context.Background(), []store.Table{Service}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(micro(cpu()-before)/float64(b.N)/stock, "cpu-µs/row")
	})
	_, r = stocked(b, open, Operation, stock, operationRow)
	b.Run("read operation", func(b *testing.B) {
		benchRead(b, func(n int) error {
			_, err := r.Row(context.Background(), Operation, fmt.Sprintf("op_%026d", n*7919%stock))
			return err
		})
	})
}

// stocked is an installation with n rows in a table.
func stocked(b *testing.B, open Opener, table store.Table, n int, row func(int) store.Row) (*store.Writer, *store.Reader) {
	b.Helper()
	r, w, err := store.Open(context.Background(), open(b, filepath.Join(b.TempDir(), "place")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.Close() })
	err = w.Init(context.Background(), rowKey, [16]byte{}, func(tx *store.Tx) error {
		rows := make([]store.Row, n)
		for i := range rows {
			rows[i] = row(i)
		}
		return tx.InsertMany(table, rows)
	})
	if err != nil {
		b.Fatal(err)
	}
	return w, r
}

func benchCommit(b *testing.B, open Opener, name string, size int, row func(int) store.Row, do func(*store.Tx, []store.Row) error) {
	b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
		w, _ := stocked(b, open, Spend, 0, row)
		rows := make([]store.Row, size)
		var spent time.Duration
		n := 0
		for b.Loop() {
			for i := range rows {
				rows[i] = row(n)
				n++
			}
			before := cpu()
			err := w.Commit(context.Background(), [16]byte{}, func(tx *store.Tx) error {
				tx.Head().Sequence++
				return do(tx, rows)
			})
			if err != nil {
				b.Fatal(err)
			}
			spent += cpu() - before
		}
		b.ReportMetric(micro(spent)/float64(b.N*size), "cpu-µs/row")
	})
}

func benchRead(b *testing.B, read func(n int) error) {
	before := cpu()
	n := 0
	for b.Loop() {
		if err := read(n); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(micro(cpu()-before)/float64(b.N), "cpu-µs/row")
	b.ReportAllocs()
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
