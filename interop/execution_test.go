package interop_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// payoutPolicy lets one service pay up to 2 ETH at once on the test chain, to one
// address, and move a token; the operator stays who he is.
const payoutPolicy = `version: 1
books:
  suppliers:
    - {chain: "eip155:%[1]d", address: "%[2]s", name: the supplier}
assets:
  - {name: TEST, chain: "eip155:%[1]d", native: true, decimals: 18}
  - {name: COIN, chain: "eip155:%[1]d", address: "%[3]s", decimals: 0}
rules:
  - name: operator
    who: [operator]
    keys: [any]
    do: [any]
    then: allow
  - name: payouts
    who: ["service:payouts"]
    keys: [payments]
    do: [sign-transaction]
    chains: ["eip155:%[1]d"]
    to: ["book:suppliers"]
    amount: {asset: TEST, max: "2"}
    fee: {asset: TEST, max: "0.01"}
    window: {asset: TEST, per: 24h, max: "10"}
    then: allow
  - name: coins
    who: ["service:payouts"]
    keys: [payments]
    do: [sign-transaction]
    chains: ["eip155:%[1]d"]
    to: ["book:suppliers"]
    amount: {asset: COIN, max: "1000"}
    fee: {asset: TEST, max: "0.01"}
    then: allow
`

var (
	ether    = new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)
	supplier = common.HexToAddress("0x00000000000000000000000000000000005eed01")
	coin     = common.HexToAddress("0x00000000000000000000000000000000c0ffee02")
)

// payer is a service of keyward that pays over a node.
type payer struct {
	installation
	node node
	from common.Address
	as   []string
}

func newPayer(t *testing.T) payer {
	t.Helper()
	p := payer{node: startNode(t), installation: serve(t)}
	address := p.account("payments")
	p.from = common.HexToAddress(address)
	if p.from.Hex() != address {
		t.Errorf("got address %s, want %s", address, p.from.Hex())
	}
	p.as = p.installation.as("payouts")
	p.run("", "policy", "apply", p.write("policy.yaml", fmt.Sprintf(payoutPolicy, testChain, supplier.Hex(), coin.Hex())))
	p.node.call(nil, "anvil_setBalance", p.from, hexutil.EncodeBig(new(big.Int).Mul(ether, big.NewInt(10))))
	return p
}

// fields completes a transaction for eth_signTransaction.
func (p payer) fields(more map[string]any) string {
	p.t.Helper()
	all := map[string]any{
		"chainId": hexutil.EncodeUint64(testChain), "nonce": hexutil.EncodeUint64(p.node.nonce(p.from)), "gas": "0x5208", "from": p.from.Hex(),
		"to": supplier.Hex(),
	}
	maps.Copy(all, more)
	text, err := json.Marshal(all)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func (p payer) sign(fields string) (raw string) {
	p.t.Helper()
	return ask[struct{ Output string }](p.installation, fields, append(p.as, "sign", "--key", "payments", "-")...).Output
}

// The prices of both kinds of fee: 3 gwei, at most.
var (
	gasPrice = map[string]any{"gasPrice": "0xb2d05e00"}
	gasFees  = map[string]any{"maxFeePerGas": "0xb2d05e00", "maxPriorityFeePerGas": "0x3b9aca00"}
)

func with(fees map[string]any, more map[string]any) map[string]any {
	all := maps.Clone(fees)
	maps.Copy(all, more)
	return all
}

// TestNodeExecutesWhatKeywardSigned is the main job on a real node: transactions
// of types 0, 1 and 2, recovered to the key's address and executed exactly.
func TestNodeExecutesWhatKeywardSigned(t *testing.T) {
	p := newPayer(t)
	value := new(big.Int).Add(ether, big.NewInt(123456789))
	accessList := []any{map[string]any{"address": coin.Hex(), "storageKeys": []string{common.Hash{31: 1}.Hex()}}}
	for _, c := range []struct {
		name   string
		kind   uint64
		fields map[string]any
	}{
		{"type 0", types.LegacyTxType, gasPrice},
		{"type 1", types.AccessListTxType, with(gasPrice, map[string]any{"type": "0x1", "gas": "0x7530", "accessList": accessList})},
		{"type 2", types.DynamicFeeTxType, gasFees},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, theirs := p.node.balance(p.from), p.node.balance(supplier)
			raw := p.sign(p.fields(with(c.fields, map[string]any{"value": hexutil.EncodeBig(value)})))
			r := p.node.execute(raw)
			if r.Status != 1 || uint64(r.Type) != c.kind || r.From != p.from || r.To == nil || *r.To != supplier {
				t.Errorf("got status %d, type %d, from %s, to %v; want 1, %d, %s, %s", r.Status, r.Type, r.From, r.To, c.kind, p.from, supplier)
			}
			if want := crypto.Keccak256Hash(hexutil.MustDecode(raw)); r.TransactionHash != want {
				t.Errorf("got hash %s, want %s", r.TransactionHash, want)
			}
			if got, want := p.node.balance(supplier), new(big.Int).Add(theirs, value); got.Cmp(want) != 0 {
				t.Errorf("got %v wei at the recipient, want %v", got, want)
			}
			spent := new(big.Int).Add(value, r.cost())
			if got, want := p.node.balance(p.from), new(big.Int).Sub(before, spent); got.Cmp(want) != 0 {
				t.Errorf("got %v wei at the sender, want %v", got, want)
			}
		})
	}
	t.Run("denied", func(t *testing.T) { refusedByPolicy(t, p) })
	if out := p.run("", "audit", "verify"); !strings.Contains(out, "whole and unchanged") {
		t.Errorf("got %q of audit verify", out)
	}
}

