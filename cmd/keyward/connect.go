package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"keyward/api"
	"keyward/client"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/passphrase"
)

// connect returns the client that the flags ask for: over the socket of the data
// directory, over TLS, or, with --offline, to a house in this very process.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	o := client.Options{Dir: a.dir, Server: a.server, TokenFile: a.tokenFile, CAFile: a.caFile, Agent: "keyward/" + version}
	if a.offline {
		h, err := a.offlineHouse(ctx)
		if err != nil {
			return nil, err
		}
		o.Handler = h.server.InProcess()
	}
	if a.tokenFile != "" && !exists(a.tokenFile) {
		return nil, &failure{
			code: exitUnauthenticated, kind: string(api.Unauthenticated), message: fmt.Sprintf("there is no token file %s", a.tokenFile),
			hint: "give the file that keyward service create -o made",
		}
	}
	if a.tokenFile != "" {
		if err := guardFile(a.tokenFile, toUse); err != nil {
			return nil, err
		}
	}
	c, err := client.New(o)
	if err != nil {
		return nil, &failure{
			code: exitUsage, kind: "usage", message: strings.TrimPrefix(err.Error(), "client: "),
			hint: "a server over TLS is --server https://HOST:PORT, its certificate tls/ca.pem of its data directory: --ca FILE",
		}
	}
	a.later(c.Close)
	a.client = c
	return c, nil
}

// offlineHouse builds the house in this process and unseals it, asking for the
// passphrase when there is no key file.
func (a *app) offlineHouse(ctx context.Context) (*house, error) {
	h, err := a.build(ctx, "offline", "none")
	if err != nil {
		return nil, err
	}
	a.house = h
	if err := h.kms.Ready(); err == nil || kms.KindOf(err) != kms.Sealed {
		return h, err
	}
	if h.wrongKeyFile && a.phrase == "" && !byPassphrase(h.kms.Status(ctx).Seal) {
		return nil, &failure{code: exitUnverified, kind: string(api.Unverified), message: "the key file opens no slot", hint: h.config.anotherKeyFile()}
	}
	phrase, err := a.passphraseFrom(a.phrase, "passphrase: ")
	if err != nil {
		return nil, err
	}
	defer phrase.Destroy()
	return h, h.unseal(ctx, passphrase.Credential(phrase))
}

func byPassphrase(all []kms.SlotView) bool {
	return slices.ContainsFunc(all, func(s kms.SlotView) bool { return s.Kind == passphrase.Kind })
}

func (h *house) unseal(ctx context.Context, cred seal.Credential) error {
	return h.kms.Unseal(ctx, operator("offline"), cred)
}

// typed is a command that asks the same server as the same caller as this one did.
func (a *app) typed(command string) string {
	with := "keyward"
	for _, f := range []struct{ name, value string }{{"--server", a.server}, {"--ca", a.caFile}, {"--token-file", a.tokenFile}} {
		if f.value != "" {
			with += " " + f.name + " " + f.value
		}
	}
	return strings.ReplaceAll(command, "keyward request", with+" request")
}

// absDir is the data directory as it is told to people.
func (a *app) absDir() string {
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return a.dir
	}
	return dir
}

// ask does one call and prints what came back: with --json as it is, else by text.
func ask[T any](a *app, ctx context.Context, call func(*client.Client) (T, error), text func(*printer, T)) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	out, err := call(c)
	if err != nil {
		return err
	}
	return a.print(out, func(p *printer) { text(p, out) })
}

// dry tells what a command would do, for those whose only rehearsal is that.
func (a *app) dry(format string, args ...any) (bool, error) {
	if !a.dryRun {
		return false, nil
	}
	would := fmt.Sprintf(format, args...)
	return true, a.print(struct {
		V      int    `json:"v"`
		DryRun bool   `json:"dryRun"`
		Would  string `json:"would"`
	}{1, true, would}, func(*printer) { a.say("would %s (nothing was changed)", printable(would)) })
}

const dryHelp = "only say what would be done"

func plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
