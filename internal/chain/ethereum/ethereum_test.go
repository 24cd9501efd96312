package ethereum_test

import (
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/chaintest"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

const (
	alice = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	bob   = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
	token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
)

var (
	ether    = chain.Asset{ID: "eip155:1/slip44:60", Symbol: "ETH", Decimals: 18}
	tokens   = chain.Asset{ID: "eip155:1/erc20:" + strings.ToLower(token), Decimals: -1}
	pictures = chain.Asset{ID: "eip155:1/erc721:" + strings.ToLower(token), Decimals: 0}

	testSigner = chaintest.NewSigner("keyward/chaintest")
)

func amount(t testing.TB, s string) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(s, 0)
	if !ok {
		t.Fatalf("not a number: %q", s)
	}
	return n
}

// txJSON is a type 2 transfer of 1.5 ether whose fields may be overridden; a
// value of "" leaves a field out.
func txJSON(changes ...string) []byte {
	names := []string{"chainId", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "to", "value"}
	values := map[string]string{
		"chainId": `"0x1"`, "nonce": `"0x7"`, "gas": `"0x5208"`, "maxFeePerGas": `"0x4a817c800"`, "maxPriorityFeePerGas": `"0x3b9aca00"`,
		"to": `"` + alice + `"`, "value": `"0x14d1120d7b160000"`,
	}
	for i := 0; i < len(changes); i += 2 {
		if _, ok := values[changes[i]]; !ok {
			names = append(names, changes[i])
		}
		values[changes[i]] = changes[i+1]
	}
	var members []string
	for _, name := range names {
		if values[name] != "" {
			members = append(members, `"`+name+`":`+values[name])
		}
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

// callJSON is a type 2 call of the token contract, worth nothing.
func callJSON(data []byte, changes ...string) []byte {
	all := []string{"to", `"` + token + `"`, "value", "", "gas", `"0x30d40"`, "data", `"0x` + hex.EncodeToString(data) + `"`}
	return txJSON(append(all, changes...)...)
}

func word(s string) string { return strings.Repeat("0", 64-len(s)) + strings.ToLower(s) }

func abi(t testing.TB, selector string, words ...string) []byte {
	return unhex(t, selector+strings.Join(words, ""))
}

func addressWord(a string) string { return word(strings.TrimPrefix(a, "0x")) }

// The effects that most cases have.
var (
	fee2  = func(t testing.TB, wei string) chain.Effect { return feeOn(t, "eip155:1", ether, wei) }
	feeOn = func(t testing.TB, id string, a chain.Asset, wei string) chain.Effect {
		return chain.Effect{Verb: key.SignTransaction, What: chain.EffectFee, Asset: a, Amount: amount(t, wei), Chain: id}
	}
	blindCall = func(to string) chain.Effect {
		return chain.Effect{Verb: key.SignBlind, What: chain.EffectCall, To: to, Chain: "eip155:1"}
	}
)

func move(t testing.TB, a chain.Asset, n, to string) chain.Effect {
	return chain.Effect{Verb: key.SignTransaction, What: chain.EffectMove, Asset: a, Amount: amount(t, n), To: to, Chain: "eip155:1"}
}

func allowance(a chain.Asset, n *big.Int, spender string) chain.Effect {
	return chain.Effect{Verb: key.SignTransaction, What: chain.EffectAllowance, Asset: a, Amount: n, To: spender, Chain: "eip155:1"}
}

// example155 is the unsigned transaction printed in EIP-155.
const example155 = "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"

func TestEveryPayloadIsSplitIntoEffects(t *testing.T) {
	transferFee, callFee := fee2(t, "420000000000000"), fee2(t, "4000000000000000")
	anyEther := ether
	nullChain := func(e chain.Effect) chain.Effect { e.Chain = "eip155:*"; return e }
	example := "0x3535353535353535353535353535353535353535"
	transfer := abi(t, "a9059cbb", addressWord(bob), word("16e360"))
	signer, err := ethereum.AddressOf(testSigner.Public())
	if err != nil {
		t.Fatal(err)
	}
	created := "0x" + hex.EncodeToString(createAddress(signer, 7))
	createdAt, err := ethereum.ParseAddress(created)
	if err != nil {
		t.Fatal(err)
	}
	cases := []chaintest.Case{
		{
			Name: "type 2 transfer as JSON", Payload: txJSON(), Type: chain.TypeTx,
			Effects: []chain.Effect{move(t, ether, "1500000000000000000", alice), transferFee},
		}, {
			Name: "type 0 transfer as JSON", Type: chain.TypeTx,
			Payload: txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x4a817c800"`, "type", `"0x0"`),
			Effects: []chain.Effect{move(t, ether, "1500000000000000000", alice), transferFee},
		}, {
			Name: "type 1 transfer as JSON", Type: chain.TypeTx, Ask: chain.Ask{Type: chain.TypeTx, Network: "eip155:1"},
			Payload: txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x4a817c800"`,
				"accessList", `[{"address":"`+token+`","storageKeys":["0x`+word("1")+`","0x`+word("2")+`"]}]`),
			Effects: []chain.Effect{move(t, ether, "1500000000000000000", alice), transferFee},
		}, {
			Name: "other chain", Payload: txJSON("chainId", `"0x89"`), Type: chain.TypeTx,
			Effects: func() []chain.Effect {
				pol := chain.Asset{ID: "eip155:137/slip44:966", Symbol: "POL", Decimals: 18}
				m := move(t, pol, "1500000000000000000", alice)
				m.Chain = "eip155:137"
				return []chain.Effect{m, feeOn(t, "eip155:137", pol, "420000000000000")}
			}(),
		}, {
			Name: "EIP-155 as RLP", Payload: unhex(t, example155), Type: chain.TypeTx, Canonical: true,
			Effects: []chain.Effect{move(t, ether, "1000000000000000000", example), transferFee},
		}, {
			Name: "EIP-155 as hex", Payload: []byte("0x" + example155 + "\n"), Type: chain.TypeTx,
			Effects: []chain.Effect{move(t, ether, "1000000000000000000", example), transferFee},
		}, {
			Name: "legacy without chain id is blind", Type: chain.TypeTx, Blind: true, Canonical: true,
			Payload: unhex(t, "e9"+strings.TrimSuffix(example155[2:], "018080")),
			Effects: []chain.Effect{
				nullChain(move(t, anyEther, "1000000000000000000", example)), nullChain(transferFee), nullChain(blindCall("")),
			},
		}, {
			Name: "type 2 as RLP", Type: chain.TypeTx, Canonical: true, Payload: rlp2(t, nil, nil, ""),
			Effects: []chain.Effect{move(t, ether, "1500000000000000000", alice), transferFee},
		}, {
			Name: "type 2 with access list as RLP", Type: chain.TypeTx, Canonical: true,
			Payload: rlp2(t, nil, nil, "f838f794"+strings.ToLower(token[2:])+"e1a0"+word("5")),
			Effects: []chain.Effect{move(t, ether, "1500000000000000000", alice), transferFee},
		}, {
			Name: "type 2 token transfer as RLP", Type: chain.TypeTx, Canonical: true, Payload: rlp2(t, unhex(t, token), transfer, ""),
			Effects: []chain.Effect{move(t, ether, "1500000000000000000", token), move(t, tokens, "1500000", bob), transferFee},
		}, {
			Name: "transfer of nothing", Payload: txJSON("value", ""), Type: chain.TypeTx,
			Effects: []chain.Effect{move(t, ether, "0", alice), transferFee},
		}, {
			Name: "ERC-20 transfer", Payload: callJSON(transfer), Type: chain.TypeTx,
			Effects: []chain.Effect{move(t, tokens, "1500000", bob), callFee},
		}, {
			Name: "ERC-20 transfer with ether", Payload: callJSON(transfer, "value", `"0x5"`), Type: chain.TypeTx,
			Effects: []chain.Effect{move(t, ether, "5", token), move(t, tokens, "1500000", bob), callFee},
		}, {
			Name: "transferFrom", Type: chain.TypeTx,
			Payload: callJSON(abi(t, "23b872dd", addressWord(alice), addressWord(bob), word("2a"))),
			Effects: []chain.Effect{move(t, tokens, "42", bob), callFee},
		}, {
			Name: "approve", Type: chain.TypeTx, Payload: callJSON(abi(t, "095ea7b3", addressWord(bob), word("64"))),
			Effects: []chain.Effect{callFee, allowance(tokens, big.NewInt(100), bob)},
		}, {
			Name: "approve without limit", Type: chain.TypeTx,
			Payload: callJSON(abi(t, "095ea7b3", addressWord(bob), strings.Repeat("f", 64))),
			Effects: []chain.Effect{callFee, allowance(tokens, nil, bob)},
		}, {
			Name: "approve 2^255", Type: chain.TypeTx,
			Payload: callJSON(abi(t, "095ea7b3", addressWord(bob), "8"+strings.Repeat("0", 63))),
			Effects: []chain.Effect{callFee, allowance(tokens, nil, bob)},
		}, {
			Name: "allowance taken back", Type: chain.TypeTx, Payload: callJSON(abi(t, "095ea7b3", addressWord(bob), word(""))),
			Effects: []chain.Effect{callFee, allowance(tokens, big.NewInt(0), bob)},
		}, {
			Name: "safeTransferFrom", Type: chain.TypeTx,
			Payload: callJSON(abi(t, "42842e0e", addressWord(alice), addressWord(bob), word("2a"))),
			Effects: []chain.Effect{move(t, pictures, "1", bob), callFee},
		}, {
			Name: "safeTransferFrom with empty data", Type: chain.TypeTx,
			Payload: callJSON(abi(t, "b88d4fde", addressWord(alice), addressWord(bob), word("2a"), word("80"), word(""))),
			Effects: []chain.Effect{move(t, pictures, "1", bob), callFee},
		}, {
			Name: "safeTransferFrom with data is blind too", Type: chain.TypeTx, Blind: true,
			Payload: callJSON(abi(t, "b88d4fde", addressWord(alice), addressWord(bob), word("2a"), word("80"), word("2"), "beef"+strings.Repeat("0", 60))),
			Effects: []chain.Effect{move(t, pictures, "1", bob), callFee, blindCall(token)},
		}, {
			Name: "setApprovalForAll", Type: chain.TypeTx, Payload: callJSON(abi(t, "a22cb465", addressWord(bob), word("1"))),
			Effects: []chain.Effect{callFee, allowance(pictures, nil, bob)},
		}, {
			Name: "setApprovalForAll taken back", Type: chain.TypeTx, Payload: callJSON(abi(t, "a22cb465", addressWord(bob), word(""))),
			Effects: []chain.Effect{callFee, allowance(pictures, big.NewInt(0), bob)},
		}, {
			Name: "unknown call is blind", Type: chain.TypeTx, Blind: true, Payload: callJSON(abi(t, "deadbeef", word("1")), "value", `"0x9"`),
			Effects: []chain.Effect{move(t, ether, "9", token), callFee, blindCall(token)},
		}, {
			Name: "data shorter than a selector is blind", Type: chain.TypeTx, Blind: true, Payload: callJSON([]byte{0xa9, 0x05}),
			Effects: []chain.Effect{callFee, blindCall(token)},
		}, {
			Name: "creation is blind", Type: chain.TypeTx, Blind: true,
			Payload: txJSON("to", "null", "gas", `"0x30d40"`, "data", `"0x6001600255"`, "value", `"0x9"`),
			Effects: []chain.Effect{move(t, ether, "9", createdAt.String()), callFee, blindCall("")},
		}, {
			Name: "message", Payload: []byte("hello"), Type: chain.TypeMsg,
			Effects: []chain.Effect{{Verb: key.SignMessage, What: chain.EffectMessage}}, Canonical: true,
		}, {
			Name: "a digest is a message", Payload: []byte(strings.Repeat("\xab", 32)), Type: chain.TypeMsg,
			Effects: []chain.Effect{{Verb: key.SignMessage, What: chain.EffectMessage}}, Canonical: true,
		}, {
			Name: "transaction asked to be a message", Payload: txJSON(), Ask: chain.Ask{Type: chain.TypeMsg}, Type: chain.TypeMsg,
			Effects: []chain.Effect{{Verb: key.SignMessage, What: chain.EffectMessage}}, Canonical: true,
		},
		{
			Name: "digest is blind", Payload: []byte(strings.Repeat("\xab", 32)), Ask: chain.Ask{Type: chain.Digest}, Type: chain.Digest, Blind: true,
			Effects: []chain.Effect{{Verb: key.SignBlind, What: chain.EffectMessage}}, Canonical: true,
		},
		{Name: "short digest", Payload: make([]byte, 31), Ask: chain.Ask{Type: chain.Digest}, Refused: "digest of 31 bytes"},
		{Name: "wrong network", Payload: txJSON(), Ask: chain.Ask{Network: "eip155:5"}, Refused: "chainId: the transaction is for eip155:1"},
		{Name: "foreign key", Payload: txJSON(), Ask: chain.Ask{Public: key.Public("no key")}, Refused: "secp256k1"},
	}
	chaintest.Run(t, ethereum.Decoder{}, cases)
}

// rlp2 is the unsigned RLP of txJSON's transaction, or with other fields.
func rlp2(t testing.TB, to, data []byte, access string) []byte {
	t.Helper()
	if to == nil {
		to = unhex(t, alice)
	}
	gas := "0x5208"
	var content []byte
	for _, n := range []string{"1", "7", "1000000000", "20000000000", gas} {
		content = ethereum.AppendBig(content, amount(t, n))
	}
	content = ethereum.AppendBytes(content, to)
	content = ethereum.AppendBig(content, amount(t, "1500000000000000000"))
	content = ethereum.AppendBytes(content, data)
	if access == "" {
		access = "c0"
	}
	content = append(content, unhex(t, access)...)
	return append([]byte{2}, ethereum.AppendList(nil, content)...)
}

// createAddress follows the Yellow Paper's words, with a nonce below 0x80.
func createAddress(sender ethereum.Address, nonce byte) []byte {
	sum := ethereum.Keccak(append(append([]byte{0xd6, 0x94}, sender[:]...), nonce))
	return sum[12:]
}