// refusedByPolicy asks for what the policy does not allow: no signature comes
// out, so that nothing can reach the node.
func refusedByPolicy(t *testing.T, p payer) {
	nonce := p.node.nonce(p.from)
	for name, fields := range map[string]map[string]any{
		"over the limit":  with(gasFees, map[string]any{"value": hexutil.EncodeBig(new(big.Int).Mul(ether, big.NewInt(3)))}),
		"unknown address": with(gasFees, map[string]any{"value": "0x1", "to": coin.Hex()}),
		"blind call":      with(gasFees, map[string]any{"value": "0x1", "data": "0x12345678", "gas": "0x186a0"}),
		"another chain":   with(gasFees, map[string]any{"value": "0x1", "chainId": "0x1"}),
	} {
		code, out, said := p.try(p.fields(fields), append(p.as, "sign", "--key", "payments", "-")...)
		if code != 5 || out != "" || !strings.Contains(said, "denied by policy") {
			t.Errorf("%s: got exit code %d, %q, %q; want 5, nothing, and why", name, code, out, said)
		}
	}
	if got := p.node.nonce(p.from); got != nonce {
		t.Errorf("got nonce %d after denials, want %d", got, nonce)
	}
}

// TestTokensMoveAsDecoded has a contract execute what keyward read as an ERC-20
// transfer.
func TestTokensMoveAsDecoded(t *testing.T) {
	p := newPayer(t)
	p.node.call(nil, "anvil_setCode", coin, hexutil.Encode(token))
	slot := func(a common.Address) common.Hash { return common.BytesToHash(a.Bytes()) }
	held := func(a common.Address) uint64 {
		var word common.Hash
		p.node.call(&word, "eth_getStorageAt", coin, slot(a), "latest")
		return word.Big().Uint64()
	}
	p.node.call(nil, "anvil_setStorageAt", coin, slot(p.from), common.BigToHash(big.NewInt(5000)))
	call := func(amount int64) string {
		return p.fields(with(gasFees, map[string]any{
			"to": coin.Hex(), "gas": "0x186a0", "data": hexutil.Encode(transfer(supplier, big.NewInt(amount))),
		}))
	}
	meaning := ask[struct {
		Intent struct{ Moves []struct{ To, Amount string } }
	}](p.installation, call(700), "decode", "-")
	if m := meaning.Intent.Moves; len(m) != 1 || m[0].To != supplier.Hex() || m[0].Amount != "700" {
		t.Errorf("got moves %+v, want 700 to %s", m, supplier.Hex())
	}
	if r := p.node.execute(p.sign(call(700))); r.Status != 1 || r.From != p.from {
		t.Errorf("got status %d, from %s; want 1, %s", r.Status, r.From, p.from)
	}
	if got, rest := held(supplier), held(p.from); got != 700 || rest != 4300 {
		t.Errorf("got %d and %d left, want 700 and 4300", got, rest)
	}
	if code, _, said := p.try(call(1001), append(p.as, "sign", "--key", "payments", "-")...); code != 5 {
		t.Errorf("1001 coins: got exit code %d, %q; want 5", code, said)
	}
}
