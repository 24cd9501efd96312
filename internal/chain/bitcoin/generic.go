package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Generic signed messages (BIP-322): a virtual transaction to_sign spends the
// output of another, to_spend, which carries the message and the script.

// The variants, by the prefix of their signatures.
const (
	prefixSimple = "smp" // a witness
	prefixFull   = "ful" // all of to_sign
	prefixFunds  = "pof" // to_sign as a PSBT, with coins
)

const messageTag = "BIP0322-signed-message"

// Lock is how long a signed message binds: valid at Time (as nLockTime) and Age
// (as nSequence). Both are 0 where there is no time lock.
type Lock struct{ Time, Age uint32 }

func messageHash(message []byte) []byte {
	tag := sha256.Sum256([]byte(messageTag))
	h := sha256.New() // BIP-340, tagged hash
	h.Write(tag[:])
	h.Write(tag[:])
	h.Write(message)
	return h.Sum(nil)
}

// toSpend carries the message and the script that shall sign it.
func toSpend(message, script []byte) *msgTx {
	t := newTx(0)
	addInput(t, hash256{}, nullIndex, appendPush([]byte{op0}, messageHash(message)), 0)
	addOutput(t, 0, script)
	return t
}

// toSign spends it, into nothing.
func toSign(spent *msgTx) *msgTx {
	t := newTx(0)
	addInput(t, spent.TxHash(), 0, nil, 0)
	addOutput(t, 0, []byte{opReturn})
	return t
}

// messageChallenge tells whether a transaction is a to_spend. No miner can have
// made it: a coinbase of version 0 whose script begins with an empty push.
func (t *transaction) messageChallenge() bool {
	return len(t.TxIn) == 1 && t.TxIn[0].PreviousOutPoint == outPoint{Index: nullIndex} &&
		len(t.TxIn[0].SignatureScript) == 34 && bytes.HasPrefix(t.TxIn[0].SignatureScript, []byte{op0, 32})
}

// generic is one message on its way to a signature by one key.
type generic struct {
	tx    *msgTx
	hash  *sighasher
	spend spending
	task  chain.Task
}

// genericMessage is a message for an address of a single segwit or Taproot key.
func genericMessage(in chain.Intent, message, script, point []byte) (chain.Decoded, error) {
	g := &generic{tx: toSign(toSpend(message, script))}
	g.hash = newSighasher(g.tx, []coin{{0, script}})
	var m fields
	if _, nested := isPayScriptHash(script); nested {
		m = m.with(inRedeemScript, nil, payWitness(0, hash160(point)))
	}
	var err error
	if g.spend, err = spendingOf(script, m); err != nil {
		return chain.Decoded{}, err
	}
	digest, err := g.spend.digest(g.hash, 0, g.sighash())
	if err != nil {
		return chain.Decoded{}, err
	}
	g.task = chain.Task{Digest: digest, Point: point, Scheme: g.spend.scheme()}
	return chain.Decoded{Intent: in, Type: chain.TypeMsg, Tasks: []chain.Task{g.task}, Assemble: g.assemble, Extract: g.extract}, nil
}

func (g *generic) sighash() uint32 {
	if g.spend.taproot != nil {
		return sighashDefault
	}
	return sighashAll
}

func (g *generic) assemble(sigs []key.Recoverable) ([]byte, error) {
	if len(sigs) != 1 {
		return nil, fmt.Errorf("got %d signatures, want 1", len(sigs))
	}
	var m fields
	if g.spend.taproot != nil {
		if sigs[0].V != 0 {
			return nil, errors.New("signature: a recovery id, which BIP-340 does not have")
		}
		m = m.with(inTapKeySig, nil, append(sigs[0].R[:], sigs[0].S[:]...))
	} else {
		der, err := derOf(sigs[0])
		if err != nil {
			return nil, err
		}
		m = m.with(inPartialSig, g.task.Point, append(der, byte(g.sighash())))
	}
	t := g.tx.Copy()
	t.TxIn[0].SignatureScript, t.TxIn[0].Witness, _ = g.spend.satisfy(m)
	if err := g.hash.execute(t, 0); err != nil {
		return nil, err
	}
	if g.spend.redeem == nil {
		return append([]byte(prefixSimple), encodeBase64(appendStack(nil, t.TxIn[0].Witness))...), nil
	}
	// A simple signature has no place for a scriptSig.
	raw, err := serialize(t)
	return append([]byte(prefixFull), encodeBase64(raw)...), err
}

