package audit_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"keyward/internal/audit"
)

func BenchmarkEncode(b *testing.B) {
	r := example(12345)
	b.ReportAllocs()
	for b.Loop() {
		r.Encode()
	}
}

func BenchmarkDecode(b *testing.B) {
	encoded := example(12345).Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.DecodeRecord(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

// What a committer pays for a record, nonce and database aside.
func BenchmarkEnter(b *testing.B) {
	at := audit.Position{}
	r := example(12345)
	for b.Loop() {
		_, at = enter(at, r)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// From the log's rows to a signed checkpoint, 64 records a commit.
func BenchmarkIntegrate(b *testing.B) {
	const records = 64 * 512
	h := open(b, filepath.Join(b.TempDir(), "d"))
	for range records / 64 {
		h.commit(b, 64)
	}
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		for _, q := range []string{"DELETE FROM tree_tile", "DELETE FROM tree_state", "DELETE FROM tree_checkpoint"} {
			exec(b, h.derived, q)
		}
		h.follow(b)
		b.StartTimer()
		before := cpu()
		h.checkpoint(b)
		spent += cpu() - before
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/records, "cpu-ns/record")
}

// A checkpoint each for a few records: what a second costs on a quiet node.
func BenchmarkCheckpointOfOne(b *testing.B) {
	h := open(b, filepath.Join(b.TempDir(), "d"))
	h.fill(b, 10_000)
	h.checkpoint(b)
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		h.commit(b, 1)
		b.StartTimer()
		before := cpu()
		h.checkpoint(b)
		spent += cpu() - before
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func BenchmarkVerify(b *testing.B) {
	const records = 64 * 256
	h := open(b, filepath.Join(b.TempDir(), "d"))
	for range records / 64 {
		h.commit(b, 64)
	}
	h.checkpoint(b)
	for b.Loop() {
		if _, err := h.verify(b, audit.Check{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
