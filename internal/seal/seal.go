// Package seal is what locks the root key: the slots in which it lies, the
// methods that open them, and the sealing of every secret row under it.
//
// The root key is sealed to one or more slots, as LUKS does; each slot has a
// method (package keyfile, package passphrase), and any one credential opens
// it. An unsealed Root seals and opens rows, wraps the material of user keys,
// and rotates while serving, without anybody's passphrase.
//
// This room returns plain values (Slot, SystemKey) for its owner to store. It
// never touches a database, never decides who may unseal, and never keeps a
// credential.
package seal

import (
	"context"
	"errors"
	"io"

	"keyward/internal/secret"
)

var (
	// ErrSealed: the root key was destroyed; unseal first.
	ErrSealed = errors.New("sealed")
	// ErrOpen: sealed bytes do not open: another key, altered, or moved from their place.
	ErrOpen = errors.New("sealed bytes do not open")
	// ErrVersion: no such version of the root key is held.
	ErrVersion = errors.New("unknown version of the root key")
	// ErrLabel: the label is not one that this call takes.
	ErrLabel = errors.New("label not allowed here")
	// ErrWrongCredential: no slot opens with this credential. It never says which slot came close.
	ErrWrongCredential = errors.New("wrong credential")
	// ErrUnfit: a credential that no slot shall be made for: too short, too long.
	ErrUnfit = errors.New("credential refused")
	// ErrNoSlot: there is no such slot, or none of the credential's kind.
	ErrNoSlot = errors.New("no such slot")
	// ErrLastSlot: the last slot cannot be removed: nothing would open the root key again.
	ErrLastSlot = errors.New("the last slot cannot be removed")
	// ErrDamaged: a slot, or an older version of the root key, is not as it was written.
	ErrDamaged = errors.New("damaged")
	// ErrParams: a slot's parameters are malformed, or outside the bounds of its method.
	ErrParams = errors.New("bad slot parameters")
	// ErrRotating: a rotation of the root key is neither applied nor discarded yet.
	ErrRotating = errors.New("a rotation of the root key is pending")
	// ErrSlot: a slot cannot be made as asked (its name, or the number of slots).
	ErrSlot = errors.New("slot refused")
	// ErrTaken: comes with ErrSlot when there is no room for the slot beside those there are.
	ErrTaken = errors.New("taken")
)

// A Credential is what opens a slot: of a kind, and (where the kind has one)
// with a secret. Whoever makes it destroys it; this room only borrows.
type Credential struct {
	Kind   string
	Secret secret.Bytes
}

// Destroy wipes the secret.
func (c Credential) Destroy() { c.Secret.Destroy() }

// A Method turns a credential into the key-encryption key (KEK) of a slot. It
// is the socket of this room; package sealtest has the suite that every
// implementation runs. Methods are safe for concurrent use, borrow the
// credential, and return a KEK of 32 bytes that the caller destroys.
type Method interface {
	// Kind names the method, in slots and in credentials.
	Kind() string

	// Create makes the parameters of a new slot, which are stored in the clear,
	// and its KEK. It refuses a credential too weak to be used.
	Create(ctx context.Context, rand io.Reader, cred Credential) (params []byte, kek secret.Bytes, err error)

	// KEK derives the KEK again. The parameters come from a row that nobody has
	// authenticated yet: out of bounds they are refused with ErrParams. For a
	// wrong credential it returns another KEK, at the full cost of the method,
	// or ErrWrongCredential.
	KEK(ctx context.Context, params []byte, cred Credential) (secret.Bytes, error)
}

// Sealed is all that a sealed installation keeps of its root key.
type Sealed struct {
	Installation [32]byte    // the installation id
	Slots        []Slot      // any one opens the root key
	Ring         []SystemKey // older versions of it, each sealed by the current one
}

// A Slot holds the root key for one credential: a key pair of its own, whose
// private half is sealed under the method's KEK and to whose public half the
// root key is sealed. All fields are stored in the clear; nothing in them is
// secret. docs/formats/slots.md is the format.
type Slot struct {
	ID            string // "slot_" and 16 Crockford base32 characters
	Kind          string // the method's
	Name          string // for people
	Created       int64  // ms
	RootVersion   uint64 // version of the root key in SealedRoot
	Params        []byte // the method's
	Public        []byte // HPKE public key, MLKEM768-X25519, 1216 bytes
	SealedPrivate []byte // XAES-256-GCM under the KEK, 72 bytes
	SealedRoot    []byte // HPKE, then the root key's proof, 1208 bytes
}

// A SystemKey is a key of keyward's own (never a user's), sealed by the root
// key, as its owner stores it. Its name is a purpose, or "purpose/instance".
type SystemKey struct {
	Name        string
	RootVersion uint64 // version of the root key that seals it
	Public      []byte // empty where the key has no public half
	Sealed      []byte
}
