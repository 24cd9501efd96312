package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// The phases of a record. An operation writes Begun before its effect and Ended
// after it; Done (its effect is in the same commit), Denied, Waiting, Counted
// (many small things in one record) and Noted (what nobody asked for) stand
// alone.
const (
	Begun   = "begun"
	Ended   = "ended"
	Denied  = "denied"
	Waiting = "waiting"
	Counted = "counted"
	Noted   = "noted"
	Done    = "done"
)

// Unknown begins the Outcome of an operation of which nobody knows what left.
const Unknown = "unknown"

// Bounds of what is read. A Record that Check accepts stays within them.
const (
	MaxRecord = 1 << 20 // bytes of one encoded record
	maxList   = 1 << 14 // rules or charges of one record
)

// Record is one entry of the log. Its encoding is docs/formats/log.md.
type Record struct {
	Sequence  uint64   `cbor:"1,keyasint"` // from 1
	Time      int64    `cbor:"2,keyasint"` // log time, ms
	Node      string   `cbor:"3,keyasint,omitzero"`
	Action    string   `cbor:"4,keyasint"` // dotted: key.sign
	Phase     string   `cbor:"5,keyasint"`
	Operation string   `cbor:"6,keyasint,omitzero"`
	Actor     string   `cbor:"7,keyasint,omitzero"`
	Source    string   `cbor:"8,keyasint,omitzero"`
	Subject   string   `cbor:"9,keyasint,omitzero"`
	Request   [32]byte `cbor:"10,keyasint,omitzero"` // digest of the request that was judged
	Decision  string   `cbor:"11,keyasint,omitzero"`
	Rules     []string `cbor:"12,keyasint,omitempty"`
	Charter   uint64   `cbor:"13,keyasint,omitzero"`
	Epoch     uint64   `cbor:"14,keyasint,omitzero"`
	Charges   []Charge `cbor:"15,keyasint,omitempty"`
	Outcome   string   `cbor:"16,keyasint,omitzero"`
	Result    [32]byte `cbor:"17,keyasint,omitzero"` // digest of what left
	Count     uint64   `cbor:"18,keyasint,omitzero"`
	Detail    string   `cbor:"19,keyasint,omitzero"`
	Previous  [32]byte `cbor:"20,keyasint"` // running hash before this record; always the last 32 bytes
}

// Charge is what an operation spends.
type Charge struct {
	Asset       string `cbor:"1,keyasint"` // CAIP-19
	Destination string `cbor:"2,keyasint"`
	Amount      string `cbor:"3,keyasint"` // base units, decimal
}

