package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyward/client"
	"keyward/internal/secret"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func std() streams { return streams{os.Stdin, os.Stdout, os.Stderr} }

// app is one run of the program: its flags, and what it opened on the way.
type app struct {
	streams
	args      []string // as they were typed
	dir       string
	server    string
	tokenFile string
	caFile    string
	phrase    string // file with the passphrase, for --offline
	offline   bool
	json      bool
	quiet     bool
	dryRun    bool

	client *client.Client
	house  *house
	shut   []func()
}

const longHelp = `keyward keeps keys for digital assets: every use of a key is judged by a policy,
written to a log that cannot be quietly changed, and only then done.

Begin with:  keyward tour                  a guided round in a throw-away folder
             keyward init                  make an installation
             keyward server                serve it`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "keyward", Short: "self-hosted key management for digital assets", Long: longHelp, Version: version,
		SilenceUsage: true, SilenceErrors: true, DisableAutoGenTag: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := secret.Harden(); err != nil {
				fmt.Fprintf(a.err, "keyward: warning: this process may leave a core dump: %v\n", err)
			}
			if a.dir == "" {
				a.dir = defaultDir()
			}
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return usage(cmd, err)
			}
			return nil
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&a.dir, "dir", "", "data `directory` (default $KEYWARD_DIR, else ~/.keyward)")
	f.StringVar(&a.server, "server", os.Getenv("KEYWARD_SERVER"), "`URL` of a server, instead of the socket in the data directory")
	f.StringVar(&a.tokenFile, "token-file", os.Getenv("KEYWARD_TOKEN_FILE"), "act as the service whose token is in this `file`")
	f.StringVar(&a.caFile, "ca", "", "`file` with the certificate to trust for --server (default: tls/ca.pem in the data directory)")
	f.BoolVar(&a.offline, "offline", false, "open the data directory in this process; no server may be running")
	f.StringVar(&a.phrase, "passphrase-file", "", "with --offline: `file` with the passphrase, instead of asking for it")
	f.BoolVar(&a.json, "json", false, "print one JSON object")
	f.BoolVar(&a.quiet, "quiet", false, "print results alone")
	root.SetVersionTemplate("keyward {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if said, _, found := strings.Cut(err.Error(), ": strconv."); found {
			err = errors.New(said + ": want a whole number")
		}
		return usage(cmd, err)
	})
	root.AddGroup(
		&cobra.Group{ID: "start", Title: "Start:"}, &cobra.Group{ID: "keys", Title: "Keys:"}, &cobra.Group{ID: "use", Title: "Use:"},
		&cobra.Group{ID: "govern", Title: "Govern:"}, &cobra.Group{ID: "log", Title: "Log:"},
	)
	root.AddCommand(a.commands()...)
	root.SetHelpCommandGroupID("start")
	root.CompletionOptions.HiddenDefaultCmd = true
	strict(root)
	return root
}

// strict makes every mistake on the command line one of usage, told as the
// others are: cobra knows no exit codes, and shows help for an unknown verb.
func strict(cmd *cobra.Command) {
	if !cmd.Runnable() {
		cmd.DisableFlagsInUseLine = true
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown(cmd, args[0])
		}
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			if cmd.HasAvailableSubCommands() {
				return unknown(cmd, args[0])
			}
			return usage(cmd, fmt.Errorf("got %s, want: %s %s", plural(len(args), "argument"), cmd.Parent().CommandPath(), cmd.Use))
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

func unknown(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	f := &failure{code: exitUsage, kind: "usage", message: fmt.Sprintf("%s has no command %q", cmd.CommandPath(), name), hint: "see: " + cmd.CommandPath() + " --help"}
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		f.hint = "did you mean: " + cmd.CommandPath() + " " + near[0]
	}
	return f
}

func defaultDir() string {
	if dir := os.Getenv("KEYWARD_DIR"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".keyward"
	}
	return filepath.Join(home, ".keyward")
}

// later runs f when the command is over.
func (a *app) later(f func()) { a.shut = append(a.shut, f) }

func (a *app) close() {
	for i := len(a.shut) - 1; i >= 0; i-- {
		a.shut[i]()
	}
}

// say tells people something, unless they asked for quiet.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}
