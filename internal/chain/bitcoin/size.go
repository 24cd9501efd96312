package bitcoin

// maxRelayed is the weight of the largest transaction that nodes relay.
const maxRelayed = 400_000

const (
	ecdsaSize   = 72 // of a signature in DER with its sighash type, at most
	schnorrSize = 64
	pointSize   = 33
)

// estimate is the weight of the transaction when all is signed: exact for final
// inputs, for the others with the longest signatures.
func (l *plan) estimate() (int64, error) {
	signed, err := l.finals()
	if err != nil {
		return 0, err
	}
	total, plain, witnesses := int64(4*signed.SerializeSizeStripped()), int64(0), int64(0)
	for i, m := range l.psbt.in {
		scriptSig, witness := int64(0), int64(0)
		if m.final() {
			if stack, ok := m.find(inFinalScriptWitness); ok {
				witness = int64(len(stack))
			}
		} else {
			scriptSig, witness = l.spends[i].estimate(l.sighashSize(i))
			total += 4 * (chunkSize(scriptSig) - 1) // the 1 is there
		}
		if witnesses += witness; witness == 0 {
			plain++
		}
	}
	if witnesses > 0 {
		total += 2 + plain + witnesses // marker, flag, and a zero for each input without a witness
	}
	return total, nil
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
