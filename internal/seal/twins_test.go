package seal_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Each file in testdata/twins names a source file, a text in it, the text that
// breaks it, and the test that must catch it; one that says plain is built
// without runtime/secret.
func TestBrokenTwinsAreCaught(t *testing.T) {
	if os.Getenv("KEYWARD_TEST_ALL") == "" {
		t.Skip("builds every broken twin: set KEYWARD_TEST_ALL=1")
	}
	twins, err := filepath.Glob("testdata/twins/*.txtar")
	if err != nil || len(twins) == 0 {
		t.Fatalf("got %d twins, %v", len(twins), err)
	}
	for _, path := range twins {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			twin, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			part := make(map[string]string)
			for _, f := range twin.Files {
				part[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
			}
			file, err := filepath.Abs(part["file"])
			if err != nil {
				t.Fatal(err)
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), part["old"]); n != 1 {
				t.Fatalf("%s has the text to break %d times, want once", part["file"], n)
			}
			dir := t.TempDir()
			broken := strings.Replace(string(source), part["old"], part["new"], 1)
			if err := os.WriteFile(filepath.Join(dir, "twin.go"), []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: filepath.Join(dir, "twin.go")}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "-overlay", filepath.Join(dir, "overlay.json"), "-run", "^"+part["test"]+"$", "./"+filepath.Dir(part["file"]))
			if part["plain"] != "" {
				cmd.Env = append(os.Environ(), "GOEXPERIMENT=")
			}
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("%s did not notice: %s", part["test"], twin.Comment)
			}
			if !strings.Contains(string(out), "--- FAIL: "+part["test"]) {
				t.Fatalf("want %s to fail, got %v: %s", part["test"], err, out)
			}
		})
	}
}
