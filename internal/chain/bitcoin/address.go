package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/key"
)

// AddressType is how the script of an address commits to one key.
type AddressType string

// The types of today, from the oldest on.
const (
	P2PKH      AddressType = "p2pkh"
	P2SHP2WPKH AddressType = "p2sh-p2wpkh" // BIP-49, BIP-141
	P2WPKH     AddressType = "p2wpkh"      // BIP-84, BIP-141
	P2TR       AddressType = "p2tr"        // BIP-86: Taproot with a key and no scripts
)

var addressTypes = []AddressType{P2PKH, P2SHP2WPKH, P2WPKH, P2TR}

// purposes are the first steps of paths (BIP-43) that choose a type.
var purposes = map[uint32]AddressType{
	44 + key.Hardened: P2PKH,
	49 + key.Hardened: P2SHP2WPKH,
	84 + key.Hardened: P2WPKH,
	86 + key.Hardened: P2TR,
}

// TypeAt is the type of the addresses below a path: by its purpose (BIP-44,
// BIP-49, BIP-84, BIP-86); P2WPKH for any other and for keys without a path.
func TypeAt(path key.Path) AddressType {
	if t, ok := purposeOf(path); ok {
		return t
	}
	return P2WPKH
}

// TypesAt lists the types of the addresses that are shown below a path: the one
// of its purpose, or for any other path and keys without one all of them.
func TypesAt(path key.Path) []AddressType {
	if t, ok := purposeOf(path); ok {
		return []AddressType{t}
	}
	return addressTypes
}

func purposeOf(path key.Path) (AddressType, bool) {
	if len(path) == 0 {
		return "", false
	}
	t, ok := purposes[path[0]]
	return t, ok
}

// AddressOf computes the address of a secp256k1 public key.
func AddressOf(pub key.Public, t AddressType, n Network) (string, error) {
	point, err := pointOf(pub)
	if err != nil {
		return "", err
	}
	script, err := scriptOf(point, t)
	if err != nil {
		return "", err
	}
	address, _ := FormatAddress(script, n)
	return address, nil
}

// pointOf is the compressed point (SEC 1) of a public key.
func pointOf(pub key.Public) ([]byte, error) {
	raw, err := pub.Secp256k1()
	if err != nil {
		return nil, errors.New("a Bitcoin address needs a secp256k1 public key")
	}
	point, err := secp256k1.ParsePubKey(raw[:])
	if err != nil {
		return nil, errors.New("public key: not a point of the curve")
	}
	return point.SerializeCompressed(), nil
}

// scriptOf is the output script of a compressed point.
func scriptOf(point []byte, t AddressType) ([]byte, error) {
	switch t {
	case P2PKH:
		return payKeyHash(hash160(point)), nil
	case P2SHP2WPKH:
		return payScriptHash(hash160(payWitness(0, hash160(point)))), nil
	case P2WPKH:
		return payWitness(0, hash160(point)), nil
	case P2TR:
		x, err := outputKey(point[1:], nil)
		return payWitness(1, x), err
	}
	return nil, fmt.Errorf("address type %q: use one of %v", t, addressTypes)
}

// FormatAddress prints the address of an output script; ok is false for scripts
// that have none.
func FormatAddress(script []byte, n Network) (address string, ok bool) {
	if hash, ok := isPayKeyHash(script); ok {
		return encodeBase58(n.keyHash, hash), true
	}
	if hash, ok := isPayScriptHash(script); ok {
		return encodeBase58(n.scriptHash, hash), true
	}
	version, program, ok := isWitness(script)
	if !ok || version == 0 && len(program) != 20 && len(program) != 32 {
		return "", false
	}
	address, err := encodeBech32(n.hrp, version, program)
	return address, err == nil
}

// ParseAddress reads an address of the network and returns its output script.
// Segwit addresses are all in lower or all in upper case (BIP-173, BIP-350).
func ParseAddress(address string, n Network) ([]byte, error) {
	script, err := parseAddress(address, n)
	if err != nil {
		return nil, fmt.Errorf("address %.100q: %w", address, err)
	}
	return script, nil
}

func parseAddress(address string, n Network) ([]byte, error) {
	hrp, version, program, err := decodeBech32(address)
	if err == nil {
		switch {
		case hrp != n.hrp:
			return nil, fmt.Errorf("it is not one of network %s", n.Name)
		case version > 16 || len(program) < 2 || len(program) > 40 || version == 0 && len(program) != 20 && len(program) != 32:
			return nil, errors.New("no output can have this witness version and length (BIP-141)")
		}
		return payWitness(version, program), nil
	}
	if strings.HasPrefix(strings.ToLower(address), n.hrp+"1") {
		return nil, fmt.Errorf("%w: at least one character is wrong: check it where you got it", err)
	}
	base, hash, err := decodeBase58(address)
	switch {
	case err != nil:
		return nil, errors.New("neither base58 nor bech32 with a right checksum: check it where you got it")
	case base == n.keyHash:
		return payKeyHash(hash), nil
	case base == n.scriptHash:
		return payScriptHash(hash), nil
	}
	return nil, fmt.Errorf("it is not one of network %s", n.Name)
}

// maxShown is how much of a script without an address is spelled out.
const maxShown = 100

// destination names where an output goes, exactly: by its address, or by its
// script, or where that is long by the script's SHA-256.
func destination(script []byte, n Network) string {
	if address, ok := FormatAddress(script, n); ok {
		return address
	}
	name, shown := "script:", script
	if isData(script) {
		name, shown = "data:", script[1:]
	}
	if len(shown) > maxShown {
		sum := sha256.Sum256(script)
		return name + "sha256:" + hex.EncodeToString(sum[:])
	}
	return name + hex.EncodeToString(shown)
}

// typeOfKey tells by which type, but Taproot, a script is the one of a compressed
// point.
func typeOfKey(script, point []byte) (AddressType, bool) {
	t := P2WPKH
	if _, ok := isPayKeyHash(script); ok {
		t = P2PKH
	} else if _, ok := isPayScriptHash(script); ok {
		t = P2SHP2WPKH
	}
	want, err := scriptOf(point, t)
	return t, err == nil && bytes.Equal(want, script)
}
