package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"keyward/internal/identity"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
)

func (a *app) serverCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "server", Short: "serve the installation in the data directory", GroupID: "start", Args: cobra.NoArgs,
		Long: `Serve the installation in the data directory: on its unix socket for the local
operator, and over TLS 1.3 for programs. It stops on SIGTERM once what is in flight is
done. Sealed by a passphrase, it starts sealed and waits for: keyward unseal`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`HOST:PORT` of the TLS listener; port 0 takes a free one; none for the socket alone (default from config.toml)")
	return cmd
}

func (c config) level() (l slog.Level, err error) {
	if err := l.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return l, fmt.Errorf("log_level: %q: want debug, info, warn or error", c.LogLevel)
	}
	return l, nil
}

// build opens the house of the data directory and unseals it when its key file
// is at hand.
func (a *app) build(ctx context.Context, source, listen string) (*house, error) {
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return nil, err
	}
	if !exists(filepath.Join(dir, "keyward.db")) {
		return nil, noInstallation(dir)
	}
	if err := guard(dir); err != nil {
		return nil, err
	}
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	if listen != "" {
		c.Listen = listen
	}
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
	h, err := openHouse(ctx, dir, c, log)
	if err != nil {
		return nil, err
	}
	a.later(h.close)
	return h, h.unsealByFile(ctx, identity.Operator(source))
}

// unsealByFile unseals with the key file that the configuration names. Without
// one, or with one that opens no slot any more, the house stays sealed, which is
// no error: sealed it does nothing but wait for whoever can open another slot.
func (h *house) unsealByFile(ctx context.Context, who identity.Actor) error {
	if h.config.KeyFile == "" {
		return nil
	}
	cred, err := keyfile.Read(h.config.KeyFile, h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		h.log.Warn("the key file is not there: starting sealed", "file", h.config.KeyFile)
		return nil
	}
	if err != nil {
		return err
	}
	defer cred.Destroy()
	err = h.kms.Unseal(ctx, who, cred)
	if errors.Is(err, seal.ErrNoSlot) || errors.Is(err, seal.ErrWrongCredential) {
		h.wrongKeyFile = true
		h.log.Warn("the key file opens no slot: starting sealed", "file", h.config.KeyFile, "why", err, "hint", h.config.anotherKeyFile())
		return nil
	}
	return err
}

func (a *app) serve(ctx context.Context, listen string) error {
	h, err := a.build(ctx, "unix", listen)
	if err != nil {
		return err
	}
	if err := h.server.ListenSocket(filepath.Join(h.dir, "keyward.sock")); err != nil {
		return err
	}
	if h.config.Listen != "none" {
		if _, _, err := net.SplitHostPort(h.config.Listen); err != nil {
			return &failure{code: exitUsage, kind: "usage", message: fmt.Sprintf("listen %q: want HOST:PORT or none", h.config.Listen)}
		}
		address, err := h.server.ListenTLS(h.config.Listen)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.err, "listening %s\n", address)
	}
	a.greet(h)
	// What lives long is small (a few thousand keys); what a request leaves is
	// gone when it is answered. So the collector may come a third as often. Seal
	// has it run at once.
	debug.SetGCPercent(300)
	go h.kms.Run(ctx)
	if err := h.server.Serve(ctx); err != nil {
		return err
	}
	a.say("stopped")
	return nil
}

// greet prints what a new user does next.
func (a *app) greet(h *house) {
	dir := h.dir
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, dir); err == nil && len(rel) < len(dir) {
			dir = rel
		}
	}
	var not *kms.Error
	switch errors.As(h.kms.Ready(), &not); {
	case not == nil:
	case not.Kind == kms.Sealed:
		a.say("sealed; in another terminal: %s --dir %s unseal", os.Args[0], dir)
		return
	default:
		a.say("NOT ready: %s", not.Message)
		a.say("hint: %s", not.Hint)
		return
	}
	a.say("ready; in another terminal:")
	a.say("  %s --dir %s status", os.Args[0], dir)
	a.say("  %s --dir %s key create payments --spec ECC_SECG_P256K1 --domain ethereum", os.Args[0], dir)
	a.say("  %s tour", os.Args[0])
}
