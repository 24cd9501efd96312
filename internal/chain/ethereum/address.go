package ethereum

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Address is an account: the last 20 bytes of Keccak-256 over its public point.
type Address [20]byte

// keccak is Keccak-256 as it was before FIPS 202 changed the padding.
func keccak(parts ...[]byte) (sum [32]byte) {
	h := sha3.NewLegacyKeccak256()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// String prints the address with the checksum of EIP-55.
func (a Address) String() string {
	var out [42]byte
	out[0], out[1] = '0', 'x'
	digits := out[2:]
	hex.Encode(digits, a[:])
	sum := keccak(digits)
	for i, c := range digits {
		nibble := sum[i/2] >> 4
		if i%2 == 1 {
			nibble = sum[i/2] & 15
		}
		if c >= 'a' && nibble >= 8 {
			digits[i] = c - 'a' + 'A'
		}
	}
	return string(out[:])
}

// lower is the form that asset ids use.
func (a Address) lower() string { return hexBytes(a[:]) }

// ParseAddress reads 0x and 40 hex digits: all lower case, all upper case, or
// mixed with the right checksum of EIP-55.
func ParseAddress(s string) (a Address, err error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok || len(digits) != 40 {
		return a, errors.New("not an address: want 0x and 40 hex digits")
	}
	if _, err := hex.Decode(a[:], []byte(digits)); err != nil {
		return a, errors.New("not an address: want 0x and 40 hex digits")
	}
	if digits == strings.ToLower(digits) || digits == strings.ToUpper(digits) {
		return a, nil
	}
	if want := a.String(); want[2:] != digits {
		return Address{}, fmt.Errorf("address %s has a wrong checksum (EIP-55), so at least one character is wrong: check it where you got it", s)
	}
	return a, nil
}

// spkiPrefix is what stands in front of an uncompressed secp256k1 point in its
// SubjectPublicKeyInfo, up to and with the point's 0x04.
var spkiPrefix = func() []byte {
	pub, err := key.MarshalSecp256k1([65]byte{4})
	if err != nil {
		panic(err) // the input is constant
	}
	return pub[:len(pub)-64]
}()

// AddressOf computes the address of a secp256k1 public key.
func AddressOf(pub key.Public) (a Address, err error) {
	point, ok := bytes.CutPrefix(pub, spkiPrefix)
	if !ok || len(point) != 64 {
		return a, errors.New("an Ethereum address needs a secp256k1 public key")
	}
	sum := keccak(point)
	copy(a[:], sum[12:])
	return a, nil
}

// sender is who a payload comes from, as far as it is known.
type sender struct {
	address Address
	known   bool
}

func senderOf(pub key.Public) (sender, error) {
	if len(pub) == 0 {
		return sender{}, nil
	}
	a, err := AddressOf(pub)
	return sender{a, err == nil}, err
}

func (s sender) String() string {
	if !s.known {
		return ""
	}
	return s.address.String()
}

// creates is the address of the contract that this sender deploys with nonce
// (Yellow Paper, section 7, equation 86).
func (s sender) creates(nonce uint64) Address {
	content := appendUint(appendBytes(nil, s.address[:]), nonce)
	sum := keccak(appendList(nil, content))
	return Address(sum[12:])
}

func hexBytes(b []byte) string { return "0x" + hex.EncodeToString(b) }

// hexText decodes text that is nothing but hex digits, with or without 0x.
var hexText = chain.HexText
