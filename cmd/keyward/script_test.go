package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyward/client"
	"keyward/internal/store/sqlite"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keyward": main})
}

// TestCommandLine types what users type, against real processes. Each file of
// testdata tells one story; its name is the promise.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			for name, path := range map[string]string{"README": "../../README.md", "OPERATIONS": "../../docs/operations.md"} {
				page, err := filepath.Abs(path)
				if err != nil {
					return err
				}
				env.Setenv(name, page)
			}
			files, err := filepath.Glob(filepath.Join(env.WorkDir, "*"))
			for _, file := range files { // some are passphrases, which others must not read
				if info, lost := os.Stat(file); lost == nil && info.Mode().IsRegular() {
					err = errors.Join(err, os.Chmod(file, 0o600))
				}
			}
			return errors.Join(err, os.Mkdir(home, 0o700))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "field": field, "match": match, "fields": fields, "let": let, "sql": runSQL, "until": until, "readme": readme,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// exits CODE COMMAND ARGS…: the command ends with exactly this code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code: got %d, want %d", got, want)
	}
}

// ready DIR: waits until the server answers on its socket, and puts its address
// into $URL.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	c, err := client.New(client.Options{Dir: ts.MkAbs(args[0])})
	ts.Check(err)
	defer c.Close()
	for end := time.Now().Add(30 * time.Second); ; {
		s, err := c.Status(context.Background())
		if err == nil && (s.Ready || s.Sealed) {
			for _, l := range s.Listen {
				if strings.HasPrefix(l, "https:") {
					ts.Setenv("URL", l)
				}
			}
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("the server in %s does not become ready: %v", args[0], err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// value is what stands at a dotted path of the JSON on stdout, or with -err on
// stderr. Numbers in the path are places in a list; len is its length.
func value(ts *testscript.TestScript, args []string) (any, []string) {
	text := "stdout"
	if args[0] == "-err" {
		text, args = "stderr", args[1:]
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(text)), &v); err != nil {
		ts.Fatalf("%s is not one JSON value: %v", text, err)
	}
	if args[0] == "." {
		return v, args[1:]
	}
	for _, name := range strings.Split(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			if name == "len" {
				v = len(at)
				continue
			}
			if i, err := strconv.Atoi(name); err == nil && i < len(at) {
				v = at[i]
				continue
			}
			ts.Fatalf("%s: no place %s", args[0], name)
		default:
			ts.Fatalf("%s: nothing has a field %s", args[0], name)
		}
	}
	return v, args[1:]
}

func text(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// field PATH VALUE: the value is this one.
func field(ts *testscript.TestScript, neg bool, args []string) {
	v, rest := value(ts, args)
	if got := text(v); (got == rest[0]) == neg {
		ts.Fatalf("%s: got %s, want %s", args[0], got, rest[0])
	}
}

// match PATH REGEXP: the whole value fits; with -text for PATH, all of stdout.
func match(ts *testscript.TestScript, neg bool, args []string) {
	var v any = ts.ReadFile("stdout")
	rest := args[1:]
	if args[0] != "-text" {
		v, rest = value(ts, args)
	}
	if got := text(v); regexp.MustCompile(`^(?:`+rest[0]+`)$`).MatchString(got) == neg {
		ts.Fatalf("%s: got %s, want %s", args[0], got, rest[0])
	}
}

// fields PATH NAME…: the object has exactly these fields.
func fields(ts *testscript.TestScript, _ bool, args []string) {
	v, want := value(ts, args)
	var got []string
	for name := range v.(map[string]any) {
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		ts.Fatalf("fields: got %v, want %v", got, want)
	}
}

// let NAME PATH: sets a variable.
func let(ts *testscript.TestScript, _ bool, args []string) {
	v, _ := value(ts, args[1:])
	ts.Setenv(args[0], text(v))
}

// until REGEXP COMMAND ARGS…: repeats the command until its output fits. What is
// denied or counted is written with the next commit, and nobody waits for that.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nothing fits %s", args[0])
		}
	}
}

// sql DATABASE STATEMENT: as somebody does who has the disk.
func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sqlite.OpenDerived(ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	result, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("changed nothing (%v)", err)
	}
}

// readme WORD FILE [PAGE]: writes the block of the README, or of another page,
// that holds the word into a file.
func readme(ts *testscript.TestScript, _ bool, args []string) {
	page := "README"
	if len(args) == 3 {
		page = args[2]
	}
	b, err := os.ReadFile(ts.Getenv(page))
	ts.Check(err)
	for i, block := range strings.Split(string(b), "\n```\n") {
		if i%2 == 1 && strings.Contains(block, args[0]) {
			ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(block+"\n"), 0o600))
			return
		}
	}
	ts.Fatalf("no block of the %s holds %q", page, args[0])
}

// A tour is what a new user does first.
func TestTourEndsWell(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the tour takes seconds")
	}
	t.Parallel()
	var out, said strings.Builder
	code := run(context.Background(), []string{"tour"}, streams{in: strings.NewReader(""), out: &out, err: &said})
	if code != exitDone {
		t.Fatalf("got exit code %d\n%s%s", code, out.String(), said.String())
	}
	for _, want := range []string{"$ keyward init", "0x02f8", "denied by policy", "behind the piano", "the log is whole", "the log was changed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tour does not show %q", want)
		}
	}
}
