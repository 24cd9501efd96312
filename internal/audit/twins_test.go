package audit_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	for name, c := range map[string]struct{ file, old, broken, run string }{
		"the running hash is not compared": {"rows.go", "c.known && said != before", "false", "^TestEveryChangeOfTheLogIsFoundAndNamed$"},
		"the root is not compared":         {"verify.go", "v.edge.root() == v.report.Checkpoint.Root", "true", "^TestLogWrittenAnewIsFound$"},
		"the kept checkpoint is ignored":   {"verify.go", "v.since.Size == v.edge.size", "false", "^TestLogWrittenAnewIsFound$"},
		"the position is ignored":          {"verify.go", "seen.Sequence == e.Sequence", "false", "^TestLogWrittenAnewIsFound$"},
		"a fork is signed":                 {"follow.go", "&doubtError{err}\n\t}\n\treturn nil\n}\n\n// batch", "nil\n\t}\n\treturn nil\n}\n\n// batch", "^TestForkIsNeverSigned$"},
		"published before it is kept":      {"follow.go", "l.derived.ExecContext(ctx, putCheckpoint, c.Note)", "func() (any, error) { l.newest.Store(&c); return l.derived.ExecContext(ctx, putCheckpoint, c.Note) }()", "^TestFailedBatchLeavesNothing$"},
	} {
		t.Run(name, func(t *testing.T) {
			twintest.MustFail(t, "keyward/internal/audit", c.run, c.file, twintest.Edited(t, c.file, c.old, c.broken))
		})
	}
}
