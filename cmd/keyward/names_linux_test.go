package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keyward/internal/twintest"
)

// A new file or directory survives a power cut once the directory in which its
// name stands is synced. ext4 does more than it must and would hide what is
// missing, so the system calls are looked at.
func TestNewNamesAreSynced(t *testing.T) {
	needStrace(t)
	place := t.TempDir()
	m := &machine{disk: &disk{t: t}, dir: filepath.Join(place, "new", "data")}
	// The tracer goes into the background (-D), so that signals reach keyward.
	traced := func(args ...string) (*exec.Cmd, string) {
		trace := filepath.Join(t.TempDir(), "trace")
		return exec.Command("strace", append([]string{
			"-D", "-f", "-y", "-qq", "--seccomp-bpf", "-e", "signal=none", "-o", trace,
			"-e", "trace=?open,openat,?mkdir,mkdirat,?rename,?renameat,renameat2,fsync,fdatasync", "keyward", "--dir", m.dir,
		}, args...)...), trace
	}
	check := func(trace string, wanted ...string) {
		t.Helper()
		b, err := os.ReadFile(trace)
		m.must(err)
		synced, left := names(string(b), place)
		for _, name := range wanted {
			if !synced[name] {
				t.Errorf("%s was not made, or its directory not synced since", name)
			}
		}
		for name := range left {
			t.Errorf("the directory of %s was not synced since it was made", name)
		}
	}

	init, trace := traced("init", "--key-file", filepath.Join(place, "keys", "root.key"), "--listen", "127.0.0.1:0")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	check(trace, "new", "new/data", "new/data/tls", "new/data/tls/ca.pem", "new/data/config.toml", "new/data/keyward.db", "keys", "keys/root.key")

	server, trace := traced("server")
	m.start(server)
	m.run("", "key", "create", "k", "--spec", "HMAC_256") // one commit
	m.must(server.Process.Signal(unix.SIGTERM))
	m.must(<-m.ended)
	check(trace, "new/data/keyward.db-wal")
}

var (
	naming  = regexp.MustCompile(`^(?:open(?:at)?\([^"]*"([^"]*)", [^,]*O_CREAT|(?:mkdir|rename).*"([^"]*)").* = \d`)
	syncing = regexp.MustCompile(`^f(?:data)?sync\(\d+<([^>]*)>\) += 0`)
	// What need not survive: locks, and what is made anew from the log.
	passing = regexp.MustCompile(`-shm$|/derived\.db|\.lock$|\.sock|/\.new-`)
)

// names reads a trace: which names below place were made, of those whose
// directory was synced since, and of those whose was not.
func names(trace, place string) (synced, left map[string]bool) {
	synced, left = map[string]bool{}, map[string]bool{}
	begun := map[string]string{} // by thread: a call whose end comes later
	for line := range strings.Lines(trace) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if head, ok := strings.CutSuffix(call, "<unfinished ...>"); ok {
			begun[thread] = head
			continue
		}
		if _, tail, ok := strings.Cut(call, " resumed>"); ok && strings.HasPrefix(call, "<...") {
			call = begun[thread] + tail
		}
		if f := syncing.FindStringSubmatch(call); f != nil {
			for name := range left {
				if filepath.Dir(filepath.Join(place, name)) == f[1] {
					synced[name] = true
					delete(left, name)
				}
			}
		}
		if f := naming.FindStringSubmatch(call); f != nil && !passing.MatchString(f[1]+f[2]) {
			if name, below := strings.CutPrefix(f[1]+f[2], place+"/"); below && !synced[name] {
				left[name] = true
			}
		}
	}
	return synced, left
}

func TestUnsyncedNamesAreSeen(t *testing.T) {
	needStrace(t)
	for _, twin := range []struct{ name, old, broken string }{
		{"a file's", "return syncDir(filepath.Dir(path))", "return nil"},
		{"a directory's", "changed = append(changed, filepath.Dir(d))", "changed = nil"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", "^TestNewNamesAreSynced$", "file.go", twintest.Edited(t, "file.go", twin.old, twin.broken))
		})
	}
}

// needStrace skips the test, or fails it where all tests must run, when strace
// is not there or may not trace.
func needStrace(t *testing.T) {
	t.Helper()
	err := exec.Command("strace", "-o", os.DevNull, "true").Run()
	switch {
	case err == nil:
	case os.Getenv("KEYWARD_TEST_ALL") == "1":
		t.Fatalf("judge \"strace\" missing: %v", err)
	default:
		t.Skipf("judge \"strace\" missing: %v", err)
	}
}
