package policy

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// maxUncovered bounds how many effects a denial speaks of one by one.
const maxUncovered = 16

func quote(s string) string { return `"` + s + `"` }

// uncovered adds, for each effect that no rule covers, the nearest rule and what
// it failed at. Effects with the same trouble share a reason.
func (p *Policy) uncovered(q *question, covered []bool, reasons []Reason) []Reason {
	type trouble struct{ code, rule, text string }
	var order []trouble
	said := map[trouble][]string{}
	first := map[trouble]string{}
	told, more := 0, 0
	for i, ok := range covered {
		if ok {
			continue
		}
		if told++; told > maxUncovered {
			more++
			continue
		}
		e := &q.effects[i]
		code, rule, text, follows := p.nearest(q, e)
		if follows && (slices.Contains(covered[:i], false) || slices.Contains(covered[i+1:], false)) {
			continue // the fee of a payment that is not covered itself
		}
		t := trouble{code, rule, text}
		if said[t] == nil {
			order, first[t] = append(order, t), e.What
		}
		said[t] = append(said[t], p.describe(e))
	}
	for _, t := range order {
		reasons = append(reasons, Reason{t.code, t.rule, first[t], inWords(said[t], "and") + ": " + t.text})
	}
	if more > 0 {
		reasons = append(reasons, Reason{Code: "no-rule", Text: "and " + strconv.Itoa(more) + " more that no rule covers"})
	}
	return reasons
}

// nearest explains why nothing covers e by the rule that came closest; among
// equals, the first by name. Follows tells that e is a fee which only lacks its
// payment.
func (p *Policy) nearest(q *question, e *effect) (code, name, text string, follows bool) {
	var best *rule
	at := missWho
	for _, r := range p.rules {
		if r.deny {
			continue
		}
		if miss := r.failsAt(q, e); best == nil || miss > at {
			best, at = r, miss
		}
	}
	code, name, text = explain(best, at, q, e)
	if e.bit == blindVerb && at <= missBlind {
		code, text = "blind", "keyward does not understand it, and no rule names do: [sign-blind] for "+q.actor+" and "+quote(q.whole())
	}
	return code, name, text, at == missPayment
}

// failsAt tells what keeps a rule from covering an effect.
func (r *rule) failsAt(q *question, e *effect) dimension {
	switch {
	case !r.who.has(q.actor):
		return missWho
	case e.bit&systemVerbs != 0 && r.fits&e.bit != 0 && !r.keys.any:
		return missSystem
	case !r.keys.has(q.subject, q.path):
		return missKeys
	case r.fits&e.bit != 0 && r.grants&e.bit == 0:
		return missBlind
	case r.fits&e.bit != 0 && !r.feeFits(q):
		return missFee
	}
	at := r.misses(q, e)
	switch {
	case at == fitsAll && !r.covers(e):
		return missSighash
	case at == fitsAll && !r.hours.holds(q.now):
		return missHours
	}
	return at
}

// misses is miss and missFee in one.
func (r *rule) misses(q *question, e *effect) dimension {
	if e.What != chain.EffectFee {
		return r.miss(q, e)
	}
	anchored := false
	for i := range q.effects {
		o := &q.effects[i]
		anchored = anchored || o.What != chain.EffectFee && r.miss(q, o) == fitsAll
	}
	return r.missFee(q, e, anchored)
}

func explain(r *rule, at dimension, q *question, e *effect) (code, rule, text string) {
	switch {
	case r == nil:
		return "no-rule", "", "no rule allows anything"
	case at == missWho:
		return "no-rule", "", "no rule is for " + q.actor
	case at == missKeys:
		if q.subject == "any" { // a question about all keys, as key list asks
			return "no-rule", "", "no rule for " + q.actor + " is about all keys (keys: [any])"
		}
		return "no-rule", "", "no rule for " + q.actor + " is about " + quote(q.whole())
	}
	code, text = r.explain(at, q, e)
	return code, r.name, r.says + text
}

