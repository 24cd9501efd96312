package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program builds keyward once for all tests.
type program struct {
	dir   string
	build func() (string, error)
}

var built program

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "keyward-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = program{dir, sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "keyward")
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/keyward")
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return path, err
	})}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// installation is a keyward of its own, served on loopback over TLS for as long
// as its test.
type installation struct {
	t            *testing.T
	program, dir string
	home, url    string
}

func serve(t *testing.T) installation {
	t.Helper()
	path, err := built.build()
	if err != nil {
		t.Fatalf("build keyward: %v", err)
	}
	home := t.TempDir()
	k := installation{t: t, program: path, dir: filepath.Join(home, "data"), home: home}
	k.run("", "init", "--key-file", filepath.Join(home, "root.key"), "--listen", "127.0.0.1:0")
	cmd := k.command(context.Background(), "server")
	k.url = started(t, cmd, "listening ")
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("keyward server: %v", err)
		}
	})
	return k
}

func (k installation) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.program, append([]string{"--dir", k.dir}, args...)...)
	cmd.Dir, cmd.Env = k.home, []string{"HOME=" + k.home, "PATH=" + os.Getenv("PATH")}
	return cmd
}

// try types a command and returns its exit code and what it printed.
func (k installation) try(stdin string, args ...string) (code int, out, said string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	cmd := k.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		k.t.Fatalf("keyward %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func (k installation) run(stdin string, args ...string) string {
	k.t.Helper()
	code, out, said := k.try(stdin, args...)
	if code != 0 {
		k.t.Fatalf("keyward %s: exit code %d\n%s", strings.Join(args, " "), code, said)
	}
	return out
}

// ask runs a command with --json and reads what it prints.
func ask[T any](k installation, stdin string, args ...string) (answer T) {
	k.t.Helper()
	out := k.run(stdin, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		k.t.Fatalf("keyward %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return answer
}

func (k installation) write(name, text string) string {
	k.t.Helper()
	path := filepath.Join(k.home, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}

// account makes a key for Ethereum and returns its address.
func (k installation) account(name string) string {
	k.t.Helper()
	made := ask[struct{ Addresses []struct{ Address string } }](k, "", "key", "create", name, "--spec", "ECC_SECG_P256K1", "--domain", "ethereum")
	if len(made.Addresses) != 1 {
		k.t.Fatalf("got %d addresses of a new key, want 1", len(made.Addresses))
	}
	return made.Addresses[0].Address
}

// as returns the flags by which a program acts as the service, over TLS.
func (k installation) as(service string) []string {
	k.t.Helper()
	token := filepath.Join(k.home, service+".token")
	k.run("", "service", "create", service, "-o", token)
	return []string{"--server", k.url, "--ca", filepath.Join(k.dir, "tls", "ca.pem"), "--token-file", token}
}
