package bitcoin

// maxRelayed is the weight of the largest transaction that nodes relay.
const maxRelayed = 400_000

const (
	ecdsaSize   = 72 // of a signature in DER with its sighash type, at most
	schnorrSize = 64
	pointSize   = 33
)

// estimate is the weight of the transaction when all is signed, with the longest
// signatures for inputs that are not final. Of a final input it counts no more
// than one of its kind needs; padding is what is more. Whoever owns such an input
// can satisfy it by less once our signatures are there, and the fee that was small
// for a long transaction would be paid for a short one.
func (l *plan) estimate() (weight, padding int64, err error) {
	total, plain, witnesses := int64(4*l.psbt.tx.SerializeSizeStripped()), int64(0), int64(0)
	for i, m := range l.psbt.in {
		scriptSig, witness := int64(0), int64(0)
		if m.final() {
			if scriptSig, witness, err = l.least(i, m); err != nil {
				return 0, 0, err
			}
			old, _ := m.find(inFinalScriptSig)
			stack, _ := m.find(inFinalScriptWitness)
			padding += 4*(chunkSize(int64(len(old)))-chunkSize(scriptSig)) + int64(len(stack)) - witness
		} else {
			scriptSig, witness = l.spends[i].estimate(l.sighashSize(i))
		}
		total += 4 * (chunkSize(scriptSig) - 1) // the 1 is there
		if witnesses += witness; witness == 0 {
			plain++
		}
	}
	if witnesses > 0 {
		total += 2 + plain + witnesses // marker, flag, and a zero for each input without a witness
	}
	return total, padding, nil
}

// least is what a final input came with, but no more than its script, as far as it
// is one that is known here, asks for.
func (l *plan) least(i int, m fields) (scriptSig, witness int64, err error) {
	old, _ := m.find(inFinalScriptSig)
	stack, ok := m.find(inFinalScriptWitness)
	if l.reads { // nothing is signed any more
		return int64(len(old)), int64(len(stack)), nil
	}
	var items [][]byte
	if ok {
		if items, err = parseStack(stack); err != nil {
			return 0, 0, err
		}
	}
	script := l.coins[i].script
	var as fields // the scripts that it reveals, where an input that is not final has them
	if _, hidden := isPayScriptHash(script); hidden {
		if pushed, ok := pushes(old); ok && len(pushed) > 0 {
			script = pushed[len(pushed)-1]
			as = as.with(inRedeemScript, nil, script)
		}
	}
	if version, program, ok := isWitness(script); ok && version == 0 && len(program) == 32 && len(items) > 0 {
		as = as.with(inWitnessScript, nil, items[len(items)-1])
	}
	s, err := spendingOf(l.coins[i].script, as)
	if err != nil {
		return 0, 0, err
	}
	const sighash = 1 // it may have one
	scriptSig, witness = s.estimate(sighash)
	return min(scriptSig, int64(len(old))), min(witness, int64(len(stack))), nil
}

// sighashSize is what the sighash type adds to a Taproot signature.
func (l *plan) sighashSize(i int) int64 {
	if v, ok := l.psbt.in[i].find(inSighashType); ok && v[0] != 0 {
		return 1
	}
	return 0
}

// estimate is the size of the scriptSig, without its length, and of the witness,
// with its count, in bytes.
func (s *spending) estimate(sighash int64) (scriptSig, witness int64) {
	items := int64(1+ecdsaSize) + 1 + pointSize // also for scripts that nothing here knows
	switch {
	case s.taproot != nil:
		return 0, 2 + schnorrSize + sighash
	case s.multi != nil:
		items = 1 + int64(s.multi.m)*(1+ecdsaSize) + chunkSize(int64(len(s.code)))
	}
	if !s.segwit {
		return items, 0
	}
	if s.redeem != nil {
		scriptSig = 1 + int64(len(s.redeem))
	}
	return scriptSig, 1 + items
}

func vbytes(weight int64) int64 { return (weight + 3) / 4 }

// dustLimit is the least that nodes relay an output with, in satoshi: what it
// costs to spend it at 3 satoshi a virtual byte.
func dustLimit(script []byte) int64 {
	if isData(script) {
		return 0
	}
	spend := int64(148)
	if _, _, ok := isWitness(script); ok {
		spend = 67
	}
	return 3 * (8 + chunkSize(int64(len(script))) + spend)
}

// chunkSize is n bytes with their compact size.
func chunkSize(n int64) int64 { return n + int64(compactSize(uint64(n))) }
