package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"keyward/internal/secret"
)

// child names what this test binary does instead of testing, when it is run by
// a test as a process of its own.
const child = "KEYWARD_SECRET_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(child) {
	case "":
		os.Exit(m.Run())
	case "crash":
		crash()
	case "harden and crash":
		if err := secret.Harden(); err != nil {
			fatal(err)
		}
		crash()
	case "lock nothing":
		lockNothing()
	case "report":
		report()
	}
}

func fatal(v any) {
	fmt.Fprintln(os.Stderr, v)
	os.Exit(1)
}

// crash asks for a core dump in all ways it can.
func crash() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	report()
	debug.SetTraceback("crash")
	key, plain := filled(100), make([]byte, 100)
	fill(plain, 0x5a)
	defer runtime.KeepAlive(plain)
	defer key.Destroy() // after the crash: never
	panic("crash")
}

// lockNothing runs report without any right to lock memory.
func lockNothing() {
	runtime.LockOSThread()
	// Root may lock without limit, until it executes with this bit gone.
	_ = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0)
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}); err != nil {
		fatal(err)
	}
	os.Setenv(child, "report")
	fatal(unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}

// report uses secrets of two kinds and prints the status.
func report() {
	for _, n := range []int{32, 100_000} {
		b := filled(n)
		if view := b.View(); len(view) != n || view[n-1] != 0xa5 {
			fatal("the secret is not what was written")
		}
		b.Destroy()
	}
	if err := json.NewEncoder(os.Stdout).Encode(secret.Status()); err != nil {
		fatal(err)
	}
}

// runChild runs a child in the folder dir and returns what it reported and how
// it ended.
func runChild(t *testing.T, mode, dir string) (secret.MemoryStatus, syscall.WaitStatus) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), child+"="+mode)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var status secret.MemoryStatus
	if err := json.Unmarshal(out, &status); err != nil {
		t.Fatalf("child %q: %v, output %q, %s", mode, err, out, stderr.Bytes())
	}
	return status, cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func TestHardenForbidsCoreDumps(t *testing.T) {
	dir := t.TempDir() // where a core goes, unless the system sends it elsewhere
	open, end := runChild(t, "crash", dir)
	if !open.Dumpable || !end.Signaled() || end.Signal() != syscall.SIGABRT {
		t.Fatalf("without Harden: got dumpable %v, end %v, want a dumpable process that aborts", open.Dumpable, end)
	}
	cores, err := filepath.Glob(filepath.Join(dir, "core*"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("without Harden: core dumped %v, found %v", end.CoreDump(), cores)
	for _, name := range cores {
		core, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(core, bytes.Repeat([]byte{0x5a}, 100)) {
			t.Error("the core dump lacks the heap: it proves nothing")
		}
		if bytes.Contains(core, bytes.Repeat([]byte{0xa5}, 32)) {
			t.Error("the core dump holds a secret, want its memory left out")
		}
	}
	closed, end := runChild(t, "harden and crash", t.TempDir())
	if closed.Dumpable || end.Signal() != syscall.SIGABRT || end.CoreDump() {
		t.Errorf("after Harden: got dumpable %v, core dumped %v, want neither", closed.Dumpable, end.CoreDump())
	}
}

func TestWorksWithoutTheRightToLock(t *testing.T) {
	status, end := runChild(t, "lock nothing", t.TempDir())
	if end.ExitStatus() != 0 {
		t.Fatalf("got %v, want secrets to work all the same", end)
	}
	if !status.LockFailed || status.LockedBytes != 0 {
		t.Errorf("got %+v, want LockFailed and nothing locked", status)
	}
	if status, _ := runChild(t, "report", t.TempDir()); status.LockFailed && mayLock() {
		t.Errorf("got %+v where memory may be locked", status)
	}
}

// mayLock reports whether this process may lock the little that the tests use.
func mayLock() bool {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit)
	return err == nil && limit.Cur >= 4<<20
}

func needLock(t *testing.T) {
	t.Helper()
	if !mayLock() && secret.Status().LockFailed {
		t.Skip("root or RLIMIT_MEMLOCK of 4 MiB needed to lock memory")
	}
}

// flags returns the VmFlags of the mapping that holds the memory of view, or
// nil when there is none.
func flags(t *testing.T, view []byte) []string {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at, _ := strconv.ParseUint(fmt.Sprintf("%p", view), 0, 64)
	inside := false
	for line := range strings.Lines(string(smaps)) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if rest, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			return strings.Fields(rest)
		}
	}
	return nil
}

