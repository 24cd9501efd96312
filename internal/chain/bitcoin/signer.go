package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// plan is what signing a PSBT comes to: what its inputs spend, and one job for
// each signature that we can add.
type plan struct {
	psbt   *psbt
	coins  []coin
	spends []spending
	hash   *sighasher
	jobs   []job
	ours   []bool   // inputs that our keys can sign, also when they have
	why    []string // no job for an input, because
	proved []bool   // amounts that are more than claimed
	reads  bool     // no key was named: the jobs are only shown
	signed *msgTx   // with what came final; see finals
}

// job is one signature to be made.
type job struct {
	input   int
	key     ownKey
	sighash uint32
	task    chain.Task
}

// planFor reads all inputs and finds those that are ours to sign.
func planFor(p *psbt, mine *keyring) (*plan, error) {
	if err := p.tx.check(); err != nil {
		return nil, err
	}
	coins, proved, err := p.coins()
	if err != nil {
		return nil, err
	}
	l := &plan{
		psbt: p, coins: coins, hash: newSighasher(p.tx.msgTx, coins),
		ours: make([]bool, len(coins)), why: make([]string, len(coins)), proved: proved, reads: mine.empty(),
	}
	for i := range coins {
		if err := l.planInput(i, mine); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	return l, nil
}

func (l *plan) planInput(i int, mine *keyring) error {
	m := l.psbt.in[i]
	s, err := spendingOf(l.coins[i].script, m)
	if err != nil {
		return err
	}
	l.spends = append(l.spends, s)
	keys, root, err := s.keysOf(m, mine)
	if err != nil {
		return err
	}
	l.ours[i] = len(keys) > 0 || l.reads
	if m.final() {
		l.why[i] = "it is final"
		return l.executeFinal(i)
	}
	if s.why != "" {
		l.why[i] = s.why
		return nil
	}
	kind, err := l.psbt.sighashOf(i, s.taproot != nil)
	if err != nil {
		return err
	}
	if len(keys) == 0 && !m.has(inPartialSig, inTapKeySig) {
		l.why[i] = "no key of it is proved to be ours"
		return nil
	}
	digest, err := s.digest(l.hash, i, kind)
	if err != nil {
		return err
	}
	have, err := s.checkSigned(m, kind, digest)
	if err != nil {
		return err
	}
	l.add(i, m, s.needs()-have, keys, job{input: i, sighash: kind, task: chain.Task{Digest: digest, Scheme: s.scheme(), Root: root}})
	return nil
}

// add makes jobs for our keys, as many as signatures are missing at most.
func (l *plan) add(i int, m fields, missing int, keys []ownKey, template job) {
	before := len(l.jobs)
	l.why[i] = "it has all the signatures that it needs"
	for _, k := range keys {
		if missing <= 0 {
			return
		}
		if _, signed := m.find(inPartialSig, k.point...); signed {
			l.why[i] = "our signature is there already"
			continue
		}
		j := template
		j.key, j.task.Point, j.task.Path = k, k.point, k.below
		l.jobs = append(l.jobs, j)
		missing--
	}
	switch {
	case len(l.jobs) > before:
		l.why[i] = ""
	case len(keys) == 0:
		l.why[i] = "no key of it is proved to be ours"
	}
}

func (s *spending) scheme() key.Scheme {
	if s.taproot != nil {
		return key.Taproot
	}
	return key.ECDSA
}

// keysOf returns our keys that the script asks for, and for Taproot the Merkle
// root that leads from the internal key to the output key. Who names no key at
// all reads what anybody would have to sign.
func (s *spending) keysOf(m fields, mine *keyring) (keys []ownKey, root []byte, err error) {
	proved, _, err := mine.proved(m, inDerivation, inTapDerivation)
	if err != nil || s.why != "" {
		return nil, nil, err
	}
	root, _ = m.find(inTapMerkleRoot)
	if mine.empty() {
		return make([]ownKey, s.needs()), root, nil
	}
	for _, k := range mine.withSelf(proved) {
		wanted := s.wants(k.point)
		if s.taproot != nil {
			if wanted, err = s.isInternal(k, mine, m, root); err != nil {
				return nil, nil, err
			}
		}
		if wanted {
			keys = append(keys, k)
		}
	}
	if s.multi != nil { // in the script's order, whatever the PSBT's
		at := func(k ownKey) int {
			return slices.IndexFunc(s.multi.keys, func(b []byte) bool { return bytes.Equal(b, k.point) })
		}
		slices.SortFunc(keys, func(a, b ownKey) int { return at(a) - at(b) })
	}
	return keys, root, nil
}

// isInternal tells whether a key of ours is the internal key of the output key.
func (s *spending) isInternal(k ownKey, mine *keyring, m fields, root []byte) (bool, error) {
	named, given := m.find(inTapInternalKey)
	if given && !bytes.Equal(named, k.point[1:]) {
		return false, nil
	}
	x, err := mine.output(k.point, root)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(x, s.taproot) && given {
		return false, errors.New("its Taproot internal key and Merkle root do not lead to the output key that is spent")
	}
	return bytes.Equal(x, s.taproot), nil
}

// checkAmounts refuses amounts that are only claimed. Digests of BIP-143 cover
// the amount of their own input alone: whoever signs twice, with other inputs
// belittled each time, gives the difference away as fee. A Taproot signature of
// ours covers all of them, so that a lie makes it worthless.
func (l *plan) checkAmounts() error {
	covered := slices.ContainsFunc(l.jobs, func(j job) bool {
		return j.task.Scheme == key.Taproot && coversAll(j.sighash)
	})
	for i, ok := range l.proved {
		if !ok && !(covered && l.spends[i].taproot != nil) && !l.psbt.signsItsAmount(i, l.coins[i]) {
			return fmt.Errorf("input %d: its amount is only claimed: add the previous transaction (non-witness UTXO), which proves it", i)
		}
	}
	return nil
}

// signsItsAmount tells whether a final input, whose scripts hold, has a signature
// that covers its amount. A false one could then never be sent.
func (p *psbt) signsItsAmount(i int, c coin) bool {
	stack, ok := p.in[i].find(inFinalScriptWitness)
	if !ok {
		return false
	}
	items, err := parseStack(stack)
	version, program, witness := isWitness(c.script)
	return err == nil && witness && (version == 0 && len(program) == 20 || version == 1 && len(items) == 1)
}

// tasks are the jobs in the order in which Assemble wants their signatures.
func (l *plan) tasks() []chain.Task {
	var all []chain.Task
	for _, j := range l.jobs {
		all = append(all, j.task)
	}
	return all
}

// nothing says for each input why there is nothing to sign.
func (l *plan) nothing() error {
	var reasons []string
	for i, why := range l.why {
		if len(reasons) == 4 {
			reasons = append(reasons, fmt.Sprintf("and %d more inputs", len(l.why)-i))
			break
		}
		reasons = append(reasons, fmt.Sprintf("input %d: %s", i, why))
	}
	return fmt.Errorf("PSBT: there is nothing to sign: %s", strings.Join(reasons, "; "))
}

// decodePSBT reads a PSBT that is to be signed.
func decodePSBT(payload []byte, mine *keyring, ask chain.Ask) (chain.Decoded, error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return chain.Decoded{}, err
	}
	if p.global.has(globalMessage) {
		return chain.Decoded{}, errors.New("PSBT: it asks for a signed message (BIP-322), not for a payment: sign the message itself with type message")
	}
	if len(p.in) > 0 && p.final() {
		return chain.Decoded{}, fmt.Errorf("PSBT: every input is final: %w", chain.ErrSigned)
	}
	l, err := planFor(p, mine)
	if err != nil {
		return chain.Decoded{}, fmt.Errorf("PSBT: %w", err)
	}
	if len(l.jobs) == 0 {
		return chain.Decoded{}, l.nothing()
	}
	if err := l.checkAmounts(); err != nil {
		return chain.Decoded{}, fmt.Errorf("PSBT: %w", err)
	}
	n, err := networkOf(ask.Network, l.path(mine))
	if err != nil {
		return chain.Decoded{}, err
	}
	in, err := l.intent(mine, n)
	if err != nil {
		return chain.Decoded{}, fmt.Errorf("PSBT: %w", err)
	}
	return chain.Decoded{Intent: in, Type: chain.TypePSBT, Tasks: l.tasks(), Assemble: l.assemble, Extract: l.extract}, nil
}

// path is where our keys are, as far as it is known.
func (l *plan) path(mine *keyring) key.Path {
	const coinType = 2
	for _, j := range l.jobs {
		if len(mine.at) < coinType && len(j.key.full) >= coinType {
			return j.key.full
		}
	}
	return mine.at
}