func (r *rule) explain(at dimension, q *question, e *effect) (code, text string) {
	switch at {
	case missSystem:
		return "no-rule", " is about some keys, and " + string(e.asks) + " is about none of them: that takes keys: [any]"
	case missDo:
		return "no-rule", " is not for " + string(e.asks)
	case missChains:
		return "chain", ": chain " + orNone(e.Chain) + " is not among its chains"
	case missSighash:
		if e.What == chain.EffectSighash {
			return "sighash", " does not name sighash: [" + e.To + "]"
		}
		return "sighash", " is only about what a signature leaves open"
	case missSeen:
		switch {
		case !e.hasSpot:
			return "first-payment", " is about destinations, and this has none"
		case *r.seen:
			return "first-payment", " is about destinations that this key paid before, and never yet " + e.To
		}
		return "first-payment", " is about destinations that this key never paid, and it paid " + e.To
	case missHours:
		return "hours", " is for " + r.hours.String() + ", and it is another time"
	case missAsset:
		if e.asset == "" {
			return "asset", " is about amounts of " + r.amount.asset.name + ", and this has no amount"
		}
		return "asset", " is about amounts of " + r.amount.asset.name + ", not of this asset"
	case missTo:
		return "destination", ": destination " + orNone(e.To) + " is not among those in its to"
	case missPayment:
		return "no-rule", " covers a fee only beside a payment that it covers"
	case missFee:
		fee := q.feeIn(r.fee.asset.id)
		if fee.total == nil && !fee.unbounded {
			return "over-fee", " is about fees in " + r.fee.asset.name
		}
		if r.fee.holds(fee) {
			return "over-fee", ": fee of " + r.fee.asset.format(fee.total) + " for " + strconv.FormatInt(q.size, 10) +
				" virtual bytes is over " + strconv.FormatInt(r.fee.rate, 10) + " sat a virtual byte"
		}
		return "over-fee", ": fee " + r.fee.outside(fee)
	case missAmount:
		over := q.outflow(r.amount.asset.id)
		text := r.amount.outside(over)
		if q.feeIn(r.amount.asset.id).total != nil {
			text += " (with the fee)"
		}
		return "over-amount", ": amount " + text
	}
	return "no-rule", " does not cover it"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// outside says at which end an amount lies outside of v.
func (v *interval) outside(s sum) string {
	n := s.total
	switch {
	case s.unbounded:
		return "without limit is over max " + v.asset.format(v.max)
	case n == nil:
		n = zero
	}
	if v.max != nil && n.Cmp(v.max) > 0 {
		return v.asset.format(n) + " is over max " + v.asset.format(v.max)
	}
	return v.asset.format(n) + " is under min " + v.asset.format(v.min)
}

func (b *budget) overdrawn(spent *big.Int, own sum) string {
	asked := "an amount without limit"
	if !own.unbounded {
		asked = b.asset.format(own.total)
	}
	return fmt.Sprintf("window: %s spent in the last %s and %s asked for are over max %s",
		b.asset.format(spent), formatSpan(b.Per), asked, b.asset.format(b.Max))
}

func (n *Need) String() string {
	s := strconv.Itoa(n.Count) + " approvals"
	if n.Count == 1 {
		s = "1 approval"
	}
	s += " of " + n.Of
	if n.Within > 0 {
		s += " within " + formatSpan(n.Within)
	}
	return s
}

// kinds is a set of the sorts of effects: the verb of what is plain or
// administration, Effect.What of the others.
type kinds uint64

// whats are the sorts that stand above the verbs' bits.
func whats() [6]string {
	return [...]string{chain.EffectMove, chain.EffectFee, chain.EffectAllowance, chain.EffectCall, chain.EffectMessage, chain.EffectSighash}
}

const firstWhat = 64 - 6

func (k *kinds) add(e *effect) {
	for i, w := range whats() {
		if e.What == w {
			*k |= 1 << (firstWhat + i)
			return
		}
	}
	*k |= kinds(e.bit)
}

func (k kinds) String() string {
	var few [4]string
	all := few[:0]
	for i, w := range whats() {
		if k&(1<<(firstWhat+i)) != 0 {
			all = append(all, w)
		}
	}
	for i, v := range key.Verbs() {
		if k&(1<<i) != 0 {
			all = append(all, string(v))
		}
	}
	return inWords(all, "and")
}

// describe says for people what an effect is, in the names that the policy has
// for its asset.
func (p *Policy) describe(e *effect) string {
	asset := e.Asset
	if a := p.byID[e.asset]; a != nil {
		asset.Symbol, asset.Decimals = a.name, a.decimals
	}
	var b strings.Builder
	var k kinds
	k.add(e)
	b.WriteString(k.String())
	switch {
	case e.asset == "":
	case e.amount == nil && asset.Symbol != "":
		b.WriteString(" without limit of " + asset.Symbol)
	case e.amount == nil:
		b.WriteString(" without limit of " + asset.ID)
	case e.What == chain.EffectFee:
		b.WriteString(" of up to " + asset.Format(e.amount))
	default:
		b.WriteString(" of " + asset.Format(e.amount))
	}
	switch {
	case e.What == chain.EffectSighash:
		b.WriteString(" " + e.To)
	case e.To != "":
		b.WriteString(" to " + e.To)
	}
	return b.String()
}