// RFC 8949, section 4.2.1; nothing that has two spellings is accepted.
var (
	encoding = must(cbor.CoreDetEncOptions().UserBufferEncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  maxList,
		MaxMapPairs:       32,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return v
}

// scratch is what one Encode works in. Without it, a record costs twice as much.
type scratch struct {
	record Record
	buffer bytes.Buffer
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Encode returns the canonical CBOR of r. Text that is not UTF-8 is mended, so
// that no stranger's bytes make a record unreadable.
func (r Record) Encode() []byte {
	s := scratches.Get().(*scratch)
	s.record = r
	s.record.mend()
	s.buffer.Reset()
	if err := encoding.MarshalToBuffer(&s.record, &s.buffer); err != nil {
		panic(err) // no field of a Record can fail to encode
	}
	b := bytes.Clone(s.buffer.Bytes())
	s.record = Record{}
	if s.buffer.Cap() <= 1<<16 {
		scratches.Put(s)
	}
	return b
}

// mend makes all text UTF-8, without touching memory that it shares.
func (r *Record) mend() {
	for _, s := range r.texts() {
		mend(s)
	}
	for i, rule := range r.Rules {
		if !utf8.ValidString(rule) {
			r.Rules = slices.Clone(r.Rules)
			mend(&r.Rules[i])
		}
	}
	for i, c := range r.Charges {
		if !utf8.ValidString(c.Asset) || !utf8.ValidString(c.Destination) || !utf8.ValidString(c.Amount) {
			r.Charges = slices.Clone(r.Charges)
			mend(&r.Charges[i].Asset)
			mend(&r.Charges[i].Destination)
			mend(&r.Charges[i].Amount)
		}
	}
}

func mend(s *string) {
	if !utf8.ValidString(*s) {
		*s = strings.ToValidUTF8(*s, "\uFFFD")
	}
}

func (r *Record) texts() [10]*string {
	return [10]*string{&r.Node, &r.Action, &r.Phase, &r.Operation, &r.Actor, &r.Source, &r.Subject, &r.Decision, &r.Outcome, &r.Detail}
}

// Check refuses a record that could be written but never be read again. It does
// not look at Sequence and Previous, which are known only inside the commit.
func (r Record) Check() error {
	r.mend()
	size := 512 // numbers, digests and heads
	for _, s := range r.texts() {
		size += len(*s)
	}
	for _, rule := range r.Rules {
		size += 8 + len(rule)
	}
	for _, c := range r.Charges {
		size += 32 + len(c.Asset) + len(c.Destination) + len(c.Amount)
	}
	switch {
	case r.Time < 0:
		return errors.New("audit record: time before 1970")
	case r.Action == "":
		return errors.New("audit record: no action")
	case len(r.Rules) > maxList:
		return fmt.Errorf("audit record: %d rules, at most %d", len(r.Rules), maxList)
	case len(r.Charges) > maxList:
		return fmt.Errorf("audit record: %d charges, at most %d", len(r.Charges), maxList)
	case size > MaxRecord:
		return fmt.Errorf("audit record: about %d bytes, at most %d", size, MaxRecord)
	}
	switch r.Phase {
	case Begun, Ended, Denied, Waiting, Counted, Noted, Done:
		return nil
	}
	return fmt.Errorf("audit record: unknown phase %q", clip(r.Phase))
}

// DecodeRecord reads what Encode wrote, and nothing else: unknown and repeated
// fields, other spellings and trailing bytes are refused.
func DecodeRecord(b []byte) (Record, error) {
	if len(b) > MaxRecord {
		return Record{}, fmt.Errorf("audit record: %d bytes, at most %d", len(b), MaxRecord)
	}
	var r Record
	if err := decoding.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("audit record: %w", err)
	}
	if !bytes.Equal(r.Encode(), b) {
		return Record{}, errors.New("audit record: not in canonical form")
	}
	if r.Sequence == 0 {
		return Record{}, errors.New("audit record: sequence 0")
	}
	return r, r.Check()
}

// previous reads the field Previous without decoding the rest: canonical form
// puts it last.
func previous(record []byte) (hash [32]byte, ok bool) {
	tail := len(record) - 35
	if tail < 0 || string(record[tail:tail+3]) != "\x14\x58\x20" { // key 20, 32 bytes
		return hash, false
	}
	return [32]byte(record[tail+3:]), true
}

const (
	leafVersion = 1
	leafLength  = 1 + 8 + 32
)

// Leaf is what the tree, and all that is ever published, holds of a record:
// version ‖ sequence (8 bytes, big-endian) ‖ SHA-256(nonce ‖ record). The nonce
// hides a record whose content could be guessed, and lets it be erased.
func Leaf(sequence uint64, nonce [32]byte, record []byte) []byte {
	hidden := make([]byte, 0, 1024) // on the stack, unless the record is a long one
	hidden = append(hidden, nonce[:]...)
	digest := sha256.Sum256(append(hidden, record...))
	leaf := make([]byte, 0, leafLength)
	leaf = append(leaf, leafVersion)
	leaf = binary.BigEndian.AppendUint64(leaf, sequence)
	return append(leaf, digest[:]...)
}

// wellFormed reports whether the leaf of an erased entry can be one.
func wellFormed(e Entry) bool {
	return len(e.Leaf) == leafLength && e.Leaf[0] == leafVersion && binary.BigEndian.Uint64(e.Leaf[1:]) == e.Sequence
}

const chainLabel = "keyward/log/v1\n"

// Chain is the running hash after a record:
// SHA-256("keyward/log/v1\n" ‖ previous ‖ leaf). Before the first record it is zero.
func Chain(previous [32]byte, leaf []byte) [32]byte {
	b := make([]byte, 0, len(chainLabel)+32+leafLength)
	b = append(b, chainLabel...)
	b = append(b, previous[:]...)
	return sha256.Sum256(append(b, leaf...))
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
