package keyfile_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"keyward/internal/seal/keyfile"
)

// creating is the environment variable by which a test runs this binary again,
// to create one key file under a fault.
const creating = "KEYWARD_TEST_CREATE_KEY_FILE"

func TestMain(m *testing.M) {
	dir := os.Getenv(creating)
	if dir == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // strace counts calls for each thread
	if os.Getenv(creating+"_LIMIT") != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 30, Max: 30}); err != nil {
			os.Exit(3)
		}
	}
	c, err := keyfile.Create(rand.Reader, filepath.Join(dir, "made", "a.key"), filepath.Join(dir, "data"))
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	c.Destroy()
	os.Exit(0)
}

// failing runs Create in a process of its own and wants it to fail with that
// text and to leave no file.
func failing(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	dir := t.TempDir()
	cmd.Env = append(cmd.Environ(), creating+"="+dir)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), want) {
		t.Errorf("got %v, %s, want exit 1 and %q", err, out, want)
	}
	if _, err := os.Lstat(filepath.Join(dir, "made", "a.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no file", err)
	}
}

func TestAWriteThatFailsHalfwayLeavesNoFile(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), creating+"_LIMIT=1")
	failing(t, cmd, "file too large")
}

// The key file, its directory and that one's parent are synced, and a failure
// of any of the three leaves no file.
func TestASyncThatFailsLeavesNoFile(t *testing.T) {
	if out, err := exec.Command("strace", "-f", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		if os.Getenv("KEYWARD_TEST_ALL") != "" {
			t.Fatalf("strace: %v: %s", err, out)
		}
		t.Skipf("the judge strace cannot run here, so no sync can be made to fail: %v", err)
	}
	for _, nth := range []string{"1", "2", "3"} {
		cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when="+nth, os.Args[0])
		failing(t, cmd, "input/output error")
	}
}
