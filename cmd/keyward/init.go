package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/passphrase"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

func (a *app) initCommand() *cobra.Command {
	var sealKind, passphraseFile, keyFile, listen string
	cmd := &cobra.Command{
		Use: "init", Short: "make a new installation in the data directory", GroupID: "start", Args: cobra.NoArgs,
		Long: `Make a new installation: its keys, its log, and the policy "solo", under which the
local operator may do whatever is understood and nothing blind.

The root key is sealed by a key file (the default: it unseals by itself, and is the
weakest: whoever can read the file and the database has every key) or by a passphrase
(asked for at each start).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{keyfile.Kind, passphrase.Kind}, sealKind) {
				return usage(cmd, fmt.Errorf("unknown seal %q: want keyfile or passphrase", sealKind))
			}
			if sealKind != keyfile.Kind && keyFile != "" || sealKind != passphrase.Kind && passphraseFile != "" {
				return usage(cmd, fmt.Errorf("--key-file goes with --seal keyfile, --passphrase-file with --seal passphrase"))
			}
			if _, _, err := net.SplitHostPort(listen); err != nil && listen != "none" {
				return usage(cmd, fmt.Errorf("--listen %q: want HOST:PORT or none", listen))
			}
			if dry, err := a.dry("make an installation in %s, sealed by a %s", a.absDir(), sealKind); dry || err != nil {
				return err
			}
			in, err := a.initialize(cmd.Context(), sealKind, passphraseFile, keyFile, listen)
			if err != nil {
				return err
			}
			return a.print(in, in.text)
		},
	}
	f := cmd.Flags()
	f.StringVar(&sealKind, "seal", keyfile.Kind, "`kind`: what seals the root key: keyfile or passphrase")
	f.StringVar(&passphraseFile, "passphrase-file", "", "`file` with the passphrase, instead of asking for it")
	f.StringVar(&keyFile, "key-file", "", "`file`: where to make the key file (default ~/.config/keyward/ID.key)")
	f.StringVar(&listen, "listen", defaultListen, "`HOST:PORT` that the server will listen on")
	f.BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

// installed is what init made.
type installed struct {
	V            int    `json:"v"`
	Installation string `json:"installation"`
	Dir          string `json:"dir"`
	Seal         string `json:"seal"`
	KeyFile      string `json:"keyFile,omitempty"`
}

func (i installed) text(p *printer) {
	p.line("made installation %s in %s", i.Installation[:16], i.Dir)
	if i.KeyFile != "" {
		p.line("key file: %s", i.KeyFile)
		p.line("the key file unseals keyward by itself: keep it off this disk's backups. A passphrase is stronger: keyward seal slot add --help")
	}
	p.line("next: keyward server --dir %s", i.Dir)
}

func (a *app) initialize(ctx context.Context, sealKind, passphraseFile, keyFile, listen string) (installed, error) {
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return installed{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, "keyward.db")); err == nil {
		return installed{}, &failure{
			code: exitFailed, kind: "conflict", message: fmt.Sprintf("there is an installation in %s already", dir), hint: "keyward server --dir " + dir,
		}
	}
	made := installed{V: 1, Dir: dir, Seal: sealKind}
	var newSlot func([32]byte) (seal.NewSlot, error)
	switch sealKind {
	case keyfile.Kind:
		newSlot = func(id [32]byte) (seal.NewSlot, error) {
			if keyFile == "" {
				if keyFile, err = defaultKeyFile(id); err != nil {
					return seal.NewSlot{}, err
				}
			}
			if keyFile, err = filepath.Abs(keyFile); err != nil {
				return seal.NewSlot{}, err
			}
			cred, err := keyfile.Create(rand.Reader, keyFile, dir)
			if err == nil { // from here on the file is ours, and goes again if the rest fails
				made.KeyFile = keyFile
			}
			a.later(cred.Destroy)
			return seal.NewSlot{Method: keyfile.Method{}, Credential: cred, Name: "key-file", Created: time.Now().UnixMilli()}, err
		}
	case passphrase.Kind:
		phrase, err := a.newPassphrase(passphraseFile)
		if err != nil {
			return installed{}, err
		}
		defer phrase.Destroy()
		newSlot = func([32]byte) (seal.NewSlot, error) {
			return seal.NewSlot{
				Method: passphrase.Method{Cost: passphrase.DefaultCost()}, Credential: passphrase.Credential(phrase), Name: "passphrase",
				Created: time.Now().UnixMilli(),
			}, nil
		}
	}
	made.Installation, err = birth(ctx, dir, listen, &made.KeyFile, newSlot)
	if err != nil && made.KeyFile != "" {
		err = errors.Join(err, os.Remove(made.KeyFile)) // nothing half-done stays
	}
	if errors.Is(err, os.ErrExist) {
		err = &failure{code: exitFailed, kind: "conflict", message: err.Error(), hint: "a key file is never overwritten: choose another name"}
	}
	return made, err
}

// birth makes the data directory and the installation in it. When it fails, the
// directory is as it was.
func birth(ctx context.Context, dir, listen string, keyFile *string, slot func([32]byte) (seal.NewSlot, error)) (id string, err error) {
	created, err := makeDir(dir)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			for _, name := range created {
				_ = os.RemoveAll(name) // the first error is the one to tell
			}
		}
	}()
	reader, pen, err := openStore(ctx, dir)
	if err != nil {
		return "", err
	}
	id, err = kms.Init(ctx, kms.Birth{Pen: pen, Node: "node", Clock: time.Now, Rand: rand.Reader, Slot: slot})
	if err == nil {
		err = writeAuthority(ctx, dir, reader)
	}
	if err == nil {
		err = config{Listen: listen, Node: "node", KeyFile: *keyFile, LogLevel: "info"}.write(dir)
	}
	return id, errors.Join(err, pen.Close())
}

func writeAuthority(ctx context.Context, dir string, r *store.Reader) error {
	pem, err := kms.New(kms.Options{Reader: r, Clock: time.Now}).AuthorityPEM(ctx)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, caName), pem)
}

// makeDir makes the data directory and returns what must go again if the rest
// fails.
func makeDir(dir string) ([]string, error) {
	var created []string
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		created = append(created, dir)
	}
	if err := makeDirs(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return created, err
	}
	if len(entries) > 0 {
		return nil, &failure{
			code: exitFailed, kind: "conflict", message: dir + " is not empty", hint: "give a directory that is empty or not there yet, with --dir",
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "tls"), 0o700); err != nil {
		return created, err
	}
	if len(created) == 0 {
		for _, name := range []string{"tls", "keyward.db", "keyward.db-wal", "keyward.db-shm", "keyward.lock", sqlite.ReserveFile, configName} {
			created = append(created, filepath.Join(dir, name))
		}
	}
	return created, nil
}

// defaultKeyFile lies outside every data directory.
func defaultKeyFile(id [32]byte) (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place for the key file: %w: give one with --key-file", err)
	}
	return filepath.Join(base, "keyward", hex.EncodeToString(id[:8])+".key"), nil
}
