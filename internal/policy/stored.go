package policy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Stored is a request as it is kept, hashed and, later, voted on: canonical CBOR
// by RFC 8949, section 4.2.1 (docs/formats/request.md). It is no proof of
// anything: to act on it, make a new Request of what it says.
type Stored struct {
	Format       string        `cbor:"1,keyasint"`
	Installation [32]byte      `cbor:"2,keyasint"`
	Verb         key.Verb      `cbor:"3,keyasint"`
	KeyID        key.ID        `cbor:"4,keyasint,omitempty"`
	KeyVersion   key.Version   `cbor:"5,keyasint,omitempty"`
	Public       []byte        `cbor:"6,keyasint,omitempty"` // SHA-256 of the public key's DER
	Domain       key.Domain    `cbor:"7,keyasint,omitempty"`
	Algorithm    key.Algorithm `cbor:"8,keyasint,omitempty"`
	Type         chain.Type    `cbor:"9,keyasint,omitempty"`
	Hash         uint          `cbor:"10,keyasint,omitempty"` // Go's number of the digest function
	Payload      []byte        `cbor:"11,keyasint"`
	Context      []chain.Pair  `cbor:"12,keyasint,omitempty"`
	Path         string        `cbor:"13,keyasint,omitempty"`
	Subject      string        `cbor:"14,keyasint,omitempty"`
	Actor        string        `cbor:"15,keyasint"`
	Created      int64         `cbor:"16,keyasint"`           // log time, ms
	Expires      int64         `cbor:"17,keyasint,omitempty"` // log time, ms
	Network      string        `cbor:"18,keyasint,omitempty"` // that the caller named, where the payload does not
}

const requestFormat = "keyward/request/v1"

// maxStored leaves room for all that stands beside the payload.
const maxStored = chain.MaxPayload + 1<<16

var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxMapPairs: 18, MaxArrayElements: 16,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// ParseStored reads what Request.Bytes wrote and refuses every other form.
func ParseStored(b []byte) (Stored, error) {
	var s Stored
	if len(b) > maxStored {
		return s, fmt.Errorf("stored request: %d bytes, at most %d", len(b), maxStored)
	}
	if err := strict.Unmarshal(b, &s); err != nil {
		return Stored{}, fmt.Errorf("stored request: %w", err)
	}
	switch {
	case s.Format != requestFormat:
		return Stored{}, fmt.Errorf("stored request: format %q, want %s", clip(s.Format), requestFormat)
	case len(s.Public) != 0 && len(s.Public) != 32:
		return Stored{}, fmt.Errorf("stored request: hash of the public key has %d bytes, want 32", len(s.Public))
	case !bytes.Equal(s.encode(), b):
		return Stored{}, errors.New("stored request: not in canonical form")
	}
	return s, nil
}

// encode writes the canonical form by hand, because it runs for every use of a
// key: a reflecting encoder takes longer than the whole decision.
func (s *Stored) encode() []byte {
	const rest = 320 // more than all that is usual beside payload, context and names
	e := encoder{b: make([]byte, 0, rest+len(s.Payload)+len(s.Path)+len(s.Subject)+len(s.Actor)+96*len(s.Context))}
	e.b = append(e.b, 0) // the head of the map, known at the end: at most 18 pairs fit into one byte
	e.text(1, s.Format)
	e.bytes(2, s.Installation[:])
	e.text(3, string(s.Verb))
	e.textIf(4, string(s.KeyID))
	e.uintIf(5, uint64(s.KeyVersion))
	if len(s.Public) > 0 {
		e.bytes(6, s.Public)
	}
	e.textIf(7, string(s.Domain))
	e.textIf(8, string(s.Algorithm))
	e.textIf(9, string(s.Type))
	e.uintIf(10, uint64(s.Hash))
	e.bytes(11, s.Payload)
	if len(s.Context) > 0 {
		e.key(12)
		e.head(majorArray, uint64(len(s.Context)))
		for _, p := range s.Context {
			e.head(majorMap, 2)
			e.head(majorUint, 1)
			e.string(majorText, p.Name)
			e.head(majorUint, 2)
			e.string(majorText, p.Value)
		}
	}
	e.textIf(13, s.Path)
	e.textIf(14, s.Subject)
	e.text(15, s.Actor)
	e.int(16, s.Created)
	if s.Expires != 0 {
		e.int(17, s.Expires)
	}
	e.textIf(18, s.Network)
	e.b[0] = majorMap | byte(e.pairs)
	return e.b
}

// The major types of CBOR, shifted to where they stand (RFC 8949, section 3.1).
const (
	majorUint  = 0 << 5
	majorNeg   = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
)

type encoder struct {
	b     []byte
	pairs int
}

// head writes a type and its argument in the shortest form (section 4.2.1).
func (e *encoder) head(major byte, n uint64) {
	switch {
	case n < 24:
		e.b = append(e.b, major|byte(n))
	case n < 1<<8:
		e.b = append(e.b, major|24, byte(n))
	case n < 1<<16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, major|25), uint16(n))
	case n < 1<<32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, major|26), uint32(n))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, major|27), n)
	}
}

func (e *encoder) key(k uint64) {
	e.pairs++
	e.head(majorUint, k)
}

func (e *encoder) string(major byte, s string) {
	e.head(major, uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) text(k uint64, s string) {
	e.key(k)
	e.string(majorText, s)
}

func (e *encoder) textIf(k uint64, s string) {
	if s != "" {
		e.text(k, s)
	}
}

func (e *encoder) bytes(k uint64, b []byte) {
	e.key(k)
	e.head(majorBytes, uint64(len(b)))
	e.b = append(e.b, b...)
}

func (e *encoder) uintIf(k, n uint64) {
	if n != 0 {
		e.key(k)
		e.head(majorUint, n)
	}
}

func (e *encoder) int(k uint64, n int64) {
	e.key(k)
	if n < 0 {
		e.head(majorNeg, uint64(-1-n))
		return
	}
	e.head(majorUint, uint64(n))
}
