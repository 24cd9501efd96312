package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files anew")

func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, f)
	}
}

// The whole command line is one page, so that a change of it is seen.
func TestCommandTreeIsTheGoldenOne(t *testing.T) {
	var b strings.Builder
	walk((&app{}).root(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if parent := cmd.Parent(); parent != nil {
			path = parent.CommandPath() + " " + cmd.Use
		}
		fmt.Fprintf(&b, "%s: %s\n", path, cmd.Short)
		if cmd.Parent() == nil {
			b.WriteString(cmd.PersistentFlags().FlagUsages())
		} else {
			b.WriteString(cmd.LocalNonPersistentFlags().FlagUsages())
		}
	})
	const golden = "testdata/commands.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the command line is not that of %s; if it shall be: go test ./cmd/keyward -run Golden -update\n%s", golden, b.String())
	}
}

// flagUsage is a line of FlagUsages: shorthand, name, value, text.
var flagUsage = regexp.MustCompile(`^ +(?:-(\w), )?--([a-z-]+)(?: (\S+))?  +(\S.*)$`)

func TestEveryCommandKeepsTheConventions(t *testing.T) {
	root := (&app{}).root()
	for _, name := range []string{"dir", "server", "offline", "json", "quiet"} {
		if root.PersistentFlags().Lookup(name) == nil {
			t.Errorf("there is no --%s everywhere", name)
		}
	}
	// What has an output may have it in a file, by the same letter everywhere;
	// what takes a key names it; what changes something can be rehearsed.
	short := map[string]string{"out": "o", "lines": "n", "help": "h"}
	rehearsed := []string{
		"init", "clock accept", "seal", "seal rotate", "seal slot add", "seal slot remove", "key create", "key destroy", "key disable", "key enable", "key keep",
		"key rotate", "policy apply", "request withdraw", "seed create", "seed import", "service create", "service revoke", "sign",
	}
	walk(root, func(cmd *cobra.Command) {
		path := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "keyward"), " ")
		if cmd.Name() == "help" || strings.HasPrefix(path, "completion") {
			return
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Short[0] >= 'A' && cmd.Short[0] <= 'Z' {
			t.Errorf("%s: %q is no short text: no capital, no full stop", path, cmd.Short)
		}
		if cmd.Parent() == root && cmd.GroupID == "" {
			t.Errorf("%s is in no group of the help", path)
		}
		if cmd.Hidden || cmd.Deprecated != "" || cmd.FParseErrWhitelist.UnknownFlags || cmd.DisableFlagParsing {
			t.Errorf("%s: hidden, or lax about flags", path)
		}
		for _, name := range []string{"json", "dir"} {
			if cmd.LocalNonPersistentFlags().Lookup(name) != nil {
				t.Errorf("%s has a --%s of its own", path, name)
			}
		}
		if got, want := cmd.Flags().Lookup("dry-run") != nil, slices.Contains(rehearsed, path); got != want {
			t.Errorf("%s: has --dry-run: got %v, want %v", path, got, want)
		}
		for _, line := range strings.Split(strings.TrimSuffix(cmd.LocalNonPersistentFlags().FlagUsages(), "\n"), "\n") {
			m := flagUsage.FindStringSubmatch(line)
			switch {
			case line == "":
			case m == nil || m[1] != short[m[2]]:
				t.Errorf("%s: %q: want --name value  text, and the usual letter", path, line)
			case slices.Contains([]string{"string", "int", "uint32", "duration", "strings"}, m[3]):
				t.Errorf("%s: --%s does not say what its value is, in backquotes", path, m[2])
			}
		}
	})
}
