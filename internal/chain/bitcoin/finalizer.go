package bitcoin

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/key"
)

// assemble puts the signatures in, makes final what is complete, and runs the
// scripts of all that is final. A signature that does not hold keeps everything
// back.
func (l *plan) assemble(sigs []key.Recoverable) ([]byte, error) {
	if l.reads {
		return nil, errors.New("the PSBT was only read: no key was named to sign it")
	}
	if len(sigs) != len(l.jobs) {
		return nil, fmt.Errorf("got %d signatures, want %d", len(sigs), len(l.jobs))
	}
	p := l.psbt.clone()
	for n, j := range l.jobs {
		if err := l.put(p, j, sigs[n]); err != nil {
			return nil, fmt.Errorf("input %d: %w", j.input, err)
		}
	}
	if err := l.finalize(p); err != nil {
		return nil, err
	}
	for n, j := range l.jobs {
		// What is final was executed, which verifies every signature in it.
		if !p.in[j.input].final() && !l.holds(j, sigs[n]) {
			return nil, fmt.Errorf("input %d: the signature does not verify", j.input)
		}
	}
	return p.form(p.bytes()), nil
}

// holds verifies one signature.
func (l *plan) holds(j job, sig key.Recoverable) bool {
	if j.task.Scheme == key.Taproot {
		return verifySchnorr(l.spends[j.input].taproot, j.task.Digest, append(sig.R[:], sig.S[:]...))
	}
	der, err := derOf(sig)
	return err == nil && verifyECDSA(j.key.point, j.task.Digest, der)
}

// put adds one signature, well formed but not yet verified.
func (l *plan) put(p *psbt, j job, sig key.Recoverable) error {
	m := p.in[j.input]
	if j.task.Scheme == key.Taproot {
		raw := append(sig.R[:], sig.S[:]...)
		if sig.V != 0 {
			return errors.New("signature: BIP-340 has no recovery id")
		}
		if j.sighash != sighashDefault {
			raw = append(raw, byte(j.sighash))
		}
		p.in[j.input] = m.with(inTapKeySig, nil, raw)
		return nil
	}
	der, err := derOf(sig)
	if err != nil {
		return err
	}
	p.in[j.input] = m.with(inPartialSig, j.key.point, append(der, byte(j.sighash)))
	return nil
}

// derOf writes a signature in strict DER. It wants r and s in [1, n-1], and s in
// the lower half, as nodes do that relay it.
func derOf(sig key.Recoverable) ([]byte, error) {
	var r, s secp256k1.ModNScalar
	switch {
	case sig.V > 1:
		return nil, errors.New("signature: recovery id is neither 0 nor 1")
	case r.SetBytes(&sig.R) != 0 || r.IsZero():
		return nil, errors.New("signature: r is out of range")
	case s.SetBytes(&sig.S) != 0 || s.IsZero():
		return nil, errors.New("signature: s is out of range")
	case s.IsOverHalfOrder():
		return nil, errors.New("signature: s is in the upper half of the order (BIP-146)")
	}
	return ecdsa.NewSignature(&r, &s).Serialize(), nil
}

