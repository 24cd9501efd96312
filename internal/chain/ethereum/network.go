package ethereum

import (
	"strconv"

	"keyward/internal/chain"
)

// network is what is known about a chain beside its number.
type network struct {
	id     uint64
	chain  string // CAIP-2
	name   string // as it stands in a sentence
	native chain.Asset
}

// networks lists the chains that have a name here. All others work as well, by
// their number.
var networks = []network{
	ether(1, "Ethereum"),
	ether(10, "OP Mainnet"),
	{137, "eip155:137", "Polygon", chain.Asset{ID: "eip155:137/slip44:966", Symbol: "POL", Decimals: 18}},
	ether(8453, "Base"),
	ether(17000, "Holesky"),
	ether(31337, "a local test chain"),
	ether(42161, "Arbitrum One"),
	ether(560048, "Hoodi"),
	ether(11155111, "Sepolia"),
}

// ether is a network whose native coin is ether.
func ether(id uint64, name string) network {
	n := unnamed(id)
	n.name, n.native.Symbol = name, "ETH"
	return n
}

// unnamed is a network of which only the number is known. Its coin, whatever it
// is, counts in units of 10^-18 as everywhere, and is called by SLIP-44's number
// for ether, as CAIP-19 ids of such chains usually are.
func unnamed(id uint64) network {
	caip2 := "eip155:" + strconv.FormatUint(id, 10)
	return network{id, caip2, "chain " + caip2, chain.Asset{ID: caip2 + "/slip44:60", Decimals: 18}}
}

// anyChain is not a CAIP-2 id, so that no rule can name it.
const anyChain = "eip155:*"

// network finds the transaction's chain. One that is valid on every chain is
// taken for one of Ethereum's own, where its amounts are worth most; the chain
// itself is then anyChain.
func (t *tx) network() network {
	if t.chainID == 0 {
		n := networks[0]
		n.chain, n.name = anyChain, "any chain"
		return n
	}
	for _, n := range networks {
		if n.id == t.chainID {
			return n
		}
	}
	return unnamed(t.chainID)
}

// token names a token by its contract: namespace erc20, erc721 or erc1155.
func (n network) token(namespace string, contract *Address) string {
	return "eip155:" + strconv.FormatUint(n.id, 10) + "/" + namespace + ":" + contract.lower()
}

// erc20 has decimals that only its contract knows.
func (n network) erc20(contract *Address) chain.Asset {
	return chain.Asset{ID: n.token("erc20", contract), Decimals: -1}
}

// erc1155 counts every kind of token of a contract together.
func (n network) erc1155(contract *Address) chain.Asset {
	return chain.Asset{ID: n.token("erc1155", contract)}
}

func (n network) erc721(contract *Address) chain.Asset {
	return chain.Asset{ID: n.token("erc721", contract)}
}