func TestMemoryIsLockedUndumpedAndWipedOnFork(t *testing.T) {
	needLock(t)
	for _, n := range sizes {
		b := filled(n)
		got := flags(t, b.View())
		for flag, meaning := range map[string]string{"lo": "locked", "dd": "out of core dumps", "wf": "wiped on fork"} {
			if !slices.Contains(got, flag) {
				t.Errorf("%d bytes: got flags %v, want %q: %s", n, got, flag, meaning)
			}
		}
		b.Destroy()
	}
}

// vmLck returns the locked memory of the process in bytes, as the kernel counts.
func vmLck(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmLck:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func TestStatusCountsWhatTheKernelCounts(t *testing.T) {
	needLock(t)
	before := vmLck(t)
	b := secret.New(1 << 20)
	during := vmLck(t)
	if during-before != 1<<20 {
		t.Errorf("VmLck grew by %d for a secret of %d bytes", during-before, 1<<20)
	}
	if got := secret.Status().LockedBytes; got != during {
		t.Errorf("LockedBytes: got %d, kernel says %d", got, during)
	}
	b.Destroy()
	if after := vmLck(t); after != before || secret.Status().LockedBytes != before {
		t.Errorf("after Destroy: got VmLck %d and LockedBytes %d, want %d", after, secret.Status().LockedBytes, before)
	}
}

func TestLargeSecretsLeaveNoMapping(t *testing.T) {
	b := filled(1 << 20)
	view := b.View()
	if flags(t, view) == nil {
		t.Fatal("no mapping found while the secret lives")
	}
	b.Destroy()
	if got := flags(t, view); slices.Contains(got, "wr") {
		t.Errorf("after Destroy its memory is still mapped: %v", got)
	}
}

func TestGuardPagesSurroundLargeSecrets(t *testing.T) {
	b := secret.New(1 << 20)
	defer b.Destroy()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%p", b.View())[2:]
	guarded := 0
	for line := range strings.Lines(string(maps)) {
		start, rest, _ := strings.Cut(line, "-")
		end, rest, _ := strings.Cut(rest, " ")
		last, _ := strconv.ParseUint(at, 16, 64)
		if strings.HasPrefix(rest, "---p") && (end == at || start == strconv.FormatUint(last+1<<20, 16)) {
			guarded++
		}
	}
	if guarded != 2 {
		t.Errorf("got %d guard mappings, want one on each side", guarded)
	}
}

func TestTenThousandKeysShareFewPages(t *testing.T) {
	before := secret.Status().LockedBytes
	keys := make([]secret.Bytes, 10_000)
	for i := range keys {
		keys[i] = secret.New(32)
		copy(keys[i].View(), strconv.Itoa(i))
	}
	grown := secret.Status().LockedBytes - before
	if need := int64(32 * len(keys)); grown > need+64<<10 {
		t.Errorf("got %d bytes locked for %d bytes of keys", grown, need)
	}
	for i, key := range keys {
		if got := string(bytes.TrimRight(key.View(), "\x00")); got != strconv.Itoa(i) {
			t.Fatalf("key %d: got %q, overwritten by another", i, got)
		}
		key.Destroy()
	}
	again := secret.Status().LockedBytes
	for range keys {
		secret.New(32).Destroy()
	}
	if got := secret.Status().LockedBytes; got != again {
		t.Errorf("memory that was given back is not used again: %d bytes, then %d", again, got)
	}
}
