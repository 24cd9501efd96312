package seal

import (
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"io"
	"slices"

	"keyward/internal/secret"
)

// Bounds of slots. Each slot of a kind costs a wrong credential one full
// derivation, so there are never many.
const (
	MaxSlots  = 32
	maxParams = 1024
	maxRing   = 1024
)

// Sizes in bytes. The HPKE suite is MLKEM768-X25519, HKDF-SHA256, AES-256-GCM:
// RFC 9180 with draft-ietf-hpke-pq.
const (
	seedSize    = 32
	publicSize  = 1184 + 32
	privateSize = seedSize + Overhead
	hpkeSize    = 1088 + 32 + KeySize + TagSize
	rootSize    = hpkeSize + Overhead // the proof is a seal of nothing
)

// NewSlot says what slot to make.
type NewSlot struct {
	Method     Method
	Credential Credential // borrowed
	Name       string     // 1 to 64 of a-z 0-9 . _ -, unlike every other slot's
	Created    int64      // ms
}

// AddSlot makes a slot that opens the root key with one more credential. slots
// are those that exist. The owner stores the slot; no rotation may be stored
// between the call and that. What HPKE draws, here and in Rotate, comes from
// crypto/rand whatever rand is.
func (r *Root) AddSlot(ctx context.Context, rand io.Reader, slots []Slot, n NewSlot) (Slot, error) {
	if err := n.check(slots); err != nil {
		return Slot{}, err
	}
	id, err := newSlotID(rand)
	if err != nil {
		return Slot{}, err
	}
	params, kek, err := n.Method.Create(ctx, rand, n.Credential)
	if err != nil {
		return Slot{}, fmt.Errorf("slot %q: %w", n.Name, err)
	}
	defer kek.Destroy()
	slot := Slot{ID: id, Kind: n.Method.Kind(), Name: n.Name, Created: n.Created, Params: append([]byte{}, params...)}

	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.current == 0:
		return Slot{}, ErrSealed
	case r.pending != nil:
		return Slot{}, ErrRotating
	}
	root := r.versions[r.current]
	secret.Do(func() {
		if err = slot.makePair(rand, r.installation, kek); err == nil {
			err = slot.hold(rand, r.installation, r.current, root)
		}
	})
	if err != nil {
		return Slot{}, fmt.Errorf("slot %q: %w", n.Name, err)
	}
	// A slot that does not open is found now, not on the day it is needed.
	opened, err := slot.open(r.installation, kek)
	if err != nil {
		return Slot{}, fmt.Errorf("slot %q, opened again: %w", n.Name, err)
	}
	defer opened.destroy()
	if !opened.key.Equal(root.key) {
		return Slot{}, fmt.Errorf("slot %q, opened again: %w", n.Name, ErrDamaged)
	}
	return slot, nil
}

// RemoveSlot returns the slots without the one of that id, never none. Whoever
// had opened it may have kept the root key, and an old copy of the database
// still has the slot: rotate the root key afterwards.
func RemoveSlot(slots []Slot, id string) ([]Slot, error) {
	i := slices.IndexFunc(slots, func(s Slot) bool { return s.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("slot %q: %w", id, ErrNoSlot)
	}
	if len(slots) == 1 {
		return nil, ErrLastSlot
	}
	return slices.Concat(slots[:i], slots[i+1:]), nil
}

func (n NewSlot) check(slots []Slot) error {
	switch {
	case n.Method == nil:
		return fmt.Errorf("slot %q: %w: no method", n.Name, ErrSlot)
	case n.Credential.Kind != n.Method.Kind():
		return fmt.Errorf("slot %q: %w: a credential of kind %q for a slot of kind %q", n.Name, ErrSlot, n.Credential.Kind, n.Method.Kind())
	case !validName(n.Name):
		return fmt.Errorf("slot name %q: %w: want 1 to 64 of a-z 0-9 . _ - that start with a letter or digit", n.Name, ErrSlot)
	case len(slots) >= MaxSlots:
		return fmt.Errorf("slot %q: %w: all %d places are %w", n.Name, ErrSlot, len(slots), ErrTaken)
	}
	for _, s := range slots {
		if s.Name == n.Name {
			return fmt.Errorf("slot %q: %w: the name is %w", n.Name, ErrSlot, ErrTaken)
		}
	}
	return nil
}

func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

func newSlotID(rand io.Reader) (string, error) {
	var b [10]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("slot id: %w", err)
	}
	const crockford = "0123456789abcdefghjkmnpqrstvwxyz"
	return "slot_" + base32.NewEncoding(crockford).EncodeToString(b[:]), nil
}

