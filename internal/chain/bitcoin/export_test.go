package bitcoin

import (
	"bytes"
	"slices"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// What the tests of package bitcoin_test see beside the exported names.

var (
	ScriptOf      = scriptOf
	LegacyDigest  = legacyDigest
	MessageHash   = messageHash
	OutputKey     = outputKey
	VerifySchnorr = verifySchnorr
	VerifyECDSA   = verifyECDSA
	Networks      = networks
	Pushes        = pushes
	AppendPush    = appendPush
	ParseTxBytes  = func(raw []byte) error { _, err := parseTx(raw); return err }
	WitnessScript = witnessScriptHash
)

// IDs are the ids of to_spend and to_sign.
func IDs(message, script []byte) (spend, sign string) {
	t := toSpend(message, script)
	return idText(t.TxHash()), idText(toSign(t).TxHash())
}

// Reencode reads a PSBT and writes it again, in binary.
func Reencode(payload []byte) ([]byte, error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, err
	}
	return p.bytes(), nil
}

// Kinds lists the record types of each input.
func Kinds(payload []byte) (all [][]uint64, err error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, err
	}
	for _, m := range p.in {
		var kinds []uint64
		for _, f := range m {
			kinds = append(kinds, f.kind)
		}
		all = append(all, kinds)
	}
	return all, nil
}

// WithoutSignatures empties the values of partial signatures, and sorts records.
func WithoutSignatures(payload []byte) ([]byte, error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, err
	}
	for i, m := range p.in {
		for n := range m {
			if m[n].kind == inPartialSig || m[n].kind == inTapKeySig {
				p.in[i][n].value = nil
			}
		}
		slices.SortFunc(p.in[i], func(a, b field) int { return bytes.Compare(a.key, b.key) })
	}
	return p.bytes(), nil
}

// SignOnly is assemble without the finalizer, as the Signer of BIP-174 does.
func SignOnly(payload []byte, ask chain.Ask, sign func(chain.Task) key.Recoverable) ([]byte, error) {
	mine, err := keyringOf(ask)
	if err != nil {
		return nil, err
	}
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, err
	}
	l, err := planFor(p, mine)
	if err != nil {
		return nil, err
	}
	c := p.clone()
	for _, j := range l.jobs {
		if err := l.put(c, j, sign(j.task)); err != nil {
			return nil, err
		}
	}
	if len(l.jobs) == 0 {
		return nil, l.nothing()
	}
	return c.bytes(), nil
}

// Finalize is the Input Finalizer of BIP-174 alone.
func Finalize(payload []byte) ([]byte, error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, err
	}
	l, err := planFor(p, &keyring{})
	if err != nil {
		return nil, err
	}
	c := p.clone()
	if err := l.finalize(c); err != nil {
		return nil, err
	}
	return c.bytes(), nil
}

// LegacySighash is the digest of an input before BIP-143.
func LegacySighash(raw, script []byte, input int, kind uint32) ([]byte, error) {
	t, err := parseTx(raw)
	if err != nil {
		return nil, err
	}
	h := &sighasher{tx: t.msgTx}
	return h.legacy(input, script, kind)
}

// TaprootSighash is the digest of BIP-341 for the key path.
func TaprootSighash(raw []byte, values []int64, scripts [][]byte, input int, kind uint32) ([]byte, error) {
	t, err := parseTx(raw)
	if err != nil {
		return nil, err
	}
	var coins []coin
	for i := range values {
		coins = append(coins, coin{values[i], scripts[i]})
	}
	return newSighasher(t.msgTx, coins).taproot(input, kind)
}

// RoundTrip reads a raw transaction and tells whether it is written the same.
func RoundTrip(raw []byte) (same bool, err error) {
	t, err := parseTx(raw)
	if err != nil {
		return false, err
	}
	again, err := serialize(t.msgTx)
	return bytes.Equal(raw, again) && t.id() == t.TxHash(), err
}

// ChecksOf bounds the signatures that an input's scripts can check.
func ChecksOf(scriptSig []byte, witness [][]byte, script []byte) int {
	return checksOf(&txIn{SignatureScript: scriptSig, Witness: witness}, script)
}
