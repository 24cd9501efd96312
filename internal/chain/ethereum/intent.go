package ethereum

import (
	"fmt"
	"math/big"
	"strconv"

	"keyward/internal/chain"
)

// newContract stands where the address of a contract that is yet to be created
// would, when its creator is not known.
const newContract = "new contract"

// reading is one transaction on its way to an Intent.
type reading struct {
	tx     *tx
	from   sender
	to     string // EIP-55; "" for a creation
	net    network
	in     chain.Intent
	phrase string // what it does, the beginning of the sentence
}

// intent says what the transaction does when from signs it. Its numbers are the
// transaction's own; the envelope does not depend on them.
func (t *tx) intent(from sender, net network) chain.Intent {
	r := &reading{tx: t, from: from, net: net}
	r.in = chain.Intent{
		Kind: chain.Transaction, Chain: net.chain, From: from.String(), Nonce: &t.nonce,
		Fee: &chain.Fee{Asset: net.native, Max: t.fee()}, Creates: t.to == nil,
	}
	if t.to != nil {
		r.to = t.to.String()
	}
	switch {
	case t.to == nil:
		r.create()
	case len(t.data) == 0:
		r.pay(r.to)
		r.phrase = "Send " + r.sum() + " to " + r.to
		r.warnRecipient(*t.to)
	default:
		r.call()
	}
	r.readGrants()
	r.finish()
	return r.in
}

// pay moves the transaction's value; also none, so that the recipient is judged.
func (r *reading) pay(to string) {
	r.in.Moves = append(r.in.Moves, chain.Move{Asset: r.net.native, Amount: r.tx.value, From: r.in.From, To: to})
}

// sum is the transaction's value in words.
func (r *reading) sum() string { return r.net.native.Format(r.tx.value) }

func (r *reading) create() {
	r.phrase = fmt.Sprintf("Create a contract from %d bytes of code", len(r.tx.data))
	if r.tx.value.Sign() > 0 {
		to := newContract
		if r.from.known {
			to = r.from.creates(r.tx.nonce).String()
		}
		r.pay(to)
		r.phrase += " with " + r.sum() + " in it"
	}
	if len(r.tx.data) > maxInitCode {
		r.warn("large-code", fmt.Sprintf("The code has %d bytes; Ethereum takes at most %d (EIP-3860).", len(r.tx.data), maxInitCode))
	}
	r.warn("creates-contract", "What a new contract does cannot be seen here.")
	r.in.Blind = true
}

func (r *reading) call() {
	if r.tx.value.Sign() > 0 {
		r.pay(r.to)
	}
	r.readCall()
	call := r.in.Call
	if call.Name == "" {
		r.phrase = fmt.Sprintf("Call %s with %d bytes of data that cannot be read here", r.to, call.Size)
		r.warn("blind-call", "What the call does cannot be seen here.")
		if *r.tx.to == (Address{}) {
			r.warn("zero-address", "The call goes to the zero address, where there is no contract.")
		}
	}
	if r.tx.value.Sign() > 0 {
		r.phrase += ", and send " + r.sum() + " to " + r.to
	}
	r.in.Blind = !call.Decoded
}

// finish adds what every transaction has: where, and for how much.
func (r *reading) finish() {
	if r.tx.chainID == 0 {
		r.in.Blind = true
		r.warn("no-chain-id", "The transaction names no chain: anybody can execute it on every chain where the account has the same nonce.")
	}
	if n := len(r.tx.grants); n > 0 {
		r.phrase += fmt.Sprintf(", and set the code of %d accounts", n)
	}
	if n := r.tx.blobs.count; n > 0 {
		r.phrase += fmt.Sprintf(", and publish %d blobs", n)
	}
	fee := r.in.Fee.Max
	r.in.Sentence = r.phrase + " on " + r.net.name + " (fee at most " + r.net.native.Format(fee) + ")."
	if least := r.tx.leastGas(); r.tx.gas < least {
		r.warn("low-gas", "The gas limit is below the "+strconv.FormatUint(least, 10)+" that the transaction costs at least: no node will take it.")
	}
	if len(r.tx.data) == 0 && r.tx.value.Sign() > 0 && fee.Cmp(r.tx.value) > 0 {
		r.warn("high-fee", "The fee can be more than what is sent.")
	}
}

func (r *reading) move(asset chain.Asset, amount *big.Int, from string, to value) {
	r.in.Moves = append(r.in.Moves, chain.Move{Asset: asset, Amount: amount, From: from, To: to.text})
}

func (r *reading) warn(code, text string) {
	r.in.Warnings = append(r.in.Warnings, chain.Warning{Code: code, Text: text})
}
