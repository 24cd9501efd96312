package bitcoin

import (
	"fmt"
	"strings"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Network is one of Bitcoin's networks. Transactions do not name theirs: what is
// signed for one is valid on every other where the same coins exist.
type Network struct {
	Name  string // "main", "testnet4"
	Chain string // CAIP-2 (bip122): the first half of the genesis block's hash

	coin       chain.Asset
	hrp        string // of segwit addresses
	keyHash    byte   // version of P2PKH addresses
	scriptHash byte   // version of P2SH addresses
}

// Main is the network whose coins are money.
var Main = Network{
	Name: "main", Chain: "bip122:000000000019d6689c085ae165831e93",
	coin: coinOf("bip122:000000000019d6689c085ae165831e93", 0, "BTC"), hrp: "bc", keyHash: 0x00, scriptHash: 0x05,
}

var networks = []Network{
	Main,
	testNetwork("testnet4", "00000000da84f2bafbbc53dee25a72ae", "tb"),
	testNetwork("testnet3", "000000000933ea01ad0ee984209779ba", "tb"),
	testNetwork("signet", "00000008819873e925422c1ff0f99f7c", "tb"),
	testNetwork("regtest", "0f9188f13cb7b2c71f2a335e3a4fc328", "bcrt"),
}

func testNetwork(name, genesis, hrp string) Network {
	id := "bip122:" + genesis
	return Network{Name: name, Chain: id, coin: coinOf(id, 1, "tBTC"), hrp: hrp, keyHash: 0x6f, scriptHash: 0xc4}
}

// coinOf names the coin by CAIP-19, with its number in SLIP-44.
func coinOf(id string, number int, symbol string) chain.Asset {
	return chain.Asset{ID: fmt.Sprintf("%s/slip44:%d", id, number), Symbol: symbol, Decimals: 8}
}

// ParseNetwork finds a network by its name or its CAIP-2 id.
func ParseNetwork(s string) (Network, error) {
	var names []string
	for _, n := range networks {
		if s == n.Name || s == n.Chain {
			return n, nil
		}
		names = append(names, n.Name)
	}
	return Network{}, fmt.Errorf("network %.60q is not one of Bitcoin's: use %s", s, strings.Join(names, ", "))
}

// Test tells whether the network's coins are worth nothing.
func (n Network) Test() bool { return n.Name != Main.Name }

// Coin types of SLIP-44, at their place in a path by BIP-44.
const (
	coinMain = key.Hardened
	coinTest = key.Hardened + 1
)

// networkOf decides for which network a transaction is judged. The bytes that
// are signed do not say it, so that the path of the key does where it can: what
// an account of the main network signs is never judged as test money.
//
// BUG(bitcoin): of a key without a path the caller's word decides. Looser rules
// for test money than for money do not hold for such a key.
func networkOf(asked string, path key.Path) (Network, error) {
	n := Main
	if asked != "" {
		var err error
		if n, err = ParseNetwork(asked); err != nil {
			return Network{}, err
		}
	}
	if len(path) < 2 {
		return n, nil
	}
	switch {
	case path[1] == coinMain && n.Test():
		return Network{}, fmt.Errorf("network %s, but the key's path %s is one of the main network (coin type 0h)", n.Name, path)
	case path[1] == coinTest && asked == "":
		return Network{}, fmt.Errorf("the key's path %s is one of the test networks (coin type 1h): say which network: testnet4, signet or regtest", path)
	case path[1] == coinTest && !n.Test():
		return Network{}, fmt.Errorf("network %s, but the key's path %s is one of the test networks (coin type 1h)", n.Name, path)
	}
	return n, nil
}
