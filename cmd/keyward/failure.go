package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
	"keyward/internal/kms"
	"keyward/internal/store/sqlite"
)

// Exit codes (see docs/operations.md).
const (
	exitDone            = 0
	exitFailed          = 1
	exitUsage           = 2
	exitDeclined        = 3
	exitUnauthenticated = 4
	exitDenied          = 5
	exitWaiting         = 6
	exitUnverified      = 7
	exitUnreachable     = 8
)

// failure is an error with the exit code that belongs to it.
type failure struct {
	code    int
	kind    string
	message string
	hint    string
	quiet   bool // everything was said already
}

func (f *failure) Error() string { return f.message }

func usage(cmd *cobra.Command, err error) error {
	return &failure{code: exitUsage, kind: "usage", message: err.Error(), hint: "see: " + cmd.CommandPath() + " --help"}
}

// codes is the one table from a kind of failure to an exit code.
var codes = map[string]int{
	"unauthenticated": exitUnauthenticated, "denied": exitDenied, "waiting": exitWaiting, "unverified": exitUnverified,
	"sealed": exitUnreachable, "unreachable": exitUnreachable, "usage": exitUsage,
	"invalid": exitUsage, // whoever found it, this program or the server
}

// report prints an error as people or programs read it, and returns the exit
// code.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	f := a.failed(err)
	if f.quiet {
		return f.code
	}
	if a.json || slices.Contains(a.args, "--json") { // also when the flags could not be read
		var out struct {
			V     int `json:"v"`
			Error struct {
				Kind    string `json:"kind"`
				Message string `json:"message"`
				Hint    string `json:"hint,omitempty"`
			} `json:"error"`
		}
		out.V, out.Error.Kind, out.Error.Message, out.Error.Hint = 1, f.kind, f.message, f.hint
		if b, err := json.Marshal(out); err == nil {
			fmt.Fprintf(a.err, "%s\n", b)
			return f.code
		}
	}
	fmt.Fprintf(a.err, "keyward: error: %s\n", f.message)
	if f.hint != "" {
		fmt.Fprintf(a.err, "keyward: hint: %s\n", f.hint)
	}
	return f.code
}

func (a *app) failed(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var remote *client.Error
	if errors.As(err, &remote) {
		if remote.Kind == client.Unreachable {
			return a.unreachable(remote)
		}
		if remote.Kind == api.Unauthenticated && a.tokenFile == "" {
			remote.Hint = "give the file with the service's token: --token-file FILE"
		}
		return byKind(string(remote.Kind), remote.Message, remote.Hint)
	}
	var local *kms.Error
	if errors.As(err, &local) {
		return byKind(string(local.Kind), local.Message, local.Hint)
	}
	f = &failure{code: exitFailed, kind: string(api.Failed), message: strings.TrimPrefix(err.Error(), "client: ")}
	for _, known := range waysOut {
		if errors.Is(err, known.err) {
			f.hint = known.hint
			break
		}
	}
	return f
}

// waysOut are next steps after what the system itself refused.
var waysOut = []struct {
	err  error
	hint string
}{
	{sqlite.ErrInUse, "ask that server (leave --offline out), or stop it first"},
	{syscall.EADDRINUSE, "something listens there already: stop it, or choose another address (--listen HOST:PORT, listen in config.toml; port 0 takes a free one)"},
	{fs.ErrNotExist, "check the name: it is looked for from where you are"},
	{fs.ErrPermission, "see whose it is: ls -ld, for it and the directories above"},
}

// unreachable says why nobody answers, as far as that can be told from here.
func (a *app) unreachable(e *client.Error) *failure {
	var untrusted *tls.CertificateVerificationError
	f := byKind(string(e.Kind), e.Message, e.Hint)
	switch {
	case a.server != "" && errors.As(e, &untrusted):
		f.hint = "give the CA of that server, its tls/ca.pem, with --ca FILE; if that is the right one, something else answers there"
	case a.server != "":
		f.hint = "check the address, and that the server runs there"
	case !exists(filepath.Join(a.dir, "keyward.db")):
		f = noInstallation(a.absDir())
	case !exists(filepath.Join(a.dir, client.SocketName)):
		f.message, f.hint = "no server runs for "+a.absDir(), "keyward server --dir "+a.absDir()
	}
	return f
}

func noInstallation(dir string) *failure {
	return &failure{
		code: exitUnreachable, kind: "unreachable", message: "there is no installation in " + dir,
		hint: "keyward init --dir " + dir + ", or name another with --dir or $KEYWARD_DIR",
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func byKind(kind, message, hint string) *failure {
	code, ok := codes[kind]
	if !ok {
		code = exitFailed
	}
	return &failure{code: code, kind: kind, message: message, hint: hint}
}
