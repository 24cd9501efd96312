package bitcoin

import (
	"encoding/binary"
	"errors"
)

var (
	errShort     = errors.New("it ends too early")
	errCanonical = errors.New("a length that is not written in its shortest form")
)

// reader takes bytes off the front. What it returns is a part of the input, not
// a copy. After the first error it returns zeros and keeps the error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.rest)) {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// compact reads a compact size unsigned integer, in its shortest form alone.
func (r *reader) compact() uint64 {
	first := r.byte()
	var n, least uint64
	switch first {
	case 0xfd:
		if b := r.take(2); b != nil {
			n, least = uint64(binary.LittleEndian.Uint16(b)), 0xfd
		}
	case 0xfe:
		n, least = uint64(r.uint32()), 1<<16
	case 0xff:
		n, least = r.uint64(), 1<<32
	default:
		return uint64(first)
	}
	if r.err == nil && n < least {
		r.err = errCanonical
	}
	if r.err != nil {
		return 0
	}
	return n
}

// chunk reads bytes behind their compact size.
func (r *reader) chunk() []byte { return r.take(r.compact()) }

// end wants nothing to be left.
func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.err = errors.New("more bytes than belong to it")
	}
	return r.err
}

func appendCompact(b []byte, n uint64) []byte {
	switch {
	case n < 0xfd:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	case n < 1<<32:
		return binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xff), n)
}

func appendChunk(b, chunk []byte) []byte {
	return append(appendCompact(b, uint64(len(chunk))), chunk...)
}

func compactSize(n uint64) int { return len(appendCompact(nil, n)) }
