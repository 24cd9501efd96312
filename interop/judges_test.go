package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// missing ends a test for want of a judge.
func missing(t *testing.T, judge, remedy string) {
	t.Helper()
	if os.Getenv("KEYWARD_TEST_ALL") == "1" {
		t.Fatalf("judge %s missing: %s", judge, remedy)
	}
	t.Skipf("judge %s missing: %s", judge, remedy)
}

// anvilPath finds the node's binary: as npm brings it, else where the shell
// would.
func anvilPath(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("node_modules/@foundry-rs/anvil-*/bin/anvil")
	if len(found) > 0 {
		path, err := filepath.Abs(found[0])
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path, err := exec.LookPath("anvil")
	if err != nil {
		missing(t, "anvil", "npm ci --ignore-scripts in interop/")
	}
	return path
}

// askViem has viem.mjs answer each question, in order.
func askViem[Q, A any](t *testing.T, questions []Q) []A {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "install Node.js 20 or newer")
	}
	if _, err := os.Stat("node_modules/viem/package.json"); err != nil {
		missing(t, "viem", "npm ci --ignore-scripts in interop/")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, node, "viem.mjs")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("viem.mjs: %v\n%s", err, said.String())
	}
	var answers []A
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil {
		t.Fatalf("viem.mjs: %v", err)
	}
	if len(answers) != len(questions) {
		t.Fatalf("got %d answers of viem.mjs, want %d", len(answers), len(questions))
	}
	return answers
}

// rounds is how many random inputs a test tries.
func rounds(t *testing.T, usual int) int {
	t.Helper()
	switch {
	case os.Getenv("KEYWARD_TEST_LONG") == "1":
		return 50 * usual
	case testing.Short():
		return usual / 10
	}
	return usual
}
