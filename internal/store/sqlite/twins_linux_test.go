package sqlite_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	t.Run("synchronous off", func(t *testing.T) {
		twintest.MustFail(t, ".", "^TestEngine$/^Birth$", "pragmas.go", "testdata/twins/pragmas.go")
	})
	t.Run("readers that can write", func(t *testing.T) {
		twin := twintest.Edited(t, "pragmas.go", `q.Set("mode", "ro")
		q.Set("_query_only", "1")`, `q.Set("mode", "rw")`)
		twintest.MustFail(t, ".", "^TestReadersCannotWrite$", "pragmas.go", twin)
	})
	t.Run("directory not locked", func(t *testing.T) {
		twin := twintest.Edited(t, "sqlite.go", "unix.Flock(int(f.Fd()), how|unix.LOCK_NB)", "error(nil)")
		twintest.MustFail(t, ".", "^TestOneProcessOwnsADirectory$", "sqlite.go", twin)
	})
}

// These twins are caught by tests that need a judge.
func TestBrokenTwinsOfDurabilityAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("short: a broken twin is a build of its own")
	}
	needStrace(t)
	t.Run("log not synced", func(t *testing.T) {
		twin := twintest.Edited(t, "vfs.go", "return function[syncFunc](g.base().FxSync)(tls, file, flags)", "return sqlite3.SQLITE_OK")
		twintest.MustFail(t, ".", "^TestEveryCommitIsSynced$", "vfs.go", twin)
	})
	t.Run("broken file used again", func(t *testing.T) {
		twin := twintest.Edited(t, "fault.go", "case sqlite3.SQLITE_IOERR, ", "case ")
		twintest.MustFail(t, ".", "^TestFailedCheckpointStopsCommits$", "fault.go", twin)
	})
}
