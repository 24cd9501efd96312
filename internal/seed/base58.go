package seed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
)

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58Check is the encoding of Bitcoin's addresses and keys: four bytes of a
// double SHA-256 follow b, and all are digits to the base of 58, a zero byte in
// front being a 1.
func base58Check(b []byte) string {
	b = append(b, checksum58(b)...)
	var digits []byte // the least significant first
	for _, c := range b {
		carry := int(c)
		for i := range digits {
			carry += int(digits[i]) << 8
			digits[i] = byte(carry % 58)
			carry /= 58
		}
		for ; carry > 0; carry /= 58 {
			digits = append(digits, byte(carry%58))
		}
	}
	for i := 0; i < len(b) && b[i] == 0; i++ {
		digits = append(digits, 0)
	}
	text := make([]byte, 0, len(digits))
	for i := len(digits) - 1; i >= 0; i-- {
		text = append(text, alphabet[digits[i]])
	}
	return string(text)
}

// parseBase58Check is the way back. The caller has bounded s.
func parseBase58Check(s string) ([]byte, error) {
	var b []byte // the least significant first
	for i := range len(s) {
		carry := strings.IndexByte(alphabet, s[i])
		if carry < 0 {
			return nil, errors.New("a character that is not of base 58")
		}
		for j := range b {
			carry += int(b[j]) * 58
			b[j] = byte(carry)
			carry >>= 8
		}
		for ; carry > 0; carry >>= 8 {
			b = append(b, byte(carry))
		}
	}
	for i := 0; i < len(s) && s[i] == alphabet[0]; i++ {
		b = append(b, 0)
	}
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	n := len(b) - 4
	if n < 0 || !bytes.Equal(checksum58(b[:n]), b[n:]) {
		return nil, errors.New("the checksum is wrong")
	}
	return b[:n], nil
}

func checksum58(b []byte) []byte {
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return second[:4]
}
