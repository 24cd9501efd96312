package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// sum is a number mod 2^256, least significant word first.
type sum [4]uint64

func (s *sum) add(mac *[32]byte) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.BigEndian.Uint64(mac[24-8*i:]), carry)
	}
}

func (s *sum) subtract(mac *[32]byte) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], binary.BigEndian.Uint64(mac[24-8*i:]), borrow)
	}
}

// sums are the sums of all summed tables, sorted by name. A table without rows
// has the sum zero and no entry.
type sums []tableSum

type tableSum struct {
	table string
	sum   sum
}

// of returns the sum of a table, for good or for as long as none is added.
func (s *sums) of(table string) *sum {
	i, found := slices.BinarySearchFunc(*s, table, func(e tableSum, name string) int { return cmp.Compare(e.table, name) })
	if !found {
		*s = slices.Insert(*s, i, tableSum{table: table})
	}
	return &(*s)[i].sum
}

// encode writes name (tagged text) and sum (32 bytes, big-endian) of each entry
// that is not zero, in order.
func (s sums) encode() []byte {
	b := []byte{}
	for _, e := range s {
		if e.sum == (sum{}) {
			continue
		}
		b = appendText(b, e.table)
		for i := range e.sum {
			b = binary.BigEndian.AppendUint64(b, e.sum[3-i])
		}
	}
	return b
}

var errSums = errors.New("sums are not in their canonical form")

// decodeSums reads what encode wrote and refuses everything else.
func decodeSums(b []byte) (sums, error) {
	var all sums
	for len(b) > 0 {
		if len(b) < 5 || b[0] != tagText {
			return nil, errSums
		}
		n := uint64(binary.BigEndian.Uint32(b[1:]))
		if uint64(len(b)) < 5+n+32 {
			return nil, errSums
		}
		e := tableSum{table: string(b[5 : 5+n])}
		e.sum.add((*[32]byte)(b[5+n:]))
		if e.sum == (sum{}) || len(all) > 0 && all[len(all)-1].table >= e.table {
			return nil, errSums
		}
		all = append(all, e)
		b = b[5+n+32:]
	}
	return all, nil
}
