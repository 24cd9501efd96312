package bitcoin

import (
	"errors"
	"fmt"

	"keyward/internal/chain"
)

// Extract makes the transaction that the network takes (BIP-174, Transaction
// Extractor) out of a PSBT of which every input is final, and runs all its
// scripts. complete is false, without an error, where an input is not final yet.
// Errors wrap chain.ErrPayload.
func Extract(payload []byte) (raw []byte, complete bool, err error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, false, refuse(err)
	}
	if !p.final() || len(p.in) == 0 {
		return nil, false, nil
	}
	l, err := planFor(p, &keyring{})
	if err != nil {
		return nil, false, refuse(fmt.Errorf("PSBT: %w", err))
	}
	signed, err := l.finals()
	if err != nil {
		return nil, false, refuse(err)
	}
	raw, err = serialize(signed)
	return raw, err == nil, err
}

// Raw is Extract for what Assemble has just made, and run: it runs nothing again.
func Raw(assembled []byte) (raw []byte, complete bool, err error) {
	p, err := parsePSBT(assembled)
	if err != nil {
		return nil, false, refuse(err)
	}
	if !p.final() || len(p.in) == 0 {
		return nil, false, nil
	}
	signed, err := p.withFinals()
	if err != nil {
		return nil, false, refuse(err)
	}
	raw, err = serialize(signed)
	return raw, err == nil, err
}

func inspect(payload []byte) (chain.Inspected, error) {
	if !resemblesPSBT(payload) {
		return inspectTx(payload)
	}
	p, err := parsePSBT(payload)
	if err != nil {
		return chain.Inspected{}, err
	}
	if !p.final() {
		return chain.Inspected{}, errors.New("PSBT: not every input is final: it is not signed yet")
	}
	l, err := planFor(p, &keyring{})
	if err != nil {
		return chain.Inspected{}, fmt.Errorf("PSBT: %w", err)
	}
	in, err := l.intent(&keyring{}, Main)
	if err != nil {
		return chain.Inspected{}, fmt.Errorf("PSBT: %w", err)
	}
	if l.checkAmounts() != nil {
		in.Warnings = append(in.Warnings, chain.Warning{Code: "claimed-amounts", Text: "Not every amount is proved by a previous transaction: the fee is what the PSBT claims."})
	}
	signed, err := l.finals()
	if err != nil {
		return chain.Inspected{}, err
	}
	return chain.Inspected{Intent: in, Hash: idText(signed.TxHash())}, nil
}

// inspectTx reads a transaction that stands alone. What its inputs are worth and
// whose they are it does not say, and so neither its fee.
func inspectTx(payload []byte) (chain.Inspected, error) {
	t, err := looseTx(payload)
	if err != nil {
		return chain.Inspected{}, fmt.Errorf("transaction: %w", err)
	}
	if err := t.check(); err != nil {
		return chain.Inspected{}, err
	}
	if !t.signed() {
		return chain.Inspected{}, refuseTx(payload)
	}
	r := &reading{tx: t.msgTx, net: Main, fee: -1, own: map[string]bool{}}
	r.in = chain.Intent{Kind: chain.Transaction, Chain: Main.Chain}
	r.pay(make([]ownership, len(t.TxOut)))
	r.finish()
	return chain.Inspected{Intent: r.in, Hash: idText(t.id())}, nil
}
