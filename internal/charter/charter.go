// Package charter keeps who and what governs: signed, chained versions of the
// policy and, with the people issue, of members, roles and quorums. It verifies
// the chain from its first version and never judges a request.
package charter

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/secret"
)

// Mode says who may change the charter.
type Mode string

// Solo: one person decides alone, and the installation key signs for them.
const Solo Mode = "solo"

// Charter is one version. The hash of version 0 is the installation's id.
type Charter struct {
	Format       string   `cbor:"1,keyasint"`
	Version      uint64   `cbor:"2,keyasint"`
	Previous     [32]byte `cbor:"3,keyasint"` // hash of the version before; zero in version 0
	Time         int64    `cbor:"4,keyasint"` // log time, ms
	Mode         Mode     `cbor:"5,keyasint"`
	Installation []byte   `cbor:"6,keyasint"` // Ed25519 public key that signs in solo mode, 32 bytes
	LogKey       []byte   `cbor:"7,keyasint"` // Ed25519 public key that signs checkpoints, 32 bytes
	Policy       []byte   `cbor:"8,keyasint"` // the policy's text
}

const (
	format    = "keyward/charter/v1"
	signLabel = "keyward/charter/v1\n"
	// MaxSize bounds an encoded charter, in bytes.
	MaxSize = 2 << 20
)

// ErrInvalid is wrapped by whatever is wrong with a charter or a chain of them.
var ErrInvalid = errors.New("charter refused")

// Signed is a charter with the bytes that were signed.
type Signed struct {
	Charter   Charter
	Body      []byte // canonical CBOR
	Signature []byte // Ed25519 over "keyward/charter/v1\n" and Body
}

// Hash is SHA-256 over the body.
func (s Signed) Hash() [32]byte { return sha256.Sum256(s.Body) }

// Key is the installation key: Ed25519, of this room alone.
type Key struct{ seed secret.Bytes }

// GenerateKey makes an installation key from 32 bytes of rand.
func GenerateKey(rand io.Reader) (Key, error) {
	seed, err := secret.Random(rand, ed25519.SeedSize)
	return Key{seed}, err
}

// TakeKey owns a seed of 32 bytes that was kept sealed.
func TakeKey(seed secret.Bytes) (Key, error) {
	if seed.Len() != ed25519.SeedSize {
		return Key{}, fmt.Errorf("installation key: got %d bytes, want %d", seed.Len(), ed25519.SeedSize)
	}
	return Key{seed}, nil
}

// Seed lends the seed, to be sealed.
func (k Key) Seed() []byte { return k.seed.View() }

// Public is the public half.
func (k Key) Public() (pub []byte) {
	secret.Do(func() {
		full := ed25519.NewKeyFromSeed(k.seed.View())
		pub = bytes.Clone(full[ed25519.SeedSize:])
		secret.Wipe(full)
	})
	return pub
}

// Destroy wipes the seed.
func (k Key) Destroy() { k.seed.Destroy() }

// First makes version 0 and signs it.
func (k Key) First(policy, logKey []byte, now int64) (Signed, error) {
	return k.sign(Charter{Format: format, Time: now, Mode: Solo, Installation: k.Public(), LogKey: logKey, Policy: policy})
}

// Next makes the version that follows prev, with another policy, and signs it.
func (k Key) Next(prev Signed, policy []byte, now int64) (Signed, error) {
	c := prev.Charter
	c.Version, c.Previous, c.Time, c.Policy = c.Version+1, prev.Hash(), now, policy
	return k.sign(c)
}

func (k Key) sign(c Charter) (Signed, error) {
	body, err := canonical.Marshal(c)
	if err != nil {
		return Signed{}, fmt.Errorf("charter: %w", err)
	}
	var sig []byte
	secret.Do(func() {
		full := ed25519.NewKeyFromSeed(k.seed.View())
		sig = ed25519.Sign(full, append([]byte(signLabel), body...))
		secret.Wipe(full)
	})
	return Signed{c, body, sig}, nil
}

// Parse reads one version strictly. It does not check the signature: see Verify.
func Parse(body, signature []byte) (Signed, error) {
	if len(body) > MaxSize {
		return Signed{}, fmt.Errorf("%w: %d bytes, at most %d", ErrInvalid, len(body), MaxSize)
	}
	var c Charter
	if err := strict.Unmarshal(body, &c); err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	again, err := canonical.Marshal(c)
	if err != nil || !bytes.Equal(again, body) {
		return Signed{}, fmt.Errorf("%w: not in canonical form", ErrInvalid)
	}
	switch {
	case c.Format != format:
		return Signed{}, fmt.Errorf("%w: unknown format %q", ErrInvalid, c.Format)
	case c.Mode != Solo:
		return Signed{}, fmt.Errorf("%w: unknown mode %q", ErrInvalid, c.Mode)
	case len(c.Installation) != ed25519.PublicKeySize || len(c.LogKey) != ed25519.PublicKeySize:
		return Signed{}, fmt.Errorf("%w: a public key is not %d bytes long", ErrInvalid, ed25519.PublicKeySize)
	}
	return Signed{c, body, signature}, nil
}

// Verify checks a whole chain, oldest first: numbers, hashes, times and
// signatures. In solo mode each version is signed by the installation key that
// version 0 names, and neither that key nor the log's may change.
func Verify(chain []Signed) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", ErrInvalid)
	}
	first := chain[0].Charter
	for i, s := range chain {
		c := s.Charter
		switch {
		case c.Version != uint64(i):
			return fmt.Errorf("%w: version %d stands where %d should", ErrInvalid, c.Version, i)
		case i == 0 && c.Previous != [32]byte{}, i > 0 && c.Previous != chain[i-1].Hash():
			return fmt.Errorf("%w: version %d does not follow the one before", ErrInvalid, i)
		case i > 0 && c.Time < chain[i-1].Charter.Time:
			return fmt.Errorf("%w: version %d is older than the one before", ErrInvalid, i)
		case !bytes.Equal(c.Installation, first.Installation), !bytes.Equal(c.LogKey, first.LogKey):
			return fmt.Errorf("%w: version %d changes a key that solo mode cannot change", ErrInvalid, i)
		case !ed25519.Verify(first.Installation, append([]byte(signLabel), s.Body...), s.Signature):
			return fmt.Errorf("%w: version %d is not signed by the installation key", ErrInvalid, i)
		}
	}
	return nil
}

var canonical = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()
