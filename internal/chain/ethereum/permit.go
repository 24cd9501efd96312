package ethereum

import (
	"fmt"
	"math/big"
	"time"

	"keyward/internal/chain"
)

// known is typed data whose effects are known: a struct type that a standard
// defines, by its whole encodeType, and what it does.
type known struct {
	kind string // encodeType
	mean func(m *meaning)
}

const (
	permitDetails = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	permissions   = "TokenPermissions(address token,uint256 amount)"
	authorized    = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)

// standards are the types that are understood: EIP-2612 and its elder brother
// in DAI, EIP-3009, and Uniswap's Permit2. All others are blind.
var standards = []known{
	{"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)", (*meaning).permit},
	{"Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)", (*meaning).permitDAI},
	{"TransferWithAuthorization" + authorized, (*meaning).transferAuthorized},
	{"ReceiveWithAuthorization" + authorized, (*meaning).transferAuthorized},
	{"CancelAuthorization(address authorizer,bytes32 nonce)", (*meaning).cancel},
	{"PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + permitDetails, (*meaning).permit2},
	{"PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + permitDetails, (*meaning).permit2},
	{"PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)" + permissions, (*meaning).permit2},
	{"PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)" + permissions, (*meaning).permit2},
}

// permit2Address is where Permit2 stands on every chain. Another contract could take
// the same words and mean something else by the tokens that they name.
var permit2Address = Address{
	0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4, 0x3a, 0xc7, 0x8b, 0xa3,
}

// meaning is typed data that is being read.
type meaning struct {
	*typed
	from   sender
	in     *chain.Intent
	phrase string
	blind  string // why nothing is understood after all
}

// intent says what the signature would allow.
func (t *typed) intent(from sender, size int) chain.Intent {
	encoded := t.schema.encodeType(t.primary)
	in := chain.Intent{
		Kind: chain.TypedData, Chain: t.net.chain, From: from.String(),
		Call: &chain.Call{Name: encoded, Size: size, Args: t.message.args("", t.domain.args("domain.", nil))},
	}
	m := &meaning{typed: t, from: from, in: &in, blind: "What this kind of typed data does cannot be seen here."}
	contract := t.contract()
	if contract != nil {
		in.Call.To = contract.String()
	}
	if contract != nil && t.bound {
		m.understand(encoded)
	}
	if m.blind != "" {
		in.Blind, in.Moves, in.Allowances = true, nil, nil
		m.phrase = "Sign typed data " + t.primary
		if contract != nil {
			m.phrase += " for " + in.Call.To
		}
		m.phrase += ", whose effects cannot be seen here,"
		m.warn("blind-typed-data", m.blind)
	}
	in.Call.Decoded = !in.Blind
	if !t.bound {
		m.warn("no-chain-id", "The domain names no chain: the signature may be good on every chain.")
	}
	for _, name := range t.schema.unused(t.primary) {
		m.warn("unused-type", "The type "+name+" is declared and not used: it is not signed.")
	}
	in.Sentence = m.phrase + " on " + t.net.name + "."
	return in
}

func (m *meaning) understand(encoded string) {
	for _, s := range standards {
		if s.kind == encoded {
			m.blind = ""
			s.mean(m)
			return
		}
	}
}

func (m *meaning) warn(code, text string) {
	m.in.Warnings = append(m.in.Warnings, chain.Warning{Code: code, Text: text})
}

// allow adds a power over a token; most is the amount that means no limit.
func (m *meaning) allow(token *Address, amount, most *big.Int, spender *typedValue) string {
	asset := m.net.erc20(token)
	a := chain.Allowance{Asset: asset, Amount: amount, Spender: spender.text, Unlimited: amount.Cmp(most) >= 0}
	m.in.Allowances = append(m.in.Allowances, a)
	switch {
	case a.Unlimited:
		m.warn("unlimited-allowance", spender.text+" may take everything that this account has of "+asset.ID+", now and later.")
		return asset.ID + " without limit"
	case amount.Sign() == 0:
		return "nothing of " + asset.ID
	}
	return "up to " + asset.Format(amount)
}

func (m *meaning) spender(v *typedValue) {
	if m.from.known && v.address == m.from.address {
		m.warn("own-address", "The one who gets the power is the signer itself.")
	}
}

// owner warns of a signature that only another account's key could give.
func (m *meaning) owner(v *typedValue) {
	if m.from.known && v.address != m.from.address {
		m.warn("foreign-tokens", "The tokens are not the signer's own but those of "+v.text+".")
	}
}

// permit is EIP-2612's.
func (m *meaning) permit() {
	owner, spender := m.message.member("owner"), m.message.member("spender")
	what := m.allow(m.contract(), m.message.member("value").number, unlimited, spender)
	m.phrase = "Let " + spender.text + " spend " + what + until(m.message.member("deadline"))
	m.owner(owner)
	m.spender(spender)
}

// permitDAI is older than EIP-2612: everything or nothing, and an expiry of 0
// means never.
func (m *meaning) permitDAI() {
	holder, spender, expiry := m.message.member("holder"), m.message.member("spender"), m.message.member("expiry")
	amount := new(big.Int)
	if m.message.member("allowed").flag {
		amount = unlimited
	}
	what := m.allow(m.contract(), amount, unlimited, spender)
	if m.phrase = "Let " + spender.text + " spend " + what; expiry.number.Sign() > 0 {
		m.phrase += until(expiry)
	}
	m.owner(holder)
	m.spender(spender)
}

// transferAuthorized is EIP-3009's transfer, whoever may submit it.
func (m *meaning) transferAuthorized() {
	from, to, value := m.message.member("from"), m.message.member("to"), m.message.member("value").number
	asset := m.net.erc20(m.contract())
	m.in.Moves = append(m.in.Moves, chain.Move{Asset: asset, Amount: value, From: from.text, To: to.text})
	m.phrase = "Let " + asset.Format(value) + " be sent to " + to.text + until(m.message.member("validBefore"))
	m.owner(from)
	switch {
	case to.address == Address{}:
		m.warn("zero-address", "The recipient is the zero address: nobody can ever spend from it.")
	case to.address == *m.contract():
		m.warn("token-contract", "The recipient is the token's own contract, from which most tokens never come back.")
	case m.from.known && to.address == m.from.address:
		m.warn("own-address", "The recipient is the signer itself.")
	}
}

// cancel is EIP-3009's: it moves nothing.
func (m *meaning) cancel() {
	m.phrase = "Cancel the authorization " + m.message.member("nonce").text
	m.owner(m.message.member("authorizer"))
}

// maxPermits bounds how many tokens one signature may name and still be read by
// a person.
const maxPermits = 32

// permit2 gives powers over tokens that the message names, for a while or for
// one transfer. Its amounts of 160 bits have a limit of their own.
func (m *meaning) permit2() {
	if *m.contract() != permit2Address {
		m.blind = "The words are those of Permit2, but the contract is another: what it makes of them cannot be seen here."
		return
	}
	list, deadline := m.message.member("details"), m.message.member("sigDeadline")
	if list == nil {
		list, deadline = m.message.member("permitted"), m.message.member("deadline")
	}
	grants := list.list
	if list.inner != nil {
		grants = []typedValue{*list}
	}
	if len(grants) > maxPermits {
		m.blind = fmt.Sprintf("It gives power over %d tokens: more than %d at once cannot be judged here.", len(grants), maxPermits)
		return
	}
	spender := m.message.member("spender")
	m.phrase = "Let " + spender.text + " spend "
	for i, g := range grants {
		amount := g.inner.member("amount")
		most := new(big.Int).Lsh(big.NewInt(1), uint(amount.kind.size))
		if most.Sub(most, big.NewInt(1)); amount.kind.size == 256 {
			most = unlimited
		}
		if i > 0 {
			m.phrase += ", and "
		}
		m.phrase += m.allow(&g.inner.member("token").address, amount.number, most, spender)
	}
	if len(grants) == 0 {
		m.phrase += "nothing"
	}
	m.phrase += ", if used" + until(deadline)
	m.spender(spender)
}

// until says when a signature ends to be good, a time in seconds since 1970.
func until(v *typedValue) string {
	const year9999 = 253402300799
	if !v.number.IsInt64() || v.number.Int64() > year9999 {
		return " at any time"
	}
	return fmt.Sprintf(" before %s", time.Unix(v.number.Int64(), 0).UTC().Format("2006-01-02 15:04 UTC"))
}