// finalize makes final what has all its signatures, and executes it.
func (l *plan) finalize(p *psbt) error {
	done := make([]bool, len(p.in))
	for i, m := range p.in {
		if m.final() || l.spends[i].why != "" {
			continue
		}
		scriptSig, witness, ok := l.spends[i].satisfy(m)
		if !ok {
			continue
		}
		p.in[i], done[i] = m.finalized(scriptSig, witness), true
	}
	signed, err := p.withFinals()
	if err != nil {
		return err
	}
	judge := l.hash.afresh()
	for i := range p.in {
		if !done[i] {
			continue
		}
		if err := judge.execute(signed, i); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return nil
}

// satisfy builds scriptSig and witness from the signatures that are there.
func (s *spending) satisfy(m fields) (scriptSig []byte, witness [][]byte, ok bool) {
	var items [][]byte
	switch {
	case s.taproot != nil:
		sig, ok := m.find(inTapKeySig)
		return nil, [][]byte{sig}, ok
	case s.multi != nil:
		items = [][]byte{nil} // what OP_CHECKMULTISIG takes too much
		for _, k := range s.multi.keys {
			if sig, ok := m.find(inPartialSig, k...); ok && len(items) <= s.multi.m {
				items = append(items, sig)
			}
		}
		if len(items) <= s.multi.m {
			return nil, nil, false
		}
		items = append(items, s.code)
	default:
		for _, f := range m.all(inPartialSig) {
			items = [][]byte{f.value, f.data()}
		}
		if items == nil {
			return nil, nil, false
		}
	}
	if s.segwit {
		if s.redeem != nil {
			scriptSig = appendPush(nil, s.redeem)
		}
		return scriptSig, items, true
	}
	for _, item := range items {
		scriptSig = appendPush(scriptSig, item)
	}
	return scriptSig, nil, true
}

// finalized keeps the coin and what is not known, and drops the rest (BIP-174,
// Input Finalizer).
func (m fields) finalized(scriptSig []byte, witness [][]byte) fields {
	m = m.without(func(kind uint64) bool {
		_, known := inputFields[kind]
		return known && kind != inNonWitnessUTXO && kind != inWitnessUTXO && kind != proprietary
	})
	if len(scriptSig) > 0 {
		m = m.with(inFinalScriptSig, nil, scriptSig)
	}
	if len(witness) > 0 {
		m = m.with(inFinalScriptWitness, nil, appendStack(nil, witness))
	}
	return m
}

// withFinals is the transaction with the scriptSigs and witnesses that are final.
func (p *psbt) withFinals() (*msgTx, error) {
	t := p.tx.Copy()
	for i, m := range p.in {
		t.TxIn[i].SignatureScript, _ = m.find(inFinalScriptSig)
		stack, ok := m.find(inFinalScriptWitness)
		if !ok {
			continue
		}
		witness, err := parseStack(stack)
		if err != nil {
			return nil, fmt.Errorf("input %d: final witness: %w", i, err)
		}
		t.TxIn[i].Witness = witness
	}
	return t, nil
}

// executeFinal runs the scripts of an input that came final. A transaction with
// one that fails could never be sent.
func (l *plan) executeFinal(i int) error {
	signed, err := l.finals()
	if err != nil {
		return err
	}
	return l.hash.execute(signed, i)
}

// finals is withFinals of what came, made once.
func (l *plan) finals() (*msgTx, error) {
	var err error
	if l.signed == nil {
		l.signed, err = l.psbt.withFinals()
	}
	return l.signed, err
}

// extract finds our signatures in what assemble made. There is one PSBT alone
// that holds them in the right places: the one that assemble makes of them.
func (l *plan) extract(assembled []byte) ([]key.Recoverable, error) {
	if !resemblesPSBT(assembled) {
		return l.extractRaw(assembled)
	}
	p, err := parsePSBT(assembled)
	if err != nil {
		return nil, refuse(err)
	}
	if !bytes.Equal(p.tx.raw, l.psbt.tx.raw) {
		return nil, refuse(errors.New("PSBT: not the transaction that was to be signed"))
	}
	sigs, again, err := l.again(p.in)
	if err == nil && !bytes.Equal(again.bytes(), p.bytes()) {
		err = errors.New("PSBT: not the payload that was to be signed")
	}
	if err != nil {
		return nil, refuse(err)
	}
	return sigs, nil
}

// extractRaw is extract for the network's transaction, in which nothing but our
// signatures and those that were there may have been added.
func (l *plan) extractRaw(signed []byte) ([]key.Recoverable, error) {
	t, err := looseTx(bytes.TrimSpace(signed))
	if err == nil && len(t.TxIn) != len(l.psbt.in) {
		err = errors.New("transaction: not the one that was to be signed")
	}
	if err != nil {
		return nil, refuse(err)
	}
	in := make([]fields, len(l.psbt.in))
	for i, m := range l.psbt.in {
		in[i] = m.finalized(t.TxIn[i].SignatureScript, t.TxIn[i].Witness)
	}
	sigs, again, err := l.again(in)
	if err == nil {
		var whole *msgTx
		if whole, err = again.withFinals(); err == nil {
			var made []byte
			if made, err = serialize(whole); err == nil && !bytes.Equal(made, t.raw) {
				err = errors.New("transaction: not the one that was to be signed")
			}
		}
	}
	if err != nil {
		return nil, refuse(err)
	}
	return sigs, nil
}

// again finds our signatures in inputs, and assembles them anew.
func (l *plan) again(in []fields) (sigs []key.Recoverable, again *psbt, err error) {
	for _, j := range l.jobs {
		sig, ok := l.find(in[j.input], j)
		if !ok {
			return nil, nil, fmt.Errorf("PSBT: input %d: it has no signature of ours", j.input)
		}
		sigs = append(sigs, sig)
	}
	assembled, err := l.assemble(sigs)
	if err == nil {
		again, err = parsePSBT(assembled)
	}
	return sigs, again, err
}

// find looks for the signature of a job where finalize leaves it.
func (l *plan) find(m fields, j job) (key.Recoverable, bool) {
	if j.task.Scheme == key.Taproot {
		sig, ok := m.find(inTapKeySig)
		if stack, final := m.find(inFinalScriptWitness); final {
			if witness, err := parseStack(stack); err == nil && len(witness) == 1 {
				sig, ok = witness[0], true
			}
		}
		if !ok || len(sig) < 64 {
			return key.Recoverable{}, false
		}
		return key.Recoverable{R: [32]byte(sig[:32]), S: [32]byte(sig[32:64])}, true
	}
	if sig, ok := m.find(inPartialSig, j.key.point...); ok {
		return recoverable(j.key.point, j.task.Digest, sig[:len(sig)-1])
	}
	stack, _ := m.find(inFinalScriptWitness)
	items, _ := parseStack(stack)
	scriptSig, _ := m.find(inFinalScriptSig)
	if old, ok := pushes(scriptSig); ok {
		items = append(items, old...)
	}
	for _, item := range items {
		if len(item) < 9 || len(item) > 73 || item[len(item)-1] != byte(j.sighash) {
			continue
		}
		if sig, ok := recoverable(j.key.point, j.task.Digest, item[:len(item)-1]); ok {
			return sig, true
		}
	}
	return key.Recoverable{}, false
}

// recoverable adds to a DER signature the V by which it recovers to the key.
func recoverable(point, digest, der []byte) (key.Recoverable, bool) {
	parsed, err := ecdsa.ParseDERSignature(der)
	if err != nil {
		return key.Recoverable{}, false
	}
	r, s := parsed.R(), parsed.S()
	sig := key.Recoverable{R: r.Bytes(), S: s.Bytes()}
	for sig.V = range byte(2) {
		compact := append(append([]byte{27 + 4 + sig.V}, sig.R[:]...), sig.S[:]...) // SEC 1, section 4.1.6
		found, _, err := ecdsa.RecoverCompact(compact, digest)
		if err == nil && bytes.Equal(found.SerializeCompressed(), point) {
			return sig, true
		}
	}
	return key.Recoverable{}, false
}
