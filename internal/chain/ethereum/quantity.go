package ethereum

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// quantities reads the strings of a transaction object; the first error sticks
// and names its field.
type quantities struct{ err error }

func (q *quantities) fail(name string, err error) {
	if q.err == nil {
		q.err = fmt.Errorf("%s: %w", name, err)
	}
}

// present reports a missing field together with what to add.
func (q *quantities) present(name string, s *string, add string) bool {
	if s == nil {
		q.fail(name, fmt.Errorf("missing: %s", add))
	}
	return s != nil
}

func (q *quantities) uint64(name string, s *string, add string) uint64 {
	if !q.present(name, s, add) {
		return 0
	}
	n, err := parseUint64(*s)
	if err != nil {
		q.fail(name, err)
	}
	return n
}

func (q *quantities) big(name string, s *string, add string) *big.Int {
	n := new(big.Int)
	if !q.present(name, s, add) {
		return n
	}
	digits, err := quantityDigits(*s, 64)
	if err != nil {
		q.fail(name, err)
		return n
	}
	var b [32]byte
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	used, err := hex.Decode(b[:], []byte(digits))
	if err != nil {
		q.fail(name, errNotHex)
		return n
	}
	return n.SetBytes(b[:used])
}

func (q *quantities) address(name string, s *string) *Address {
	if s == nil {
		return nil
	}
	a, err := ParseAddress(*s)
	if err != nil {
		q.fail(name, err)
	}
	return &a
}

// data reads the call data from either of its two names.
func (q *quantities) data(data, input *string) []byte {
	name := "data"
	switch {
	case data == nil && input == nil:
		return nil
	case data == nil:
		name, data = "input", input
	case input != nil && !strings.EqualFold(*data, *input):
		q.fail("input", errors.New("differs from data: give one of them"))
	}
	b, err := parseBytes(*data)
	if err != nil {
		q.fail(name, err)
	}
	return b
}

var (
	errNotHex = errors.New(`want hex digits after 0x`)
	errNo0x   = errors.New(`want a hex quantity in quotes, such as "0x1"`)
)

// quantityDigits takes the 0x off a canonical quantity: no leading zeros, "0x0"
// for zero, at most max digits.
func quantityDigits(s string, max int) (string, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	switch {
	case !ok:
		return "", errNo0x
	case digits == "":
		return "", errors.New(`no digits after 0x: zero is "0x0"`)
	case digits[0] == '0' && len(digits) > 1:
		return "", errors.New("leading zeros: write the quantity without them")
	case len(digits) > max:
		return "", fmt.Errorf("more than %d bits", 4*max)
	}
	return digits, nil
}

func parseUint64(s string) (uint64, error) {
	digits, err := quantityDigits(s, 16)
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, c := range []byte(digits) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, errNotHex
		}
		n = n<<4 | uint64(c)
	}
	return n, nil
}

// parseBytes reads 0x and an even number of hex digits, also none.
func parseBytes(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return nil, errors.New("want hex bytes with 0x in front")
	}
	if len(digits)%2 != 0 {
		return nil, errors.New("an odd number of hex digits")
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errNotHex
	}
	return b, nil
}
