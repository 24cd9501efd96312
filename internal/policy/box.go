package policy

import (
	"slices"
	"strings"
)

// comparison holds two rules' boxes against each other. Every dimension is a
// finite set or an interval, so the answers are exact, but for destinations on
// chains of which one side does not say which: there "no" may be too careful.
type comparison struct{ steps int }

// maxSteps bounds the comparisons of one Check; a policy of the largest size,
// built to be slow, stops there and says so.
const maxSteps = 20_000_000

func (c *comparison) exhausted() bool { return c.steps > maxSteps }

// inside tells whether all that a covers is in b's box: a's grants for a rule
// that covers, what it speaks about for one that denies.
func (c *comparison) inside(a, b *rule) bool {
	av, bv := a.grants, b.grants
	if a.deny {
		av = a.fits
	}
	if b.deny {
		bv = b.fits
	}
	switch {
	case !a.hours.within(b.hours) || !seenWithin(a.seen, b.seen) || !sighashWithin(a, b):
		return false
	case av&^bv != 0 || !chainsWithin(a.chains, b.chains) || !a.amount.within(b.amount) || !a.fee.within(b.fee):
		return false
	case a.fee != nil && b.fee == nil && b.amount != nil:
		return false // a covers fees in any asset beside its amount, b does not
	}
	return c.keysWithin(&a.keys, &b.keys) && c.whoWithin(&a.who, &b.who) && c.toWithin(a.to, b.to)
}

// meet tells whether some effect of some request can be in both boxes. Amounts
// are left out where the caller compares them itself.
func (c *comparison) meet(a, b *rule, amounts bool) bool {
	return c.meetIn(a, b, a.fits&b.fits, amounts)
}

func (c *comparison) meetIn(a, b *rule, verbs verbs, amounts bool) bool {
	switch {
	case a.fits&b.fits&verbs == 0 || !chainsMeet(a.chains, b.chains):
		return false
	case !a.hours.meets(b.hours) || !seenMeets(a.seen, b.seen) || !sighashMeets(a, b):
		return false
	case amounts && (!a.amount.meets(b.amount) || !a.fee.meets(b.fee)):
		return false
	case amounts && a.amount != nil && b.amount != nil && a.amount.asset.id != b.amount.asset.id:
		return false // one effect is of one asset
	}
	return c.keysMeet(&a.keys, &b.keys) && c.whoMeet(&a.who, &b.who) && c.toMeet(a.to, b.to)
}

func seenWithin(a, b *bool) bool { return b == nil || a != nil && *a == *b }

func seenMeets(a, b *bool) bool { return a == nil || b == nil || *a == *b }

// sighashWithin: a rule about sighash covers nothing else, one that is not about
// it covers none; a denial speaks about all of them.
func sighashWithin(a, b *rule) bool {
	switch {
	case b.sighash == nil:
		return a.sighash == nil || b.deny
	case a.sighash == nil:
		return false
	}
	return !slices.ContainsFunc(a.sighash, func(s string) bool { return !slices.Contains(b.sighash, s) })
}

func sighashMeets(a, b *rule) bool {
	switch {
	case a.sighash != nil && b.sighash != nil:
		return slices.ContainsFunc(a.sighash, func(s string) bool { return slices.Contains(b.sighash, s) })
	case a.sighash == nil && b.sighash == nil:
		return true
	}
	other := a
	if a.sighash != nil {
		other = b
	}
	return other.amount == nil && other.to == nil && other.seen == nil // what a sighash effect has none of
}