// context is where a slot's seals belong. Its PublicHash covers kind,
// parameters and public half; the name is free to change.
func (s *Slot) context(label Label, installation [32]byte) Context {
	head, err := canonical.Marshal([]any{SlotHead, s.Kind, s.Params, s.Public})
	if err != nil {
		panic(err) // strings and bytes always encode
	}
	return Context{
		Label:        label,
		Installation: installation,
		Table:        "slot",
		ID:           s.ID,
		PublicHash:   sha256.Sum256(head),
	}
}

func (s *Slot) rootContext(label Label, installation [32]byte, version uint64) []byte {
	c := s.context(label, installation)
	c.RootVersion = version
	return c.AssociatedData()
}

// makePair makes the slot's key pair and seals the private half under the KEK.
func (s *Slot) makePair(rand io.Reader, installation [32]byte, kek secret.Bytes) error {
	seed, err := secret.Random(rand, seedSize)
	if err != nil {
		return fmt.Errorf("private half: %w", err)
	}
	defer seed.Destroy()
	private, err := hpke.MLKEM768X25519().NewPrivateKey(seed.View())
	if err != nil {
		return fmt.Errorf("private half: %w", err)
	}
	defer wipePrivate(private)
	s.Public = private.PublicKey().Bytes()
	s.SealedPrivate, err = XSeal(kek.View(), rand, seed.View(), s.context(SlotPrivate, installation).AssociatedData())
	return err
}

// hold seals a version of the root key to the slot's public half, and adds the
// proof that the root key knows this slot: without it whoever can write to the
// database could put a public key of their own here and wait for a rotation.
func (s *Slot) hold(rand io.Reader, installation [32]byte, version uint64, root *rootKey) error {
	public, err := hpke.MLKEM768X25519().NewPublicKey(s.Public)
	if err != nil {
		return fmt.Errorf("public half: %w", ErrDamaged)
	}
	info := s.rootContext(SlotRoot, installation, version)
	sealed, err := hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info, root.key.View())
	if err != nil {
		return err
	}
	proof := s.rootContext(SlotProof, installation, version)
	if s.SealedRoot, err = root.x.Seal(sealed, rand, nil, proof); err != nil {
		return err
	}
	s.RootVersion = version
	return nil
}

// proved checks the proof of hold.
func (s *Slot) proved(installation [32]byte, root *rootKey) error {
	if len(s.SealedRoot) != rootSize {
		return ErrDamaged
	}
	proof := s.rootContext(SlotProof, installation, s.RootVersion)
	if _, err := root.x.Open(nil, s.SealedRoot[hpkeSize:], proof); err != nil {
		return ErrDamaged
	}
	return nil
}

// open returns the version of the root key that the slot holds. ErrOpen means
// that the KEK is wrong, ErrDamaged that it is right and the slot is not.
func (s *Slot) open(installation [32]byte, kek secret.Bytes) (root *rootKey, err error) {
	secret.Do(func() { root, err = s.unlock(installation, kek) })
	return root, err
}

func (s *Slot) unlock(installation [32]byte, kek secret.Bytes) (*rootKey, error) {
	if len(s.Public) != publicSize || len(s.SealedPrivate) != privateSize || len(s.SealedRoot) != rootSize || s.RootVersion == 0 {
		return nil, ErrDamaged
	}
	seed, err := XOpen(kek.View(), s.SealedPrivate, s.context(SlotPrivate, installation).AssociatedData())
	if err != nil {
		return nil, err
	}
	defer seed.Destroy()
	private, err := hpke.MLKEM768X25519().NewPrivateKey(seed.View())
	if err != nil {
		return nil, ErrDamaged
	}
	defer wipePrivate(private)
	// XAES-256-GCM does not commit to its key; this does.
	if subtle.ConstantTimeCompare(private.PublicKey().Bytes(), s.Public) != 1 {
		return nil, ErrDamaged
	}
	info := s.rootContext(SlotRoot, installation, s.RootVersion)
	plain, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), info, s.SealedRoot[:hpkeSize])
	if err != nil {
		return nil, ErrDamaged
	}
	root, err := newRootKey(secret.Take(plain))
	if err != nil {
		return nil, ErrDamaged
	}
	if err := s.proved(installation, root); err != nil {
		root.destroy()
		return nil, err
	}
	return root, nil
}

// wipePrivate wipes the seed that the library keeps: Bytes lends it.
//
// BUG(seal): what crypto/hpke expands from the seed of a slot's private half
// (ML-KEM and X25519 keys, shared secrets) stays on the heap until the collector
// reuses it, unless the build has runtime/secret.
func wipePrivate(private hpke.PrivateKey) {
	if seed, err := private.Bytes(); err == nil {
		secret.Wipe(seed)
	}
}
