package policy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
)

// bitcoinForm is how one network writes its addresses.
type bitcoinForm struct {
	prefix   string  // human-readable part of BIP-173
	versions [2]byte // of base58: pay to a key's hash, to a script's hash
}

// bitcoinForms are the networks whose addresses are checked, by CAIP-2 id.
// Testnet4 and signet write the same addresses.
func bitcoinForms() map[string]*bitcoinForm {
	test := &bitcoinForm{"tb", [2]byte{0x6f, 0xc4}}
	names := chainAliases()
	return map[string]*bitcoinForm{
		bitcoinMain: {"bc", [2]byte{0x00, 0x05}}, names["testnet4"]: test, names["signet"]: test,
		names["regtest"]: {"bcrt", test.versions},
	}
}

// canonical checks an address that a person wrote and returns it as package
// chain writes it: bech32 in lower case.
func (f *bitcoinForm) canonical(s string) (string, error) {
	lower := strings.ToLower(s)
	if head, _, ok := strings.Cut(lower, "1"); ok && head == f.prefix {
		if s != lower && s != strings.ToUpper(s) {
			return "", errors.New("address " + clip(s) + ": capitals and small letters are mixed (BIP-173)")
		}
		return lower, checkSegwit(f.prefix, lower)
	}
	return s, f.checkBase58(s)
}

var (
	errBitcoinForm = errors.New("is not an address of this network: want one that begins as its own do")
	errChecksum    = errors.New("wrong checksum: a character was mistyped")
)

// wrong puts an address in front of what is wrong with it.
func wrong(s string, err error) error { return errors.New("address " + clip(s) + ": " + err.Error()) }

const bech32Digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// checkSegwit follows BIP-173, section "Segwit address format", and BIP-350.
func checkSegwit(prefix, s string) error {
	data := make([]byte, 0, len(s))
	for _, c := range []byte(s[len(prefix)+1:]) {
		at := strings.IndexByte(bech32Digits, c)
		if at < 0 {
			return wrong(s, errChecksum)
		}
		data = append(data, byte(at))
	}
	if len(s) > 90 || len(data) < 7 {
		return wrong(s, errChecksum)
	}
	version, program := data[0], data[1:len(data)-6]
	want := uint32(1)
	if version > 0 {
		want = 0x2bc830a3
	}
	if polymod(prefix, data) != want {
		return wrong(s, errChecksum)
	}
	size, spare := len(program)*5/8, len(program)*5%8
	switch last := program[max(len(program)-1, 0):]; {
	case spare > 4 || size < 2 || size > 40 || version > 16, last[0]&(1<<spare-1) != 0,
		version == 0 && size != 20 && size != 32:
		return wrong(s, errors.New("no witness program has this length (BIP-141)"))
	}
	return nil
}

// polymod is BIP-173's checksum over the prefix and the data.
func polymod(prefix string, data []byte) uint32 {
	var values []byte
	for i := range len(prefix) {
		values = append(values, prefix[i]>>5)
	}
	values = append(values, 0)
	for i := range len(prefix) {
		values = append(values, prefix[i]&31)
	}
	chk := uint32(1)
	for _, v := range append(values, data...) {
		top := chk >> 25
		chk = chk&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				chk ^= g
			}
		}
	}
	return chk
}

const base58Digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// checkBase58 checks an address of a key's or a script's hash: version, 20
// bytes, and the first four bytes of their double SHA-256.
func (f *bitcoinForm) checkBase58(s string) error {
	n, base := new(big.Int), big.NewInt(58)
	for _, c := range []byte(s) {
		at := strings.IndexByte(base58Digits, c)
		if at < 0 || len(s) > 40 {
			return wrong(s, errBitcoinForm)
		}
		n.Add(n.Mul(n, base), big.NewInt(int64(at)))
	}
	zeros := len(s) - len(strings.TrimLeft(s, "1"))
	b := append(make([]byte, zeros), n.Bytes()...)
	if len(b) != 25 {
		return wrong(s, errBitcoinForm)
	}
	first := sha256.Sum256(b[:21])
	second := sha256.Sum256(first[:])
	switch {
	case !bytes.Equal(second[:4], b[21:]):
		return wrong(s, errChecksum)
	case !slices.Contains(f.versions[:], b[0]):
		return wrong(s, errBitcoinForm)
	}
	return nil
}
