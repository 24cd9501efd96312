package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"
)

// evmChains begins the CAIP-2 id of every Ethereum-like chain.
const evmChains = "eip155:"

// utxoChains begins the CAIP-2 id of Bitcoin and its kin, the first half of the
// hash of their first block.
const (
	utxoChains  = "bip122:"
	bitcoinMain = utxoChains + "000000000019d6689c085ae165831e93"
)

// chainAliases are the names under which people know a CAIP-2 id.
func chainAliases() map[string]string {
	return map[string]string{
		"bitcoin":  bitcoinMain,
		"testnet4": "bip122:00000000da84f2bafbbc53dee25a72ae",
		"signet":   "bip122:00000008819873e925422c1ff0f99f7c",
		"regtest":  "bip122:0f9188f13cb7b2c71f2a335e3a4fc328",
		"ethereum": "eip155:1",
		"sepolia":  "eip155:11155111",
	}
}

// parseChain reads an alias or a CAIP-2 id.
func parseChain(s string) (string, error) {
	if id := chainAliases()[s]; id != "" {
		return id, nil
	}
	space, reference, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return "", fmt.Errorf("unknown chain %q: use ethereum, sepolia, bitcoin, testnet4, signet, regtest or a CAIP-2 id such as eip155:10", clip(s))
	case !charset(space, 3, 8, "-") || !charset(reference, 1, 32, "-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return "", fmt.Errorf("chain %q is no CAIP-2 id such as eip155:10", clip(s))
	case space == "eip155" && (!digits(reference) || reference[0] == '0'):
		return "", fmt.Errorf("chain %q: what follows eip155: is a decimal chain id", clip(s))
	}
	return s, nil
}

// chainName is the inverse of an alias.
func chainName(id string) string {
	for name, of := range chainAliases() {
		if of == id {
			return name
		}
	}
	return id
}

// charset accepts low to high characters of a-z, 0-9 and more.
func charset(s string, low, high int, more string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte(more, c) >= 0) {
			return false
		}
	}
	return len(s) >= low && len(s) <= high
}

// spot is a destination: an Ethereum address as its 20 bytes, any other as its
// text. An empty chain stands for every chain of that family.
type spot struct {
	chain string
	evm   [20]byte
	text  string
}

// spotOf makes the spot of an address that package chain wrote. It must be cheap:
// it runs for every payment.
func spotOf(chain, address string) spot {
	if strings.HasPrefix(chain, evmChains) {
		if evm, ok := evmAddress(address); ok {
			return spot{chain: chain, evm: evm}
		}
	}
	return spot{chain: chain, text: address}
}

func evmAddress(s string) (a [20]byte, ok bool) {
	if len(s) != 42 || s[0] != '0' || s[1] != 'x' {
		return a, false
	}
	for i := range a {
		hi, lo := nibble(s[2+2*i]), nibble(s[3+2*i])
		if hi > 15 || lo > 15 {
			return a, false
		}
		a[i] = hi<<4 | lo
	}
	return a, true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// parseAddress reads an address that a person wrote. Chain may be "" where it is
// not known; then only an Ethereum address can be told.
func parseAddress(chain, s string) (spot, error) {
	evm, ok := evmAddress(s)
	switch {
	case ok && (chain == "" || strings.HasPrefix(chain, evmChains)):
		return spot{chain: chain, evm: evm}, checkEIP55(s, evm)
	case chain == "" || strings.HasPrefix(chain, evmChains):
		return spot{}, fmt.Errorf("%q is not an Ethereum address: want 0x and 40 hexadecimal digits", clip(s))
	case bitcoinForms()[chain] != nil:
		text, err := bitcoinForms()[chain].canonical(s)
		return spot{chain: chain, text: text}, err
	case !charset(s, 1, 128, ".-_:%ABCDEFGHIJKLMNOPQRSTUVWXYZ"): // CAIP-10, and room for what it forgot
		return spot{}, fmt.Errorf("%q is not an address", clip(s))
	}
	return spot{chain: chain, text: s}, nil
}

// checkEIP55 refuses an address whose capitals are a checksum and a wrong one.
// All lower case, or all upper, carries none.
func checkEIP55(s string, evm [20]byte) error {
	lower := hex.EncodeToString(evm[:])
	if s[2:] == lower || s[2:] == strings.ToUpper(lower) {
		return nil
	}
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(lower))
	sum := h.Sum(nil)
	want := []byte(lower)
	for i, c := range want {
		if c >= 'a' && sum[i/2]>>(4-4*(i%2))&8 != 0 {
			want[i] = c - 'a' + 'A'
		}
	}
	if s[2:] != string(want) {
		return errors.New("address " + s + ": wrong EIP-55 checksum: a character was mistyped or its capitals were lost")
	}
	return nil
}

func (s spot) String() string {
	if s.text != "" {
		return s.text
	}
	return "0x" + hex.EncodeToString(s.evm[:])
}
