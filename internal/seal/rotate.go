package seal

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"keyward/internal/secret"
)

// A Rotation is a new version of the root key, not in use yet: what its owner
// must store, in one transaction, and then Apply. Until Apply everything is
// sealed under the version before, which stays able to open afterwards.
type Rotation struct {
	Slots []Slot      // in place of the slots before
	Ring  []SystemKey // in place of the ring before: all older versions, sealed by the new one

	root    *Root
	version uint64
	key     *rootKey
}

// Rotate makes the next version of the root key and seals it to each slot's
// public half: nobody's credential is needed. Slots that the root key does not
// know are refused with ErrDamaged. While a rotation is pending, ErrRotating.
func (r *Root) Rotate(rand io.Reader, slots []Slot) (*Rotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current == 0:
		return nil, ErrSealed
	case r.pending != nil:
		return nil, ErrRotating
	case len(slots) == 0:
		return nil, fmt.Errorf("rotate: %w", ErrNoSlot)
	}
	for i := range slots {
		if err := r.knows(&slots[i]); err != nil {
			return nil, fmt.Errorf("rotate: slot %q: %w", slots[i].ID, err)
		}
	}
	key, err := secret.Random(rand, KeySize)
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	next, err := newRootKey(key)
	if err != nil {
		return nil, err
	}
	t := &Rotation{Slots: slices.Clone(slots), root: r, version: r.current + 1, key: next}
	secret.Do(func() { err = t.fill(rand) })
	if err != nil {
		next.destroy()
		return nil, err
	}
	r.pending = t
	return t, nil
}

// knows reports whether the slot is one that this root key made, and up to date.
func (r *Root) knows(s *Slot) error {
	if s.RootVersion != r.current {
		return fmt.Errorf("at version %d of the root key, want %d: %w", s.RootVersion, r.current, ErrDamaged)
	}
	return s.proved(r.installation, r.versions[r.current])
}

func (t *Rotation) fill(rand io.Reader) error {
	for i := range t.Slots {
		if err := t.Slots[i].hold(rand, t.root.installation, t.version, t.key); err != nil {
			return fmt.Errorf("rotate: slot %q: %w", t.Slots[i].ID, err)
		}
	}
	for _, version := range slices.Sorted(maps.Keys(t.root.versions)) {
		k := SystemKey{Name: OldRootName(version), RootVersion: t.version, Public: []byte{}}
		c := systemContext(k)
		c.Installation, c.RootVersion = t.root.installation, t.version
		var err error
		if k.Sealed, err = t.key.x.Seal(nil, rand, t.root.versions[version].key.View(), c.AssociatedData()); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		t.Ring = append(t.Ring, k)
	}
	return nil
}

// Version returns the version of the root key that this rotation brings.
func (t *Rotation) Version() uint64 { return t.version }

// Apply makes the new version the current one. Call it when, and only when, the
// slots and the ring are on disk. Then seal the rows anew (Rewrap,
// ResealSystem), and when none is left under an older version, delete that from
// the ring and Retire it.
func (t *Rotation) Apply() error {
	t.root.mu.Lock()
	defer t.root.mu.Unlock()
	if t.root.pending != t {
		return t.over()
	}
	t.root.versions[t.version] = t.key
	t.root.current, t.root.pending = t.version, nil
	return nil
}

// Discard forgets the new version, when storing it surely came to nothing. After
// Apply, or twice, it does no harm.
func (t *Rotation) Discard() {
	t.root.mu.Lock()
	defer t.root.mu.Unlock()
	if t.root.pending == t {
		t.key.destroy()
		t.root.pending = nil
	}
}

func (t *Rotation) over() error {
	if t.root.current == 0 {
		return ErrSealed
	}
	return fmt.Errorf("version %d: the rotation was applied or discarded before", t.version)
}