// extract reads back the one text that assemble makes of a signature.
func (g *generic) extract(text []byte) ([]key.Recoverable, error) {
	text = bytes.TrimSpace(text)
	witness, err := g.witnessOf(text)
	if err != nil || len(witness) == 0 {
		return nil, refuse(errors.New("signature: not one of BIP-322 for this kind of address"))
	}
	sig, ok := key.Recoverable{}, false
	if raw := witness[0]; g.spend.taproot != nil && len(raw) == 64 {
		sig, ok = key.Recoverable{R: [32]byte(raw[:32]), S: [32]byte(raw[32:])}, true
	} else if g.spend.taproot == nil && len(raw) > 1 {
		sig, ok = recoverable(g.task.Point, g.task.Digest, raw[:len(raw)-1])
	}
	if !ok {
		return nil, refuse(errNotByAddress)
	}
	again, err := g.assemble([]key.Recoverable{sig})
	if err != nil || !bytes.Equal(again, text) {
		return nil, refuse(errNotByAddress)
	}
	return []key.Recoverable{sig}, nil
}

func (g *generic) witnessOf(text []byte) ([][]byte, error) {
	prefix := prefixSimple
	if g.spend.redeem != nil {
		prefix = prefixFull
	}
	body, ok := bytes.CutPrefix(text, []byte(prefix))
	if !ok {
		return nil, errors.New("another variant")
	}
	raw, err := decodeBase64(body)
	if err != nil {
		return nil, err
	}
	if g.spend.redeem == nil {
		return parseStack(raw)
	}
	t, err := parseTx(raw)
	if err != nil || len(t.TxIn) != 1 {
		return nil, errors.New("not a transaction with one input")
	}
	return t.TxIn[0].Witness, nil
}

// verifySimple checks a witness for the script, time locks excluded.
func verifySimple(script, message, text []byte) (Lock, error) {
	raw, err := decodeBase64(text)
	if err != nil {
		return Lock{}, err
	}
	witness, err := parseStack(raw)
	if err != nil {
		return Lock{}, fmt.Errorf("witness: %w", err)
	}
	t := toSign(toSpend(message, script))
	t.TxIn[0].Witness = witness
	return Lock{}, executeMessage(t, script)
}

// verifyFull checks a whole to_sign.
func verifyFull(script, message, text []byte) (Lock, error) {
	raw, err := decodeBase64(text)
	if err != nil {
		return Lock{}, err
	}
	t, err := parseTx(raw)
	if err != nil {
		return Lock{}, fmt.Errorf("to_sign: %w", err)
	}
	spent := outPoint{Hash: toSpend(message, script).TxHash()}
	switch {
	case len(t.TxIn) != 1 || t.TxIn[0].PreviousOutPoint != spent:
		return Lock{}, errNotByAddress
	case len(t.TxOut) != 1 || t.TxOut[0].Value != 0 || !bytes.Equal(t.TxOut[0].PkScript, []byte{opReturn}):
		return Lock{}, errors.New("to_sign: its output is not the one of BIP-322")
	case t.Version != 0 && t.Version != 2:
		return Lock{}, errors.New("to_sign: inconclusive: its version is neither 0 nor 2")
	}
	return Lock{t.LockTime, t.TxIn[0].Sequence}, executeMessage(t.msgTx, script)
}

// executeMessage runs the scripts with the rules of BIP-322, which are those that
// nodes relay by; and wants signatures to cover everything.
func executeMessage(t *msgTx, script []byte) error {
	if err := newSighasher(t, []coin{{0, script}}).execute(t, 0); err != nil {
		return fmt.Errorf("%w: %w", errNotByAddress, err)
	}
	return sealsAll(t.TxIn[0], script)
}

// sealsAll wants SIGHASH_ALL, or Taproot's default, of all that resembles a
// signature, and no OP_CODESEPARATOR, by which one could cover less of a script
// (BIP-322, required rules).
func sealsAll(in *txIn, script []byte) error {
	old, ok := pushes(in.SignatureScript)
	if _, nested := isPayScriptHash(script); nested && ok && len(old) > 0 {
		script = old[len(old)-1]
	}
	version, program, witness := isWitness(script)
	taproot := witness && version == 1
	if separates(revealed(in.Witness, version, len(program))) {
		return errors.New("its script has an OP_CODESEPARATOR")
	}
	for _, item := range slices.Concat(in.Witness, old) {
		n := len(item)
		ecdsaLike := !taproot && n >= 9 && n <= 73 && item[0] == 0x30 && int(item[1]) == n-3
		if ecdsaLike && item[n-1] != byte(sighashAll) || taproot && n == schnorrSize+1 && item[n-1] != byte(sighashAll) {
			return errors.New("a signature in it does not cover everything (SIGHASH_ALL)")
		}
	}
	return nil
}

// revealed is the script that a witness shows of the one that was hashed; nil
// where it shows none.
func revealed(witness [][]byte, version byte, size int) []byte {
	n := len(witness)
	if version == 0 && size == 32 && n > 0 {
		return witness[n-1]
	}
	const annex = 0x50 // BIP-341
	if n > 1 && len(witness[n-1]) > 0 && witness[n-1][0] == annex {
		n--
	}
	if version == 1 && n > 1 {
		return witness[n-2] // before the control block
	}
	return nil
}
