package secret_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	for name, twin := range map[string]struct{ test, file, line, broken string }{
		"not wiped":         {"TestWipedAfterDestroy", "arena.go", "Wipe(slot)", "_ = slot"},
		"freed twice":       {"TestDestroyTwiceFreesOnce", "secret.go", "b.h.once.Do(b.h.destroy)", "b.h.destroy()"},
		"leaked for ever":   {"TestLeakedSecretIsWiped", "secret.go", "runtime.AddCleanup(h, memory.give, mem)", "runtime.Cleanup{}"},
		"outgrown and kept": {"TestReadLeavesNoCopyBehind", "secret.go", "memory.give(mem)\n\t\tmem = more", "mem = more"},
		"in core dumps":     {"TestMemoryIsLockedUndumpedAndWipedOnFork", "arena_linux.go", "unix.Madvise(mem, unix.MADV_DONTDUMP)", "error(nil)"},
		"core dumps on":     {"TestHardenForbidsCoreDumps", "arena_linux.go", "unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)", "error(nil)"},
	} {
		t.Run(name, func(t *testing.T) {
			twintest.MustFail(t, ".", "^"+twin.test+"$", twin.file, twintest.Edited(t, twin.file, twin.line, twin.broken))
		})
	}
	t.Run("found by reflection", func(t *testing.T) {
		twin := twintest.Edited(t, "secret.go", "cleanup runtime.Cleanup", "cleanup runtime.Cleanup; found []byte")
		twin = twintest.Edited(t, twin, "h := &handle{", "h := &handle{found: mem, ")
		twintest.MustFail(t, ".", "^TestPrintingTellsNothing$", "secret.go", twin)
	})
}
