package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// coin finds out what an input spends. It is proved when the previous
// transaction is there: its hash is the one that the input names.
func (p *psbt) coin(i int) (c coin, proved bool, err error) {
	claim, claimed := p.in[i].find(inWitnessUTXO)
	if claimed {
		if c, err = parseCoin(claim); err != nil {
			return coin{}, false, err
		}
	}
	if previous := p.previous[i]; previous != nil {
		if previous.messageChallenge() {
			return coin{}, false, errors.New("it is a message in the form of BIP-322: sign it with type message")
		}
		out := previous.TxOut[p.tx.TxIn[i].PreviousOutPoint.Index]
		found := coin{out.Value, out.PkScript}
		if claimed && !found.equal(c) {
			return coin{}, false, errors.New("its witness UTXO is not the output of its previous transaction")
		}
		c, proved = found, true
	} else if !claimed {
		return coin{}, false, errors.New("it does not say what it spends (no UTXO), so that nobody can tell the fee")
	}
	if c.value == 0 {
		return coin{}, false, errors.New("it spends a coin of 0: nobody pays with that, but messages are signed so (BIP-322)")
	}
	return c, proved, checkAmount(c.value)
}

// coins resolves all inputs. More comes out than there can be, and it is refused.
func (p *psbt) coins() (all []coin, proved []bool, err error) {
	sum := int64(0)
	for i := range p.in {
		c, ok, err := p.coin(i)
		if err != nil {
			return nil, nil, fmt.Errorf("input %d: %w", i, err)
		}
		if sum += c.value; sum > maxMoney {
			return nil, nil, fmt.Errorf("input %d: the inputs together are more bitcoin than there can be", i)
		}
		all, proved = append(all, c), append(proved, ok)
	}
	return all, proved, nil
}

// spending is how the script of a coin wants to be satisfied.
type spending struct {
	redeem  []byte    // of P2SH, where it is known
	script  []byte    // of P2WSH, where it is known
	code    []byte    // the script that digests cover
	segwit  bool      // by BIP-143
	taproot []byte    // x of the output key
	hash    []byte    // HASH160 of the one key
	multi   *multisig // else m of n keys
	why     string    // says why nothing here satisfies it; "" when something does
}

// spendingOf reads a coin's script with the scripts behind its hashes. A script
// that is not the one behind the hash is a lie.
func spendingOf(script []byte, m fields) (s spending, err error) {
	s.redeem, _ = m.find(inRedeemScript)
	s.script, _ = m.find(inWitnessScript)
	inner := script
	if hash, ok := isPayScriptHash(script); ok {
		if s.redeem == nil {
			s.why = "its redeem script is missing"
			return s, nil
		}
		if !bytes.Equal(hash160(s.redeem), hash) {
			return s, errors.New("its redeem script is not the one that is spent")
		}
		inner = s.redeem
	} else if s.redeem != nil {
		return s, errors.New("it has a redeem script, but spends no P2SH output")
	}
	version, program, witness := isWitness(inner)
	wantsScript := witness && version == 0 && len(program) == 32
	if s.script != nil && !wantsScript {
		return s, errors.New("it has a witness script, but spends no P2WSH output")
	}
	s.segwit, s.code = witness, inner
	switch {
	case wantsScript && s.script == nil:
		s.why = "its witness script is missing"
	case wantsScript && !bytes.Equal(witnessScriptHash(s.script), inner):
		return s, errors.New("its witness script is not the one that is spent")
	case wantsScript:
		s.code = s.script
		s.readMultisig("witness script")
	case witness && version == 0 && len(program) == 20:
		s.hash = program
	case witness && version == 1 && len(program) == 32 && s.redeem == nil:
		s.taproot, s.segwit = program, false
	case witness:
		s.why = "its witness version or length is unknown"
	case s.redeem != nil:
		s.readMultisig("redeem script")
	default:
		if s.hash, _ = isPayKeyHash(script); s.hash == nil {
			s.why = "its script is none that is signed here"
		}
	}
	return s, nil
}

func (s *spending) readMultisig(name string) {
	found, ok := isMultisig(s.code)
	if !ok {
		s.why = "its " + name + " is no plain multisig"
		return
	}
	if s.segwit && slices.ContainsFunc(found.keys, func(k []byte) bool { return len(k) != pointSize }) {
		s.why = "its " + name + " has keys that are not compressed"
		return
	}
	s.multi = &found
}

// wants tells whether a key, of 33 or 65 bytes, is one that the script asks for.
// Taproot asks for no key by name.
func (s *spending) wants(key []byte) bool {
	switch {
	case s.segwit && len(key) != pointSize: // no node relays them there
		return false
	case s.hash != nil:
		return bytes.Equal(hash160(key), s.hash)
	case s.multi != nil:
		return slices.ContainsFunc(s.multi.keys, func(k []byte) bool { return bytes.Equal(k, key) })
	}
	return false
}

// needs is how many signatures the script asks for.
func (s *spending) needs() int {
	if s.multi != nil {
		return s.multi.m
	}
	return 1
}

// digest is what a signature of this type covers.
func (s *spending) digest(h *sighasher, i int, kind uint32) ([]byte, error) {
	switch {
	case s.taproot != nil:
		return h.taproot(i, kind)
	case s.segwit:
		return h.witness(i, s.code, kind)
	}
	return h.legacy(i, s.code, kind)
}

// checkSigned verifies the signatures that are in a map already, and counts
// them. One that does not hold would spoil what is made with it.
func (s *spending) checkSigned(m fields, kind uint32, digest []byte) (count int, err error) {
	for _, f := range m.all(inPartialSig) {
		last := len(f.value) - 1
		switch {
		case !s.wants(f.data()):
			return 0, fmt.Errorf("it has a signature by key %x, which its script does not ask for", f.data())
		case uint32(f.value[last]) != kind:
			return 0, fmt.Errorf("it has a signature of sighash type %s, but asks for %s", sighashNames[uint32(f.value[last])], sighashNames[kind])
		case !verifyECDSA(f.data(), digest, f.value[:last]):
			return 0, fmt.Errorf("its signature by key %x does not verify", f.data())
		}
		count++
	}
	sig, ok := m.find(inTapKeySig)
	if !ok {
		return count, nil
	}
	switch last, err := tapSighash(sig); {
	case s.taproot == nil:
		return 0, errors.New("it has a Taproot signature, but spends no Taproot output")
	case err != nil:
		return 0, err
	case last != kind:
		return 0, fmt.Errorf("it has a signature of sighash type %s, but asks for %s", sighashNames[last], sighashNames[kind])
	case !verifySchnorr(s.taproot, digest, sig[:64]):
		return 0, errors.New("its Taproot signature does not verify")
	}
	return count + 1, nil
}

// tapSighash reads the type behind a signature of 64 bytes: none for the default,
// which must not be written (BIP-341).
func tapSighash(sig []byte) (uint32, error) {
	if len(sig) == 64 {
		return sighashDefault, nil
	}
	if sig[64] == 0 {
		return 0, errors.New("a default sighash type that is written out")
	}
	return uint32(sig[64]), nil
}
