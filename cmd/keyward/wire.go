package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"path/filepath"
	"time"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/ethereum"
	"keyward/internal/journal"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/passphrase"
	"keyward/internal/server"
	"keyward/internal/server/native"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// house is everything that one process of keyward is made of. This file is the
// only place that knows which implementation stands in which socket, and the
// only one that holds the store's Writer before it becomes the journal's Pen.
type house struct {
	dir     string
	config  config
	log     *slog.Logger
	reader  *store.Reader
	pen     journal.Pen
	derived *sql.DB
	kms     *kms.KMS
	server  *server.Server
	certs   *certificates

	wrongKeyFile bool // the one of the configuration opened no slot
}

// methods are the ways to seal.
func methods() []seal.Method {
	return []seal.Method{keyfile.Method{}, passphrase.Method{Cost: passphrase.DefaultCost()}}
}

// decoders are the chains whose payloads are understood.
func decoders() []chain.Decoder { return []chain.Decoder{ethereum.Decoder{}, bitcoin.Decoder{}} }

// openStore opens the database of a data directory, locked.
func openStore(ctx context.Context, dir string) (*store.Reader, journal.Pen, error) {
	engine, err := sqlite.Open(ctx, dir)
	if err != nil {
		return nil, journal.Pen{}, err
	}
	reader, writer, err := store.Open(ctx, engine)
	if err != nil {
		_ = engine.Close() // the first error is the one to tell
	}
	return reader, journal.Hold(writer), err
}

// openHouse opens the installation in dir, sealed, and takes its lock.
func openHouse(ctx context.Context, dir string, c config, log *slog.Logger) (*house, error) {
	if !exists(filepath.Join(dir, "keyward.db")) {
		return nil, noInstallation(dir)
	}
	reader, pen, err := openStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	h := &house{dir: dir, config: c, log: log, reader: reader, pen: pen}
	if h.derived, err = openDerived(ctx, dir, log); err != nil {
		_ = pen.Close() // the first error is the one to tell
		return nil, err
	}
	h.kms = kms.New(kms.Options{
		Reader: reader, Pen: pen, Derived: h.derived, Methods: methods(), Decoders: decoders(), Node: c.Node, Clock: time.Now,
		Rand: rand.Reader, Log: log, Cache: c.CacheKeys,
	})
	h.certs = newCertificates(h)
	node := native.Node{Version: version, Listen: func() []string { return h.server.Addresses() }}
	h.server, err = server.New(server.Options{
		KMS: h.kms, Routes: native.Mount(native.Routes(h.kms, node)), Log: log, Certificate: h.certs.certificate,
	})
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// close seals and closes everything.
func (h *house) close() {
	if h.server != nil {
		h.server.Close()
	}
	if h.kms != nil {
		h.kms.Close()
	}
	for _, c := range []interface{ Close() error }{h.derived, h.pen} {
		if err := c.Close(); err != nil {
			h.log.Error("close", "error", err)
		}
	}
}
