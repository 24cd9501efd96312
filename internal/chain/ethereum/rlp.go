package ethereum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

// RLP as in the Yellow Paper, appendix B, canonical form only: the shortest
// length prefix, no length in front of a single byte below 0x80, nothing after
// the end. Nothing is copied and nothing grows with what a prefix claims.

var (
	errRLPShort    = errors.New("RLP ends early")
	errRLPTrailing = errors.New("RLP has bytes after its end")
	errRLPByte     = errors.New("RLP puts a length in front of a single byte below 0x80")
	errRLPLength   = errors.New("RLP length is not in its shortest form")
	errRLPHuge     = errors.New("RLP length is beyond any payload")
	errRLPDeep     = errors.New("RLP lists are nested too deeply")
	errRLPZero     = errors.New("integer with leading zeros")
)

const (
	rlpMaxDepth = 16 // lists within lists; a transaction needs 4
	rlpMaxSize  = 3  // bytes of a length prefix: beyond chain.MaxPayload, and never negative
	rlpEmpty    = 0x80
	rlpList     = 0xc0
)

// item is a string's bytes or a list's content, borrowed from the input.
type item struct {
	list bool
	body []byte
}

// nextItem splits the first item off b. What is inside a list is not looked at.
func nextItem(b []byte) (it item, rest []byte, err error) {
	if len(b) == 0 {
		return item{}, nil, errRLPShort
	}
	first := b[0]
	if first < rlpEmpty {
		return item{body: b[:1]}, b[1:], nil
	}
	short, base := int(first&0x3f), 1
	size := short
	if short > 55 {
		if size, err = longSize(b[1:], short-55); err != nil {
			return item{}, nil, err
		}
		base += short - 55
	}
	if len(b)-base < size {
		return item{}, nil, errRLPShort
	}
	it = item{list: first >= rlpList, body: b[base : base+size]}
	if !it.list && size == 1 && it.body[0] < rlpEmpty {
		return item{}, nil, errRLPByte
	}
	return it, b[base+size:], nil
}

// longSize reads a length of n big-endian bytes.
func longSize(b []byte, n int) (int, error) {
	switch {
	case len(b) < n:
		return 0, errRLPShort
	case b[0] == 0:
		return 0, errRLPLength
	case n > rlpMaxSize:
		return 0, errRLPHuge
	}
	size := 0
	for _, c := range b[:n] {
		size = size<<8 | int(c)
	}
	if size <= 55 {
		return 0, errRLPLength
	}
	return size, nil
}

// onlyList returns the content of the one list that b is.
func onlyList(b []byte) ([]byte, error) {
	it, rest, err := nextItem(b)
	switch {
	case err != nil:
		return nil, err
	case !it.list:
		return nil, errors.New("RLP is a string, want a list")
	case len(rest) != 0:
		return nil, errRLPTrailing
	}
	return it.body, nil
}

// countItems walks the items of a list's content.
func countItems(content []byte) (n int, err error) {
	for len(content) > 0 {
		if _, content, err = nextItem(content); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// checkRLP accepts b when it is exactly one item, canonical down to its leaves.
func checkRLP(b []byte) error {
	it, rest, err := nextItem(b)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return errRLPTrailing
	}
	return checkItem(it, rlpMaxDepth)
}

func checkItem(it item, depth int) error {
	if !it.list {
		return nil
	}
	if depth == 0 {
		return errRLPDeep
	}
	for content := it.body; len(content) > 0; {
		inner, rest, err := nextItem(content)
		if err != nil {
			return err
		}
		if err := checkItem(inner, depth-1); err != nil {
			return err
		}
		content = rest
	}
	return nil
}

// fields reads a list's items one after the other by name; the first error
// sticks and names its field.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (f *fields) next(name string, list bool) []byte {
	if f.err != nil {
		return nil
	}
	it, rest, err := nextItem(f.rest)
	if err != nil {
		f.fail(name, err)
		return nil
	}
	f.rest = rest
	if it.list != list {
		want := "string"
		if list {
			want = "list"
		}
		f.fail(name, fmt.Errorf("want an RLP %s", want))
		return nil
	}
	return it.body
}

func (f *fields) bytes(name string) []byte { return f.next(name, false) }

// integer reads a scalar of at most max bytes, big-endian, without leading zeros.
func (f *fields) integer(name string, max int) []byte {
	b := f.next(name, false)
	switch {
	case len(b) > max:
		f.fail(name, fmt.Errorf("integer of more than %d bits", 8*max))
	case len(b) > 0 && b[0] == 0:
		f.fail(name, errRLPZero)
	default:
		return b
	}
	return nil
}

func (f *fields) uint64(name string) uint64 {
	var n uint64
	for _, c := range f.integer(name, 8) {
		n = n<<8 | uint64(c)
	}
	return n
}

func (f *fields) big(name string) *big.Int {
	return new(big.Int).SetBytes(f.integer(name, 32))
}

// word reads a scalar into 32 big-endian bytes.
func (f *fields) word(name string) (w [32]byte) {
	b := f.integer(name, 32)
	copy(w[32-len(b):], b)
	return w
}

// address reads 20 bytes, or none: nil.
func (f *fields) address(name string) *Address {
	b := f.next(name, false)
	if len(b) == 0 {
		return nil
	}
	if len(b) != len(Address{}) {
		f.fail(name, fmt.Errorf("address of %d bytes, want 20", len(b)))
		return nil
	}
	a := Address(b)
	return &a
}

// end refuses what is left.
func (f *fields) end() error {
	if f.err == nil && len(f.rest) != 0 {
		f.err = errRLPTrailing
	}
	return f.err
}

func appendHeader(dst []byte, offset byte, size int) []byte {
	if size <= 55 {
		return append(dst, offset+byte(size))
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(size))
	n := (bits.Len(uint(size)) + 7) / 8
	return append(append(dst, offset+55+byte(n)), b[8-n:]...)
}

func appendBytes(dst, b []byte) []byte {
	if len(b) == 1 && b[0] < rlpEmpty {
		return append(dst, b[0])
	}
	return append(appendHeader(dst, rlpEmpty, len(b)), b...)
}

// appendList encodes a list whose items are encoded already.
func appendList(dst, content []byte) []byte {
	return append(appendHeader(dst, rlpList, len(content)), content...)
}

func appendUint(dst []byte, n uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return appendInteger(dst, b[:])
}

// appendInteger encodes a big-endian scalar; leading zeros are dropped.
func appendInteger(dst, b []byte) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return appendBytes(dst, b)
}

// appendBig encodes a scalar of at most 256 bits.
func appendBig(dst []byte, n *big.Int) []byte {
	var b [32]byte
	return appendInteger(dst, n.FillBytes(b[:]))
}

func appendAddress(dst []byte, a *Address) []byte {
	if a == nil {
		return append(dst, rlpEmpty)
	}
	return appendBytes(dst, a[:])
}
