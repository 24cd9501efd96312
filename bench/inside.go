package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/ethereum"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/secret"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// inside is an installation in this very process: the corridor without a server,
// on the same disk.
type inside struct {
	kms     *kms.KMS
	actor   identity.Actor // the service
	pen     journal.Pen
	derived *sql.DB
	stop    context.CancelFunc
}

// house makes an installation and opens it, wired as cmd/keyward does it.
func (s settings) house(ctx context.Context) (_ *inside, err error) {
	dir := filepath.Join(s.dir, "inside")
	cred, err := keyfile.Create(rand.Reader, filepath.Join(s.dir, "inside.key"), dir)
	if err != nil {
		return nil, err
	}
	defer cred.Destroy()
	if err := birth(ctx, dir, cred); err != nil {
		return nil, err
	}
	reader, pen, err := openStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	h := &inside{pen: pen}
	ctx, h.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.derived, err = sqlite.OpenDerived(filepath.Join(dir, "derived.db")); err != nil {
		return nil, err
	}
	h.kms = kms.New(kms.Options{
		Reader: reader, Pen: pen, Derived: h.derived, Methods: []seal.Method{keyfile.Method{}}, Decoders: []chain.Decoder{ethereum.Decoder{}, bitcoin.Decoder{}},
		Node: "bench", Clock: time.Now, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err := h.kms.Unseal(ctx, identity.Operator("bench"), cred); err != nil {
		return nil, err
	}
	go h.kms.Run(ctx)
	return h, h.furnish(ctx)
}

func openStore(ctx context.Context, dir string) (*store.Reader, journal.Pen, error) {
	engine, err := sqlite.Open(ctx, dir)
	if err != nil {
		return nil, journal.Pen{}, err
	}
	reader, writer, err := store.Open(ctx, engine)
	if err != nil {
		return nil, journal.Pen{}, errors.Join(err, engine.Close())
	}
	return reader, journal.Hold(writer), nil
}

// birth makes an installation, and leaves it closed.
func birth(ctx context.Context, dir string, cred seal.Credential) error {
	_, pen, err := openStore(ctx, dir)
	if err != nil {
		return err
	}
	slot := seal.NewSlot{Method: keyfile.Method{}, Credential: cred, Name: "key-file", Created: time.Now().UnixMilli()}
	_, err = kms.Init(ctx, kms.Birth{
		Pen: pen, Node: "bench", Clock: time.Now, Rand: rand.Reader, Slot: func([32]byte) (seal.NewSlot, error) { return slot, nil },
	})
	return errors.Join(err, pen.Close())
}

func (h *inside) furnish(ctx context.Context) error {
	operator := identity.Operator("bench")
	_, token, _, err := h.kms.CreateService(ctx, operator, kms.NewService{Name: service})
	defer token.Destroy()
	if err != nil {
		return err
	}
	if h.actor, err = h.kms.Authenticate(ctx, token.View(), netip.AddrFrom4([4]byte{127, 0, 0, 1})); err != nil {
		return err
	}
	if _, _, err := h.kms.ApplyPolicy(ctx, operator, policyText, kms.Ask{}); err != nil {
		return err
	}
	words := secret.Take([]byte(knownWords))
	defer words.Destroy()
	if _, _, _, err := h.kms.CreateSeed(ctx, operator, kms.NewSeed{Name: savings, Import: words}); err != nil {
		return err
	}
	for _, k := range keys() {
		_, _, err := h.kms.CreateKey(ctx, operator, kms.NewKey{Name: k.Name, Spec: key.Spec(k.Spec), Domain: key.Domain(k.Domain)})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *inside) envelope(ctx context.Context) ([]byte, error) {
	made, err := h.kms.Encrypt(ctx, h.actor, kms.CryptRequest{Key: files, Input: make([]byte, 32)})
	return made.Output, err
}

// run measures a job in this process. The processor time is the whole process's:
// there is nothing in it but the callers and what they call.
func (h *inside) run(ctx context.Context, j job, l load) (point, error) {
	return measure(l, ownCPU, func(int) func(uint64) error {
		return func(n uint64) error { return j.direct(ctx, h.kms, h.actor, n) }
	})
}

func ownCPU() (time.Duration, error) {
	var r unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), err
}

func (h *inside) close() {
	h.stop()
	if h.kms != nil {
		h.kms.Close()
	}
	if h.derived != nil {
		_ = h.derived.Close() // the folder goes with it
	}
	_ = h.pen.Close()
}
