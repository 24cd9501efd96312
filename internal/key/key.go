// Package key is the vocabulary of keyward: what a key is called, what it is
// made of, what it may be used for and which state it is in. It holds no
// secrets, does no I/O and imports nothing of ours.
package key

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ID names a key for ever: "key_" and 26 lower-case Crockford base32 characters,
// in the layout of a ULID (48 bits of milliseconds, 80 random bits), so that ids
// sort by time of birth.
type ID string

// Version counts the generations of a key's material, from 1.
type Version uint32

// Ref names one version of one key.
type Ref struct {
	ID      ID
	Version Version
}

func (r Ref) String() string { return fmt.Sprintf("%s/%d", r.ID, r.Version) }

// Key is everything that is known about a key except its secret half.
type Key struct {
	ID         ID                `cbor:"1,keyasint"`
	Name       string            `cbor:"2,keyasint"`
	Spec       Spec              `cbor:"3,keyasint"`
	Usage      Usage             `cbor:"4,keyasint"`
	Domain     Domain            `cbor:"5,keyasint"`
	Origin     Origin            `cbor:"6,keyasint"`
	State      State             `cbor:"7,keyasint"`
	Owner      string            `cbor:"8,keyasint,omitempty"` // name of the actor that made it
	Tags       map[string]string `cbor:"9,keyasint,omitempty"`
	Exportable bool              `cbor:"10,keyasint,omitempty"`
	Created    int64             `cbor:"11,keyasint"`           // log time, ms
	DestroyAt  int64             `cbor:"12,keyasint,omitempty"` // log time, ms; in pending-destruction
	Resume     State             `cbor:"13,keyasint,omitempty"` // the state that cancelling a destruction returns to
	Current    Version           `cbor:"14,keyasint"`
	WordsShown bool              `cbor:"15,keyasint,omitempty"` // of a seed: somebody could write them down
	Versions   []VersionInfo     `cbor:"-"`                     // ascending, without gaps
}

// VersionInfo is the public part of one version.
type VersionInfo struct {
	Version Version
	Created int64  // log time, ms
	Public  Public // nil for symmetric keys
	Birth   []byte // evidence of how it was made, canonical CBOR
}

// Version finds v among the versions; 0 means the current one.
func (k Key) Version(v Version) (VersionInfo, bool) {
	if v == 0 {
		v = k.Current
	}
	for _, info := range k.Versions {
		if info.Version == v {
			return info, true
		}
	}
	return VersionInfo{}, false
}

// Domain says which payloads a key may sign; it is sealed with the key at birth.
type Domain string

// The domains of today. A raw key signs digests and bare messages for programs;
// a key of a chain's domain signs only what that chain's decoder understands.
const (
	Raw      Domain = "raw"
	Bitcoin  Domain = "bitcoin"
	Ethereum Domain = "ethereum"
	ByPath   Domain = "path" // of a seed alone: each account has the domain of its coin type
)

// The coin types of SLIP-44 that have a domain; of test networks all have 1.
const (
	coinBitcoin  = 0 + Hardened
	coinTest     = 1 + Hardened
	coinEthereum = 60 + Hardened
)

// At is the domain of the account at a path below a key of domain d. Where the
// path decides, it is by BIP-43 and BIP-44: m / purpose' / coin type' / ….
func (d Domain) At(p Path) (Domain, error) {
	if d != ByPath {
		return d, nil
	}
	if len(p) >= 2 && p[0] >= Hardened {
		switch p[1] {
		case coinBitcoin, coinTest:
			return Bitcoin, nil
		case coinEthereum:
			return Ethereum, nil
		}
	}
	return "", fmt.Errorf("path %s has no coin type that is known: use m/84h/0h/… for bitcoin, m/44h/60h/… for ethereum, or a seed with a domain of its own", p)
}

// Check refuses a domain that does not exist or does not fit the spec.
func (d Domain) Check(s Spec) error {
	switch {
	case d != Raw && d != Bitcoin && d != Ethereum && d != ByPath:
		return fmt.Errorf("unknown domain %q: use raw, bitcoin or ethereum", d)
	case s == HDSeed && d == Raw:
		return fmt.Errorf("a seed signs nothing raw: use domain bitcoin, ethereum or path")
	case s == HDSeed || d == Raw:
		return nil
	case d == ByPath:
		return fmt.Errorf("domain %q needs spec %s, got %s", d, HDSeed, s)
	case s != Secp256k1:
		return fmt.Errorf("domain %q needs spec %s, got %s", d, Secp256k1, s)
	}
	return nil
}

// Origin says where a key's material came from.
type Origin string

// The origins of today.
const (
	Generated Origin = "generated"
	Imported  Origin = "imported"
)

const (
	idPrefix  = "key_"
	idLetters = 26
	alphabet  = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford base32, lower case
)

var errID = errors.New("not a key id: want key_ and 26 Crockford base32 characters")

// NewID makes an id from a time in milliseconds since 1970 and 10 bytes of rand.
func NewID(ms int64, rand io.Reader) (ID, error) {
	s, err := ULID(ms, rand)
	if err != nil {
		return "", fmt.Errorf("new key id: %w", err)
	}
	return ID(idPrefix + s), nil
}

// ParseID checks the form of an id.
func ParseID(s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(rest) != idLetters || rest[0] > '7' {
		return "", fmt.Errorf("%q: %w", clip(s), errID)
	}
	for i := range rest {
		if strings.IndexByte(alphabet, rest[i]) < 0 {
			return "", fmt.Errorf("%q: %w", clip(s), errID)
		}
	}
	return ID(s), nil
}

// ULID makes the 26 characters that follow the prefix of every id in keyward:
// 48 bits of milliseconds and 80 bits of rand, big-endian, in lower-case
// Crockford base32.
func ULID(ms int64, rand io.Reader) (string, error) {
	var b [16]byte
	for i := range 6 {
		b[i] = byte(ms >> (8 * (5 - i)))
	}
	if _, err := io.ReadFull(rand, b[6:]); err != nil {
		return "", err
	}
	return letters(b), nil
}

// ValidName accepts 1 to 64 of a-z 0-9 . _ - beginning with a letter or digit,
// and nothing that could be taken for an id.
func ValidName(s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("name %q: want 1 to 64 characters", clip(s))
	}
	if strings.HasPrefix(s, idPrefix) {
		return fmt.Errorf("name %q: must not begin with %s, which marks an id", s, idPrefix)
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fmt.Errorf("name %q: want a-z, 0-9, and after the first also . _ -", s)
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// ULIDTime reads the time, in ms, out of what ULID made.
func ULIDTime(s string) (ms int64, ok bool) {
	if len(s) != idLetters || s[0] > '7' {
		return 0, false
	}
	for i := range s {
		n := strings.IndexByte(alphabet, s[i])
		if n < 0 {
			return 0, false
		}
		if i < 10 {
			ms = ms<<5 | int64(n)
		}
	}
	return ms, true
}