func chainsWithin(a, b []string) bool {
	return b == nil || a != nil && !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

func chainsMeet(a, b []string) bool {
	return a == nil || b == nil || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// each calls f for every actor that is named, also by way of groups, until f
// says false.
func (w *who) each(f func(string) bool) bool {
	for n := range w.names {
		if !f(n) {
			return false
		}
	}
	for _, g := range w.groups {
		for n := range g.members {
			if !f(n) {
				return false
			}
		}
	}
	return true
}

func (c *comparison) whoWithin(a, b *who) bool {
	if b.any || a.any {
		return b.any
	}
	return a.each(func(n string) bool { c.steps++; return b.has(n) })
}

func (c *comparison) whoMeet(a, b *who) bool {
	if a.any || b.any {
		return true
	}
	return !a.each(func(n string) bool { c.steps++; return !b.has(n) })
}

// patterns lists a key set in the form "name", "head*".
func (k *keys) patterns() []string {
	var all []string
	for s := range k.exact {
		all = append(all, s)
	}
	for _, h := range k.heads {
		all = append(all, h+"*")
	}
	return all
}

// patternWithin tells whether all that a means is meant by b. A name without a
// path means the key and all below it, one with a path an account with its keys.
func patternWithin(a, b string) bool {
	head, glob := strings.CutSuffix(b, "*")
	aHead, aGlob := strings.CutSuffix(a, "*")
	aName, _, aDeep := strings.Cut(aHead, "/")
	switch {
	case a == b:
		return true
	case !strings.Contains(head, "/"): // b means whole keys
		if aGlob && !aDeep {
			return glob && strings.HasPrefix(aHead, head)
		}
		return aName == head || glob && strings.HasPrefix(aName, head)
	case !glob:
		return !aGlob && reaches(b, aHead)
	case !aDeep:
		return false
	}
	return strings.HasPrefix(aHead, head)
}

// reaches tells whether an account leads to what begins so, without a hardened step.
func reaches(account, head string) bool {
	rest, below := strings.CutPrefix(head, account+"/")
	return below && !strings.Contains(rest, "h")
}

func patternsMeet(a, b string) bool {
	if patternWithin(a, b) || patternWithin(b, a) {
		return true
	}
	aHead, aGlob := strings.CutSuffix(a, "*")
	bHead, bGlob := strings.CutSuffix(b, "*")
	if aGlob != bGlob {
		return strings.Contains(a, "/") && strings.Contains(b, "/") && (reaches(aHead, bHead) || reaches(bHead, aHead))
	}
	return aGlob && (strings.HasPrefix(aHead, bHead) || strings.HasPrefix(bHead, aHead))
}

func (c *comparison) keysWithin(a, b *keys) bool {
	if b.any || a.any {
		return b.any
	}
	bs := b.patterns()
	return !slices.ContainsFunc(a.patterns(), func(p string) bool {
		c.steps += len(bs)
		return !slices.ContainsFunc(bs, func(o string) bool { return patternWithin(p, o) })
	})
}

func (c *comparison) keysMeet(a, b *keys) bool {
	if a.any || b.any {
		return true
	}
	bs := b.patterns()
	return slices.ContainsFunc(a.patterns(), func(p string) bool {
		c.steps += len(bs)
		return slices.ContainsFunc(bs, func(o string) bool { return patternsMeet(p, o) })
	})
}

func (p *places) each(f func(spot) bool) bool {
	for s := range p.spots {
		if !f(s) {
			return false
		}
	}
	for _, b := range p.books {
		for s := range b.spots {
			if !f(s) {
				return false
			}
		}
	}
	return true
}

func (c *comparison) toWithin(a, b *places) bool {
	if b == nil || a == nil {
		return b == nil
	}
	if len(a.spots) == 0 && !slices.ContainsFunc(a.books, func(k *book) bool { return !slices.Contains(b.books, k) }) {
		return true
	}
	return a.each(func(s spot) bool { c.steps++; return b.has(s) })
}

func (c *comparison) toMeet(a, b *places) bool {
	if a == nil || b == nil || slices.ContainsFunc(a.books, func(k *book) bool { return slices.Contains(b.books, k) }) {
		return true
	}
	meets := func(x, y *places) bool { return !x.each(func(s spot) bool { c.steps++; return !y.has(s) }) }
	return meets(a, b) || meets(b, a)
}
