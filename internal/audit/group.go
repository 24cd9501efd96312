package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Entry is one record as the log keeps it. An erased entry has lost nonce and
// record; its leaf stays, so that neither chain nor tree changes.
type Entry struct {
	Sequence uint64
	Nonce    [32]byte
	Record   []byte // canonical; nil when erased
	Leaf     []byte // of an erased entry; else nil
}

// Erased reports whether only the leaf is left.
func (e Entry) Erased() bool { return e.Leaf != nil }

// LeafData is what stands for the entry in the tree.
func (e Entry) LeafData() []byte {
	if e.Erased() {
		return e.Leaf
	}
	return Leaf(e.Sequence, e.Nonce, e.Record)
}

// Erase returns the entry without nonce and record.
func (e Entry) Erase() Entry { return Entry{Sequence: e.Sequence, Leaf: e.LeafData()} }

// maxSequence keeps sequences within every bigint and within the powers of two
// that tlog can count to.
const maxSequence = 1 << 60

// MaxGroup is the most entries that one group holds.
const MaxGroup = 1 << 16

const (
	groupVersion = 1
	groupHead    = 1 + 8 + 4
	keptHead     = 1 + 32 + 4
	erasedLength = 1 + 32

	kindKept   = 0
	kindErased = 1
)

// AppendGroup appends the encoding of one group: the entries of one commit, or a
// page of them on the wire. They must be consecutive, 1 to MaxGroup, of records
// that Check accepts; anything else is a mistake of the program and panics, for
// a log that cannot be read is worse than a node that stops.
func AppendGroup(dst []byte, entries []Entry) []byte {
	if len(entries) == 0 || len(entries) > MaxGroup {
		panic(fmt.Sprintf("audit: a group of %d entries", len(entries)))
	}
	size := groupHead
	for _, e := range entries {
		size += keptHead + len(e.Record)
	}
	dst = slices.Grow(dst, size)
	dst = append(dst, groupVersion)
	dst = binary.BigEndian.AppendUint64(dst, entries[0].Sequence)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(entries)))
	for i, e := range entries {
		switch {
		case e.Sequence == 0 || e.Sequence != entries[0].Sequence+uint64(i):
			panic("audit: the entries of a group are not consecutive")
		case e.Erased():
			dst = append(dst, kindErased)
			dst = append(dst, e.Leaf[leafLength-32:leafLength]...)
		case len(e.Record) == 0 || len(e.Record) > MaxRecord:
			panic(fmt.Sprintf("audit: a record of %d bytes", len(e.Record)))
		default:
			dst = append(dst, kindKept)
			dst = append(dst, e.Nonce[:]...)
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(e.Record)))
			dst = append(dst, e.Record...)
		}
	}
	return dst
}

var errGroupShort = errors.New("audit group: cut short")

// DecodeGroup reads what AppendGroup wrote. The records in the entries are not
// decoded and share their memory with body.
func DecodeGroup(body []byte) ([]Entry, error) {
	if len(body) < groupHead {
		return nil, errGroupShort
	}
	if body[0] != groupVersion {
		return nil, fmt.Errorf("audit group: unknown version %d", body[0])
	}
	first, count := binary.BigEndian.Uint64(body[1:]), binary.BigEndian.Uint32(body[9:])
	rest := body[groupHead:]
	switch {
	case first == 0 || first > maxSequence-MaxGroup:
		return nil, fmt.Errorf("audit group: first sequence %d", first)
	case count == 0 || count > MaxGroup:
		return nil, fmt.Errorf("audit group: %d entries, want 1 to %d", count, MaxGroup)
	case len(rest) < int(count)*erasedLength:
		return nil, errGroupShort
	}
	entries := make([]Entry, count)
	for i := range entries {
		n, err := entries[i].decode(first+uint64(i), rest)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("audit group: %d bytes too many", len(rest))
	}
	return entries, nil
}

func (e *Entry) decode(sequence uint64, b []byte) (n int, err error) {
	e.Sequence = sequence
	switch {
	case len(b) < erasedLength:
		return 0, errGroupShort
	case b[0] == kindErased:
		e.Leaf = make([]byte, 0, leafLength)
		e.Leaf = append(e.Leaf, leafVersion)
		e.Leaf = binary.BigEndian.AppendUint64(e.Leaf, sequence)
		e.Leaf = append(e.Leaf, b[1:erasedLength]...)
		return erasedLength, nil
	case b[0] != kindKept:
		return 0, fmt.Errorf("audit group: entry %d has unknown kind %d", sequence, b[0])
	case len(b) < keptHead:
		return 0, errGroupShort
	}
	length := binary.BigEndian.Uint32(b[33:])
	if length == 0 || length > MaxRecord {
		return 0, fmt.Errorf("audit group: entry %d has a record of %d bytes", sequence, length)
	}
	n = keptHead + int(length)
	if len(b) < n {
		return 0, errGroupShort
	}
	copy(e.Nonce[:], b[1:])
	e.Record = b[keptHead:n:n]
	return n, nil
}
