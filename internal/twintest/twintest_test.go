package twintest_test

import (
	"os"
	"path/filepath"
	"testing"

	"keyward/internal/twintest"
)

func TestATwinIsItsOriginalBrokenInOnePlace(t *testing.T) {
	original := filepath.Join(t.TempDir(), "a.go")
	if err := os.WriteFile(original, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	twin := twintest.Edited(t, original, "two", "2")
	got, err := os.ReadFile(twin)
	if err != nil || string(got) != "one\n2\nthree\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if filepath.Base(twin) != "a.go" {
		t.Errorf("got name %s, want that of the original", twin)
	}
}

func TestMustFailWantsAFailure(t *testing.T) {
	twin := twintest.Edited(t, "twintest.go", "filepath.Base(original)", `"b.go"`)
	twintest.MustFail(t, ".", "^TestATwinIsItsOriginalBrokenInOnePlace$", "twintest.go", twin)
}
