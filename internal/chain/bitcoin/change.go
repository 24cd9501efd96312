package bitcoin

import (
	"bytes"
	"errors"
	"fmt"

	"keyward/internal/key"
)

// maxIndex is the highest index at which a wallet that is restored from its seed
// could reasonably be expected to look for coins.
const maxIndex = 100_000

// ownership is what an output's claim to be ours came to. Whoever claims and is
// not is refused; whoever claims what cannot be proved from the PSBT is paid.
type ownership struct {
	change bool
	code   string // of the warning why it is none, or ""
	text   string
}

// ownerOf goes after the claim of output i. An output is ours when its script is
// the one of a single key that was proved to be ours, in a place where a wallet
// would look for it.
func (l *plan) ownerOf(i int, mine *keyring) (ownership, error) {
	m, script := l.psbt.out[i], l.psbt.tx.TxOut[i].PkScript
	keys, others, err := mine.proved(m, outDerivation, outTapDerivation)
	if err != nil {
		return ownership{}, err
	}
	shared := others || m.has(outTapTree)
	for _, k := range mine.withSelf(keys) {
		t, ok := mine.typeOf(script, k.point)
		switch internal, given := m.find(outTapInternalKey); {
		case !ok:
			continue
		case t == P2TR && given && !bytes.Equal(internal, k.point[1:]):
			return ownership{}, errors.New("its Taproot internal key is not the one of its script")
		case t == P2TR && m.has(outTapTree):
			return ownership{}, errors.New("it names a Taproot tree that its script does not commit to")
		case !expected(t, k):
			return ownership{code: "odd-change", text: fmt.Sprintf("it is ours at %s, but no wallet would look for it there: it counts as paid to others", k.full)}, nil
		}
		return ownership{change: true}, nil
	}
	if len(keys) == 0 {
		return ownership{}, nil
	}
	version, _, witness := isWitness(script)
	if sharedScript(m, script, keys) || shared && witness && version == 1 {
		return ownership{code: "unproved-change", text: "our key is in it, but so may be others: without a descriptor nobody can tell whether it comes back, and it counts as paid to others"}, nil
	}
	return ownership{}, fmt.Errorf("it claims to be ours at %s, but it is not: its script is another one", keys[0].full)
}

// sharedScript tells whether the script behind the hash of an output is there
// and asks for one of our keys.
func sharedScript(m fields, script []byte, keys []ownKey) bool {
	var as fields // spendingOf knows the names that inputs have for it
	if redeem, ok := m.find(outRedeemScript); ok {
		as = as.with(inRedeemScript, nil, redeem)
	}
	if inner, ok := m.find(outWitnessScript); ok {
		as = as.with(inWitnessScript, nil, inner)
	}
	s, err := spendingOf(script, as)
	if err != nil || s.redeem == nil && s.script == nil {
		return false
	}
	for _, k := range keys {
		if bytes.Contains(s.code, k.point) {
			return true
		}
	}
	return false
}

// expected tells whether a wallet that knows the account would find a coin of this
// key: by its purpose's type, on chain 0 or 1, not far out. Below an account
// without a purpose that is known it is near the account, by any type; or else it
// is the very key that was asked.
func expected(t AddressType, k ownKey) bool {
	want, ok := purposeOf(k.full)
	if !ok {
		n := len(k.below)
		return n == 0 || n <= 2 && k.below[n-1] <= maxIndex && (n == 1 || k.below[0] <= 1)
	}
	const depth = 5 // purpose, coin type, account, change, index
	return t == want && len(k.full) == depth && k.full[2] >= key.Hardened && k.full[3] <= 1 && k.full[4] <= maxIndex
}
