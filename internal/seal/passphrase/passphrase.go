// Package passphrase opens a seal slot with a passphrase, through Argon2id (RFC
// 9106). The cost is written in the slot and bounded on both sides: whoever
// alters a slot gets neither a cheap derivation nor one that exhausts memory.
// The bytes of the passphrase are used as they are given: no normalization, no
// trimming.
package passphrase

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/crypto/argon2"

	"keyward/internal/seal"
	"keyward/internal/secret"
)

// Kind is the method's name in slots and credentials.
const Kind = "passphrase"

// Bounds of a passphrase. The minimum is for new slots.
const (
	MinCharacters = 8
	MaxBytes      = 1024
)

var (
	// ErrShort: a new passphrase has fewer than MinCharacters characters.
	ErrShort = fmt.Errorf("%w: passphrase shorter than %d characters", seal.ErrUnfit, MinCharacters)
	// ErrLong: a new passphrase has more than MaxBytes bytes.
	ErrLong = fmt.Errorf("%w: passphrase longer than %d bytes", seal.ErrUnfit, MaxBytes)
)

// Cost is the price of one derivation: passes over memory, and how much memory.
type Cost struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8  // lanes
}

// DefaultCost is the second recommended option of RFC 9106, section 4.
func DefaultCost() Cost { return Cost{Time: 3, Memory: 64 << 10, Threads: 4} }

// Bounds of a Cost, at creation and whenever a slot is read. The floor is the
// second recommended option of RFC 9106, section 4; the ceiling keeps an altered
// slot from exhausting a small machine.
const (
	minTime    = 3
	maxTime    = 16
	minMemory  = 64 << 10 // KiB
	maxMemory  = 1 << 20  // KiB
	maxWork    = 4 << 20  // KiB × passes
	maxThreads = 16
)

// Check refuses a cost out of bounds with seal.ErrParams.
func (c Cost) Check() error {
	switch {
	case c.Time < minTime || c.Time > maxTime:
		return fmt.Errorf("argon2id time %d, want %d to %d: %w", c.Time, minTime, maxTime, seal.ErrParams)
	case c.Memory < minMemory || c.Memory > maxMemory:
		return fmt.Errorf("argon2id memory %d KiB, want %d to %d: %w", c.Memory, minMemory, maxMemory, seal.ErrParams)
	case uint64(c.Time)*uint64(c.Memory) > maxWork:
		return fmt.Errorf("argon2id time × memory %d KiB, at most %d: %w", uint64(c.Time)*uint64(c.Memory), maxWork, seal.ErrParams)
	case c.Threads < 1 || c.Threads > maxThreads:
		return fmt.Errorf("argon2id threads %d, want 1 to %d: %w", c.Threads, maxThreads, seal.ErrParams)
	}
	return nil
}

// Credential makes a credential of a passphrase, which it takes over.
func Credential(passphrase secret.Bytes) seal.Credential {
	return seal.Credential{Kind: Kind, Secret: passphrase}
}

// Method is the seal.Method. The zero value makes slots at DefaultCost.
type Method struct{ Cost Cost }

// Kind returns "passphrase".
func (Method) Kind() string { return Kind }

// Create refuses a short passphrase, draws a salt, and derives.
func (m Method) Create(ctx context.Context, rand io.Reader, cred seal.Credential) ([]byte, secret.Bytes, error) {
	p := Params{Cost: m.Cost}
	if p.Cost == (Cost{}) {
		p.Cost = DefaultCost()
	}
	if err := p.Cost.Check(); err != nil {
		return nil, secret.Bytes{}, err
	}
	passphrase := cred.Secret.View()
	switch {
	case ctx.Err() != nil:
		return nil, secret.Bytes{}, ctx.Err()
	case cred.Kind != Kind:
		return nil, secret.Bytes{}, seal.ErrWrongCredential
	case utf8.RuneCount(passphrase) < MinCharacters:
		return nil, secret.Bytes{}, ErrShort
	case len(passphrase) > MaxBytes:
		return nil, secret.Bytes{}, ErrLong
	}
	if _, err := io.ReadFull(rand, p.Salt[:]); err != nil {
		return nil, secret.Bytes{}, fmt.Errorf("salt: %w", err)
	}
	return p.Encode(), p.derive(cred.Secret), nil
}

// KEK derives at the full cost, whether the passphrase is right or not. An empty
// one, and one too long ever to have been accepted, are wrong for nothing.
func (Method) KEK(ctx context.Context, params []byte, cred seal.Credential) (secret.Bytes, error) {
	p, err := ParseParams(params)
	if err != nil {
		return secret.Bytes{}, err
	}
	switch {
	case ctx.Err() != nil:
		return secret.Bytes{}, ctx.Err()
	case cred.Kind != Kind, cred.Secret.IsZero(), cred.Secret.Len() > MaxBytes:
		return secret.Bytes{}, seal.ErrWrongCredential
	}
	return p.derive(cred.Secret), nil
}

// derive is RFC 9106, Argon2id version 0x13, tag of 32 bytes, no secret value and
// no associated data (the slot's seal has it). Giving the memory back to the
// system wipes it, too: it holds what the tag was made of.
//
// BUG(passphrase): golang.org/x/crypto/argon2 leaves the passphrase in the state
// of a hash on the heap, until the collector reuses it, unless the build has
// runtime/secret.
func (p Params) derive(passphrase secret.Bytes) (kek secret.Bytes) {
	secret.Do(func() {
		kek = secret.Take(argon2.IDKey(passphrase.View(), p.Salt[:], p.Cost.Time, p.Cost.Memory, p.Cost.Threads, seal.KeySize))
	})
	debug.FreeOSMemory()
	return kek
}

const saltSize = 16

// Params are what a slot of this method stores in the clear.
type Params struct {
	Salt [saltSize]byte
	Cost Cost
}

// wire is the form of Params: canonical CBOR, a map of integers.
type wire struct {
	Salt    []byte `cbor:"1,keyasint"`
	Time    uint32 `cbor:"2,keyasint"`
	Memory  uint32 `cbor:"3,keyasint"`
	Threads uint8  `cbor:"4,keyasint"`
}

// Encode returns the parameters in canonical CBOR.
func (p Params) Encode() []byte {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // the options are constant
	}
	b, err := mode.Marshal(wire{p.Salt[:], p.Cost.Time, p.Cost.Memory, p.Cost.Threads})
	if err != nil {
		panic(err) // bytes and integers always encode
	}
	return b
}

const maxParams = 64 // bytes; the longest encoding has 34

// ParseParams reads a slot's parameters, which may come from anybody: any other
// form than Encode's, and any cost out of bounds, is seal.ErrParams.
func ParseParams(b []byte) (Params, error) {
	if len(b) > maxParams {
		return Params{}, fmt.Errorf("%d bytes, at most %d: %w", len(b), maxParams, seal.ErrParams)
	}
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constant
	}
	var w wire
	if err := mode.Unmarshal(b, &w); err != nil {
		return Params{}, fmt.Errorf("malformed: %w", seal.ErrParams)
	}
	if len(w.Salt) != saltSize {
		return Params{}, fmt.Errorf("salt of %d bytes, want %d: %w", len(w.Salt), saltSize, seal.ErrParams)
	}
	p := Params{Salt: [saltSize]byte(w.Salt), Cost: Cost{w.Time, w.Memory, w.Threads}}
	if !bytes.Equal(p.Encode(), b) {
		return Params{}, fmt.Errorf("not canonical: %w", seal.ErrParams)
	}
	return p, p.Cost.Check()
}
