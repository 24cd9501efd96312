package kms

import (
	"context"
	"encoding/hex"
	"io"
	"time"

	"keyward/internal/audit"
	"keyward/internal/charter"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/policy"
	"keyward/internal/seal"
	"keyward/internal/store"
)

// Birth is what a new installation is made of.
type Birth struct {
	Pen   journal.Pen
	Node  string
	Clock func() time.Time
	Rand  io.Reader
	// Slot makes the first way to unseal, once the installation's id is known.
	Slot func(installation [32]byte) (seal.NewSlot, error)
}

// Init makes an installation: its charter with the solo policy, its root key in
// a first slot, its system keys, and the first record of its log, all in one
// commit. store.ErrInitialized when there is one already. It returns the
// installation's id in hex.
func Init(ctx context.Context, b Birth) (string, error) {
	now := b.Clock()
	installationKey, err := charter.GenerateKey(b.Rand)
	if err != nil {
		return "", err
	}
	defer installationKey.Destroy()
	// The log key's name holds the installation's id, which is the hash of a
	// charter that names the log key: so its bare public half goes in there.
	logKey, err := audit.GenerateLogKey("keyward/unnamed", b.Rand)
	if err != nil {
		return "", err
	}
	defer logKey.Destroy()
	solo, err := policy.Parse(policy.Solo())
	if err != nil {
		return "", err
	}
	first, err := installationKey.First(solo.Text(), logKey.Public(), now.UnixMilli())
	if err != nil {
		return "", err
	}
	installation := first.Hash()
	id := hex.EncodeToString(installation[:])
	slot, err := b.Slot(installation)
	if err != nil {
		return "", err
	}
	root, made, err := seal.Init(ctx, b.Rand, installation, slot)
	if err != nil {
		return "", err
	}
	defer root.Destroy()
	rowSystem, rowKey, err := root.NewRowKey(b.Rand)
	if err != nil {
		return "", err
	}
	defer rowKey.Destroy()
	authority, err := identity.NewAuthority(id, now)
	if err != nil {
		return "", err
	}
	defer authority.Destroy()
	systems := []seal.SystemKey{rowSystem}
	for _, s := range []struct {
		name            string
		public, private []byte
	}{
		{seal.PurposeInstallation, installationKey.Public(), installationKey.Seed()},
		{seal.PurposeCheckpoint, logKey.Public(), logKey.View()},
		{seal.PurposeAuthority, authority.Certificate(), authority.Key()},
	} {
		sealed, err := root.SealSystem(b.Rand, s.name, s.public, s.private)
		if err != nil {
			return "", err
		}
		systems = append(systems, sealed)
	}
	err = journal.Birth(ctx, b.Pen, b.Node, now, b.Rand, rowKey.View(), func(tx *store.Tx) error {
		if err := charter.Put(tx, first, solo.Hash()); err != nil {
			return err
		}
		if err := tx.Insert(slotTable, slotRow(made)); err != nil {
			return err
		}
		for _, s := range systems {
			if err := tx.Insert(systemTable, systemRow(s)); err != nil {
				return err
			}
		}
		return nil
	})
	return id, err
}
