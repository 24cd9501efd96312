package policy

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// question is a request as rules see it.
type question struct {
	actor   string
	subject string // the key's name, or what is acted on
	path    string
	now     int64
	size    int64 // of the payload in virtual bytes, where its fee is paid by size
	verbs   verbs // of all effects
	effects []effect
	sums    []sum
}

// effect is one of the payload's, with what comparing needs.
type effect struct {
	*chain.Effect          // lent
	asks          key.Verb // Verb, or sign-blind in its place
	bit           verbs    // of asks
	asset         string   // see assetID; "" where nothing is owned
	amount        *big.Int // Amount; nil where there is none, or no bound
	spot          spot     // of To
	hasSpot       bool
	seen          bool // the key paid to it before; known where a rule that matches asks
}

// sum is what leaves in one asset: moves that are not change, the most that the
// fee can be, and what others are allowed to take. Unbounded is more than any
// number.
type sum struct {
	asset     string
	total     *big.Int
	unbounded bool
}

// unlimitedBits is the length from which on an allowance is, in practice,
// everything for ever: 2^255 and above.
const unlimitedBits = 256

var errAmount = errors.New("payload moves a negative amount")

// ask splits the request into effects. What a chain's key would sign without
// its decoder having understood it is blind, whatever the payload calls itself.
func ask(r Request, q *question) error {
	in := &r.r.in
	q.actor, q.subject, q.path = r.r.actor, in.name(), in.Path
	blind := in.Key.ID != "" && in.Key.Domain != key.Raw && in.Parsed.Domain() == key.Raw && in.Parsed.Verb() == key.Sign
	intent := in.Parsed.Intent()
	if intent.Fee != nil {
		q.size = intent.Fee.Size
	}
	all := intent.Effects()
	q.effects = make([]effect, len(all))
	for i := range all {
		e := effect{Effect: &all[i], asks: all[i].Verb, amount: all[i].Amount}
		if blind {
			e.asks = key.SignBlind
		}
		if e.bit = bits[e.asks]; e.bit == 0 {
			return errors.New("payload asks for the unknown verb " + string(e.asks))
		}
		if e.To != "" && e.What != chain.EffectSighash { // which says there what it leaves open
			e.spot, e.hasSpot = spotOf(e.Chain, e.To), true
		}
		switch e.What {
		case chain.EffectMove, chain.EffectFee, chain.EffectAllowance:
			e.asset = assetID(e.Asset.ID)
			if err := q.add(&e); err != nil {
				return err
			}
		}
		q.verbs |= e.bit
		q.effects[i] = e
	}
	if len(q.effects) == 0 {
		return errors.New("payload without any effect")
	}
	return nil
}

// look finds out, for the rules that ask, which destinations the key paid before.
func (q *question) look(p *Policy, f Facts) error {
	if !slices.ContainsFunc(p.rules, func(r *rule) bool { return r.seen != nil && r.matches(q) }) {
		return nil
	}
	if f == nil {
		return errors.New("seen: nothing is known about past payments")
	}
	known := map[spot]bool{}
	for i := range q.effects {
		e := &q.effects[i]
		if !e.hasSpot {
			continue
		}
		seen, asked := known[e.spot]
		if !asked {
			var err error
			if seen, err = f.Paid(q.subject, e.Chain, e.To); err != nil {
				return fmt.Errorf("seen: %w", err)
			}
			known[e.spot] = seen
		}
		e.seen = seen
	}
	return nil
}

func (q *question) add(e *effect) error {
	if e.amount != nil && e.amount.Sign() < 0 {
		return errAmount
	}
	if e.What == chain.EffectAllowance && e.amount != nil && e.amount.BitLen() >= unlimitedBits {
		e.amount = nil
	}
	i := slices.IndexFunc(q.sums, func(s sum) bool { return s.asset == e.asset })
	if i < 0 {
		i = len(q.sums)
		q.sums = append(q.sums, sum{asset: e.asset, total: new(big.Int)})
	}
	s := &q.sums[i]
	if e.amount == nil {
		s.unbounded = true
		return nil
	}
	s.total.Add(s.total, e.amount)
	return nil
}

// whole is the subject with the path of an account below it.
func (q *question) whole() string {
	if q.path == "" {
		return q.subject
	}
	return q.subject + "/" + q.path
}

// outflow is what leaves in one asset; nothing when it does not occur.
func (q *question) outflow(asset string) sum {
	for _, s := range q.sums {
		if s.asset == asset {
			return s
		}
	}
	return sum{asset: asset}
}

// feeIn is the fee as far as it is paid in one asset.
func (q *question) feeIn(asset string) sum {
	for i := range q.effects {
		if e := &q.effects[i]; e.What == chain.EffectFee && e.asset == asset {
			return sum{asset: asset, total: e.amount, unbounded: e.amount == nil}
		}
	}
	return sum{asset: asset}
}

// destination is how budgets call where the effect's value goes.
func (e *effect) destination() string {
	if e.What == chain.EffectFee {
		return FeeDestination
	}
	return e.To
}

// charges is what the request takes from budgets, sorted by asset and
// destination. What has no bound is in no charge: no budget holds it, so that
// every window on it is exceeded.
func (q *question) charges() []Charge {
	if len(q.sums) == 0 {
		return nil
	}
	all := make([]Charge, 0, len(q.effects))
	for i := range q.effects {
		e := &q.effects[i]
		if e.asset == "" || e.amount == nil {
			continue
		}
		all = append(all, Charge{e.Asset.ID, e.destination(), e.amount})
	}
	slices.SortFunc(all, func(a, b Charge) int {
		if c := strings.Compare(a.Asset, b.Asset); c != 0 {
			return c
		}
		return strings.Compare(a.Destination, b.Destination)
	})
	merged := all[:0]
	for _, c := range all {
		if n := len(merged); n > 0 && merged[n-1].Asset == c.Asset && merged[n-1].Destination == c.Destination {
			merged[n-1].Amount.Add(merged[n-1].Amount, c.Amount)
			continue
		}
		c.Amount = new(big.Int).Set(c.Amount) // the payload's own numbers are only lent
		merged = append(merged, c)
	}
	return merged
}

// within adds up what the request itself takes from a window: unbounded when an
// allowance without limit lies in its scope. The asset of the sum is the CAIP-19
// id under which the payments are kept.
func (q *question) within(b *budget, charges []Charge) sum {
	name := q.whole()
	own := sum{total: new(big.Int)}
	for i := range q.effects {
		if e := &q.effects[i]; e.asset == b.asset.id {
			own.asset = e.Asset.ID
			own.unbounded = own.unbounded || e.amount == nil && b.Scope.fits(name, q.actor, e.destination())
		}
	}
	for _, c := range charges {
		if c.Asset == own.asset && b.Scope.fits(name, q.actor, c.Destination) {
			own.total.Add(own.total, c.Amount)
		}
	}
	return own
}
