package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/policy"
	"keyward/internal/seal"
	"keyward/internal/store"
)

// RotateRoot makes a new root key, seals it to every slot, and then seals every
// row under it anew, while requests are served. It returns when no row rests on
// the older key any more.
func (k *KMS) RotateRoot(ctx context.Context, a identity.Actor, ask Ask) (Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return Answer{}, err
	}
	k.slotting.Lock()
	defer k.slotting.Unlock()
	if err := k.settle(ctx, u); err != nil {
		return Answer{}, k.wrap(err)
	}
	var rotation *seal.Rotation
	q := k.administration(a, key.RotateRoot, "seal", nil, "Replace the root key.")
	answer, err := k.act(ctx, u, q, ask, func(policy.Request) (func(*store.Tx) error, error) {
		if rotation != nil {
			rotation.Discard()
		}
		slots, err := k.slots(ctx)
		if err != nil {
			return nil, err
		}
		if rotation, err = u.root.Rotate(k.opt.Rand, slots); err != nil {
			return nil, err
		}
		return func(tx *store.Tx) error { return storeRotation(tx, rotation) }, nil
	})
	switch {
	case err != nil && KindOf(err) == Unknown:
		u.rotation = rotation // settle finds out
		return answer, err
	case err != nil || answer.replayed():
		// What is stored nowhere must never seal anything.
		if rotation != nil {
			rotation.Discard()
		}
		if err != nil {
			return answer, err
		}
	default:
		if err := rotation.Apply(); err != nil {
			return answer, k.wrap(err)
		}
	}
	return answer, k.wrap(k.reseal(context.WithoutCancel(ctx), u, a.Name(), a.Source()))
}

// settle finds out whether a rotation whose commit had no known outcome is
// stored, and applies or discards it.
func (k *KMS) settle(ctx context.Context, u *unsealed) error {
	if u.rotation == nil {
		return nil
	}
	if err := u.journal.Ready(); err != nil {
		return err
	}
	slots, err := k.slots(ctx)
	if err != nil {
		return err
	}
	stored := len(slots) > 0
	for _, s := range slots {
		stored = stored && s.RootVersion == u.rotation.Version()
	}
	if stored {
		err = u.rotation.Apply()
	} else {
		u.rotation.Discard()
	}
	if err == nil {
		u.rotation = nil
	}
	return err
}

func storeRotation(tx *store.Tx, rotation *seal.Rotation) error {
	for _, s := range rotation.Slots {
		if err := tx.Put(slotTable, slotRow(s)); err != nil {
			return err
		}
	}
	for _, s := range rotation.Ring {
		if err := tx.Put(systemTable, systemRow(s)); err != nil {
			return err
		}
	}
	tx.RaiseEpoch()
	return nil
}

// resealBatch is how many rows one commit seals anew: few enough that the
// requests behind it hardly wait.
const resealBatch = 64

var errStaleRows = errors.New("rows rest on an older root key")

// reseal brings every row under the newest root key, then retires the older
// ones. After a crash the next Run goes on with it.
func (k *KMS) reseal(ctx context.Context, u *unsealed, actor, source string) error {
	started := time.Now()
	current := u.root.Version()
	var old []uint64
	for _, v := range u.root.Versions() {
		if v < current {
			old = append(old, v)
		}
	}
	if len(old) == 0 {
		return nil
	}
	note := func(effect func(*store.Tx) error, detail string) error {
		return u.journal.Note(ctx, journal.Notice{
			Actor: actor, Source: source, Action: "seal.reseal", Subject: "seal", Outcome: "done", Detail: detail,
		}, effect)
	}
	if err := note(func(tx *store.Tx) error { return k.resealSystem(tx, u) }, "system keys"); err != nil {
		return err
	}
	for {
		refs, err := software.Stale(ctx, k.opt.Reader, current, resealBatch)
		if err != nil {
			return err
		}
		if len(refs) > 0 {
			err = note(func(tx *store.Tx) error { return u.keystore.Rewrap(tx, refs) }, fmt.Sprintf("%d keys", len(refs)))
		} else {
			err = note(func(tx *store.Tx) error { return retire(tx, current, old) }, fmt.Sprintf("retired %d older root keys", len(old)))
		}
		if len(refs) == 0 && err == nil {
			break
		}
		if err != nil && !errors.Is(err, errStaleRows) {
			return err
		}
	}
	for _, v := range old {
		if err := u.root.Retire(v); err != nil {
			return err
		}
	}
	if k.opt.Log != nil {
		k.opt.Log.Info("root key rotated", "version", current, "took", time.Since(started))
	}
	return nil
}

// retire deletes the older root keys, in a commit that sees that nothing rests on
// them: a key may have been sealed before the rotation and stored since the last
// look. Whatever is stored later checks the version itself (see sealedUnder).
func retire(tx *store.Tx, current uint64, old []uint64) error {
	for _, table := range []string{"material", "slot", "system_key"} {
		_, err := tx.QueryRow("SELECT 1 FROM "+table+" WHERE root_version <> $1 LIMIT 1", int64(current))
		switch {
		case err == nil && table == "material":
			return errStaleRows // they are sealed anew in the next round
		case err == nil:
			return fmt.Errorf("table %q rests on an older root key, which is kept", table)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	for _, v := range old {
		err := tx.Delete(systemTable, seal.OldRootName(v))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// sealedUnder is an effect that stores what was sealed while the root key had
// this version. Had it been replaced meanwhile, the older root key might be
// retired and what is stored lost: then the effect asks to begin anew.
func (u *unsealed) sealedUnder(version uint64, effect func(*store.Tx) error) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		if u.root.Version() != version {
			return journal.ErrStale
		}
		return effect(tx)
	}
}

// Reseal goes on with a replacement of the root key that was interrupted.
func (k *KMS) Reseal(ctx context.Context) error {
	u := k.state.Load()
	if u == nil {
		return nil
	}
	if !k.slotting.TryLock() {
		return nil // somebody is at it
	}
	defer k.slotting.Unlock()
	if err := k.settle(ctx, u); err != nil {
		return err
	}
	return k.reseal(ctx, u, "keyward", "")
}

func (k *KMS) resealSystem(tx *store.Tx, u *unsealed) error {
	for _, name := range []string{seal.PurposeRow, seal.PurposeInstallation, seal.PurposeCheckpoint, seal.PurposeAuthority} {
		row, err := tx.Row(systemTable, name)
		if err != nil {
			return err
		}
		again, err := u.root.ResealSystem(k.opt.Rand, scanSystem(row))
		if err != nil {
			return err
		}
		if err := tx.Put(systemTable, systemRow(again)); err != nil {
			return err
		}
	}
	return nil
}
