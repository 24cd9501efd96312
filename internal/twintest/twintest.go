// Package twintest shows that tests have teeth: it runs one of them against a
// broken twin of a product file, put in the file's place by go test -overlay,
// and demands that the test fails. Nothing of it is in the product.
package twintest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxBroken is how many lines a twin may break. One that differs more was left
// behind by its original.
const maxBroken = 12

// MustFail runs the tests of the package pkg that match run (as go test takes
// both; run is one test, with or without subtests) with the file twin in the
// place of the file original, and fails t unless one of them fails. File names
// are relative to the folder of the test that calls. It builds a test binary,
// so it is skipped under -short.
func MustFail(t *testing.T, pkg, run, original, twin string) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: a broken twin is a build of its own")
	}
	good, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := os.ReadFile(twin)
	if err != nil {
		t.Fatal(err)
	}
	if n := differing(good, bad); n == 0 || n > maxBroken {
		t.Fatalf("twin %s differs from %s in %d lines, want 1 to %d: make it anew from its original", twin, original, n, maxBroken)
	}
	out, err := test(t, pkg, run, original, twin)
	switch {
	case err == nil:
		t.Errorf("with %s in the place of %s, got no failure of %s:\n%s", twin, original, run, out)
	case !bytes.Contains(out, []byte("--- FAIL")):
		t.Errorf("with %s in the place of %s, want %s to fail, got something else: %v\n%s", twin, original, run, err, out)
	}
}

// Edited writes a twin of original in which old, which must stand there once,
// is replaced, and returns its name for MustFail.
func Edited(t *testing.T, original, old, broken string) string {
	t.Helper()
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), old); n != 1 {
		t.Fatalf("%s has %q %d times, want once", original, old, n)
	}
	twin := filepath.Join(t.TempDir(), filepath.Base(original))
	if err := os.WriteFile(twin, []byte(strings.Replace(string(source), old, broken, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return twin
}

// differing counts the lines between the first and the last one in which two
// files differ.
func differing(a, b []byte) int {
	x, y := bytes.Split(a, []byte{'\n'}), bytes.Split(b, []byte{'\n'})
	for len(x) > 0 && len(y) > 0 && bytes.Equal(x[0], y[0]) {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && bytes.Equal(x[len(x)-1], y[len(y)-1]) {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return max(len(x), len(y))
}

func test(t *testing.T, pkg, run, original, twin string) ([]byte, error) {
	t.Helper()
	from, err := filepath.Abs(original)
	if err != nil {
		t.Fatal(err)
	}
	to, err := filepath.Abs(twin)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{from: to}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	// -v names failing subtests; -vet is for code that is meant.
	return exec.Command("go", "test", "-vet=off", "-count=1", "-v", "-overlay", name, "-run", run, pkg).CombinedOutput()
}
