package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Unseal opens the root key with a credential and returns it with the id of
// the slot that opened. It tries every slot of the credential's kind, at the
// full cost of its method, whatever else is wrong with the slot: how long it
// takes tells nobody what was close. The caller destroys the Root and the
// credential, and limits the attempts (Limiter).
//
// The error is ErrWrongCredential when no slot opens and ErrNoSlot when none is
// of that kind; besides, ErrDamaged or ErrParams, naming the slot, when one was
// altered so that no credential opens it.
func Unseal(ctx context.Context, s Sealed, methods []Method, cred Credential) (*Root, string, error) {
	if len(s.Slots) > MaxSlots || len(s.Ring) > maxRing {
		return nil, "", fmt.Errorf("%d slots, %d older root keys: %w", len(s.Slots), len(s.Ring), ErrDamaged)
	}
	i := slices.IndexFunc(methods, func(m Method) bool { return m.Kind() == cred.Kind })
	if i < 0 {
		return nil, "", fmt.Errorf("method %q: %w", cred.Kind, ErrNoSlot)
	}
	var newest uint64
	for _, slot := range s.Slots {
		newest = max(newest, slot.RootVersion)
	}
	failure := fmt.Errorf("kind %q: %w", cred.Kind, ErrNoSlot)
	var trouble error
	for _, slot := range s.Slots {
		if slot.Kind != cred.Kind {
			continue
		}
		failure = ErrWrongCredential
		key, err := slot.try(ctx, s.Installation, methods[i], cred)
		switch {
		case err == nil && slot.RootVersion == newest:
			root := newRoot(s.Installation, newest, key)
			if err := root.load(s.Ring); err != nil {
				root.Destroy()
				return nil, "", err
			}
			return root, slot.ID, nil
		case err == nil:
			// It missed a rotation, or was put back: what it opens is not what seals.
			key.destroy()
			trouble = also(trouble, fmt.Errorf("slot %q is at version %d of the root key, others at %d: %w", slot.ID, slot.RootVersion, newest, ErrDamaged))
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case errors.Is(err, ErrOpen), errors.Is(err, ErrWrongCredential):
		default:
			trouble = also(trouble, fmt.Errorf("slot %q: %w", slot.ID, err))
		}
	}
	return nil, "", also(failure, trouble)
}

// also joins two errors, of which either may be nil, in one line.
func also(first, second error) error {
	if first == nil || second == nil {
		return cmp.Or(first, second)
	}
	return fmt.Errorf("%w; %w", first, second)
}

// try runs the method first: nothing about the slot is looked at before the
// credential has cost its price.
func (s *Slot) try(ctx context.Context, installation [32]byte, m Method, cred Credential) (*rootKey, error) {
	if len(s.Params) > maxParams {
		return nil, fmt.Errorf("%d bytes: %w", len(s.Params), ErrParams)
	}
	kek, err := m.KEK(ctx, s.Params, cred)
	if err != nil {
		return nil, err
	}
	defer kek.Destroy()
	return s.open(installation, kek)
}

// load opens the older versions of the root key. One that does not open stops
// the unsealing: rows might lie under it, and somebody altered it.
func (r *Root) load(ring []SystemKey) error {
	for _, k := range ring {
		version := oldRootVersion(k.Name)
		if version == 0 || version > r.current || k.RootVersion != r.current || len(k.Sealed) != KeySize+Overhead || r.versions[version] != nil {
			return fmt.Errorf("older root key %q: %w", k.Name, ErrDamaged)
		}
		key, err := r.open(systemContext(k), k.RootVersion, k.Sealed)
		if err != nil {
			return fmt.Errorf("older root key %q: %w", k.Name, ErrDamaged)
		}
		old, err := newRootKey(key)
		if err != nil {
			return err
		}
		r.versions[version] = old
	}
	return nil
}
