package key

import (
	"encoding/binary"
	"strings"
)

// Bytes is the id in binary, as byte formats carry it: the 128 bits behind the
// prefix, big-endian.
func (id ID) Bytes() (b [16]byte, err error) {
	if _, err := ParseID(string(id)); err != nil {
		return b, err
	}
	// 26 letters are 130 bits, of which the first two are zero.
	var hi, lo uint64
	for i := len(idPrefix); i < len(id); i++ {
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(strings.IndexByte(alphabet, id[i]))
	}
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return b, nil
}

// IDOf is the id whose Bytes are b; every b is one.
func IDOf(b [16]byte) ID { return ID(idPrefix + letters(b)) }

// letters writes 128 bits as 26 groups of five, the first of them of three.
func letters(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [idLetters]byte
	for i := idLetters - 1; i >= 0; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
