package chain

import (
	"errors"
	"fmt"
	"math/big"

	"keyward/internal/key"
)

// Kind is the family of an Intent.
type Kind string

// The kinds. Plain is whatever raw keys do; Administration changes keyward itself.
const (
	Transaction    Kind = "transaction"
	Message        Kind = "message"
	TypedData      Kind = "typed-data"
	Plain          Kind = "plain"
	Administration Kind = "administration"
)

// Asset is something that can be owned, by its CAIP-19 id: "eip155:1/slip44:60",
// "eip155:1/erc20:0x…" (address in lower case).
type Asset struct {
	ID       string
	Symbol   string // for people; "" when unknown
	Decimals int    // -1 when unknown
}

// Move is value that changes hands. Amount is in base units (wei, satoshi).
type Move struct {
	Asset    Asset
	Amount   *big.Int
	From, To string
	Change   bool     // proved to come back to us; never merely claimed
	TokenID  *big.Int // of a non-fungible token, else nil
}

// Fee is the most that the payload can cost, in base units.
type Fee struct {
	Asset Asset
	Max   *big.Int
	Size  int64 // virtual bytes, where the fee is paid by size; else 0
}

// Allowance is a power over our assets that the payload gives away.
type Allowance struct {
	Asset     Asset
	Amount    *big.Int // nil when All; 0 takes a power back
	Unlimited bool     // in practice everything, for ever: 2^255 and more, or what its contract takes for that
	All       bool     // every token of a collection (setApprovalForAll)
	Spender   string
	TokenID   *big.Int
}

// Arg is one decoded argument, printed for people.
type Arg struct{ Name, Type, Value string }

// Call is a contract call. When it was not Decoded, whoever signs it signs blind.
type Call struct {
	To       string
	Selector string // "0xa9059cbb"; "" without data
	Name     string // "transfer(address,uint256)"
	Args     []Arg
	Decoded  bool
	Size     int // bytes of call data
}

// Warning is something a careful reader would stop at. Code is stable.
type Warning struct{ Code, Text string }

// Intent is what a payload would do if it were signed. Addresses are in the
// chain's own canonical form for people (EIP-55 for Ethereum).
type Intent struct {
	Kind       Kind
	Chain      string // CAIP-2, "eip155:1"; "" for plain
	Sentence   string // one plain sentence
	From       string
	Nonce      *uint64
	Moves      []Move
	Fee        *Fee
	Allowances []Allowance
	Call       *Call
	Creates    bool   // deploys a contract
	Text       string // a message's text, when it is printable
	// Sighashes are what signatures leave open that should cover all: "none",
	// "single", "all|anyonecanpay", …, each once.
	Sighashes []string
	Warnings  []Warning
	Blind     bool // some part of it was not understood

	plain key.Verb // of Plain and Administration
}

// Effect is one thing that a payload does; a policy must cover every one.
type Effect struct {
	Verb   key.Verb
	What   string // move, fee, allowance, call, message, plain, administration
	Asset  Asset
	Amount *big.Int // nil where the effect has none, or no bound (unlimited allowance)
	To     string   // "" where the effect has no destination; of a sighash, which one
	Chain  string
}

// The words of Effect.What.
const (
	EffectMove           = "move"
	EffectFee            = "fee"
	EffectAllowance      = "allowance"
	EffectCall           = "call"
	EffectMessage        = "message"
	EffectSighash        = "sighash"
	EffectPlain          = "plain"
	EffectAdministration = "administration"
)

func (i Intent) verb() key.Verb {
	switch i.Kind {
	case Transaction:
		return key.SignTransaction
	case TypedData:
		return key.SignTypedData
	case Message:
		if i.Blind {
			return key.SignBlind
		}
		return key.SignMessage
	}
	return i.plain
}

// Effects splits the intent: each move that is not proved change, the fee, each
// allowance, each call or creation not wholly decoded, each message. Typed data
// is a message to its contract, unless its effects are understood. There is
// always at least one.
func (i Intent) Effects() []Effect {
	verb := i.verb()
	var all []Effect
	for _, m := range i.Moves {
		if !m.Change {
			all = append(all, Effect{verb, EffectMove, m.Asset, m.Amount, m.To, i.Chain})
		}
	}
	if i.Fee != nil {
		all = append(all, Effect{verb, EffectFee, i.Fee.Asset, i.Fee.Max, "", i.Chain})
	}
	for _, a := range i.Allowances {
		amount := a.Amount
		if a.Unlimited || a.All {
			amount = nil // a bound that is none must not pass for one
		}
		all = append(all, Effect{verb, EffectAllowance, a.Asset, amount, a.Spender, i.Chain})
	}
	for _, s := range i.Sighashes {
		all = append(all, Effect{Verb: verb, What: EffectSighash, To: s, Chain: i.Chain})
	}
	if i.Call != nil && !i.Call.Decoded {
		all = append(all, Effect{Verb: key.SignBlind, What: EffectCall, To: i.Call.To, Chain: i.Chain})
	}
	if i.Creates {
		all = append(all, Effect{Verb: key.SignBlind, What: EffectCall, Chain: i.Chain})
	}
	switch {
	case i.Kind == Message:
		all = append(all, Effect{Verb: verb, What: EffectMessage, Chain: i.Chain})
	case i.Kind == TypedData && (i.Blind || len(all) == 0):
		// What is understood of typed data stands for it; else the contract does.
		e := Effect{Verb: verb, What: EffectMessage, Chain: i.Chain}
		if i.Call != nil {
			e.To = i.Call.To
		}
		all = append(all, e)
	}
	switch {
	case i.Kind == Plain:
		all = append(all, Effect{Verb: verb, What: EffectPlain})
	case i.Kind == Administration:
		all = append(all, Effect{Verb: verb, What: EffectAdministration})
	case i.Blind && !hasBlind(all):
		all = append(all, Effect{Verb: key.SignBlind, What: EffectCall, Chain: i.Chain})
	}
	return all
}

// check refuses a decoder's intent that could not be judged: amounts that are
// missing or negative, assets and destinations without a name.
func (i Intent) check() error {
	if i.Kind != Transaction && i.Kind != Message && i.Kind != TypedData {
		return fmt.Errorf("intent of kind %q", i.Kind)
	}
	for n, m := range i.Moves {
		if m.Asset.ID == "" || m.To == "" || m.Amount == nil || m.Amount.Sign() < 0 {
			return fmt.Errorf("move %d is incomplete", n)
		}
	}
	if i.Fee != nil && (i.Fee.Asset.ID == "" || i.Fee.Max == nil || i.Fee.Max.Sign() < 0) {
		return errors.New("fee is incomplete")
	}
	for n, a := range i.Allowances {
		if a.Asset.ID == "" || a.Spender == "" || !a.All && (a.Amount == nil || a.Amount.Sign() < 0) {
			return fmt.Errorf("allowance %d is incomplete", n)
		}
	}
	return nil
}

func hasBlind(all []Effect) bool {
	for _, e := range all {
		if e.Verb == key.SignBlind {
			return true
		}
	}
	return false
}

func plainIntent(verb key.Verb, kind Type, size int, context []Pair) Intent {
	what := "bytes"
	if kind == Digest {
		what = "bytes of digest"
	}
	sentence := fmt.Sprintf("%s %d %s", verb, size, what)
	if len(context) > 0 {
		sentence += fmt.Sprintf(" with %d entries of context", len(context))
	}
	return Intent{Kind: Plain, Sentence: sentence, plain: verb}
}
