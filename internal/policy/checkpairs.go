package policy

import "strings"

// pairs compares every two rules.
func (c *checker) pairs() {
	for i, a := range c.p.rules {
		for j, b := range c.p.rules {
			if i == j {
				continue
			}
			if c.cmp.exhausted() {
				c.say(Note, nil, "too large to compare every rule with every other: some findings may be missing")
				return
			}
			c.pair(a, b, i < j)
		}
	}
}

// pair looks at what b makes of a. First is true for one of the two orders.
func (c *checker) pair(a, b *rule, first bool) {
	inside := c.cmp.inside(a, b)
	equal := inside && c.cmp.inside(b, a)
	switch {
	case inside && b.deny && !a.deny:
		c.say(Warning, a, "never applies: rule %s denies all of it", b.name)
		return
	case inside && b.deny && a.deny:
		if !equal || first {
			c.say(Note, a, "denies nothing that rule %s does not deny", b.name)
		}
		return
	case a.deny && !b.deny:
		c.split(b, a)
		return
	case a.deny || b.deny:
		return
	case inside && !a.demands() && b.demands():
		c.say(Warning, a, "makes nothing easier: rule %s speaks about all of it too, and what it asks for is asked anyway", b.name)
	case inside && !a.demands() && (!equal || first):
		c.say(Warning, a, "adds nothing: rule %s covers all of it", b.name)
	case inside && a.demands() && a.sameDemands(b) && (!equal || first):
		c.say(Note, a, "adds nothing: rule %s covers all of it and asks for the same", b.name)
	case first && !inside && (a.demands() || b.demands()) && !a.sameDemands(b) && !c.cmp.inside(b, a) && c.cmp.meet(a, b, true):
		c.say(Note, a, "overlaps with rule %s: where both speak, what both ask for is asked", b.name)
	}
	if first && a.hours != nil && b.hours != nil && a.hours.zone.String() != b.hours.zone.String() && c.cmp.meet(a, b, true) {
		c.say(Note, a, "cannot be compared with rule %s: their hours are in two time zones, and taken to overlap", b.name)
	}
	c.split(a, b)
	c.cheaper(a, b)
}

// demands tells whether the rule asks for anything.
func (r *rule) demands() bool { return r.need != nil || r.delay > 0 || len(r.windows) > 0 }

// sameDemands tells whether two rules ask for exactly the same, windows aside,
// which each rule counts for itself.
func (r *rule) sameDemands(o *rule) bool {
	if len(r.windows)+len(o.windows) > 0 || r.delay != o.delay || (r.need == nil) != (o.need == nil) {
		return false
	}
	return r.need == nil || r.need.same(o.need)
}

func (n *Need) same(o *Need) bool {
	return n.Count == o.Count && n.Of == o.Of && n.Within == o.Within && n.InitiatorCounts == o.InitiatorCounts
}

// split finds limits that many small payments dodge: above a minimum b asks for
// more, or denies, and below it a lets pass any number of payments.
func (c *checker) split(a, b *rule) {
	strict := b.deny || b.need != nil || b.delay > 0
	if !strict || b.amount == nil || b.amount.min == nil || b.amount.min.Sign() == 0 || a.deny {
		return
	}
	limit := b.amount
	switch {
	case !b.deny && (a.need != nil || a.delay > 0):
		return
	case a.amount != nil && (a.amount.asset.id != limit.asset.id || a.amount.min != nil && a.amount.min.Cmp(limit.min) >= 0):
		return
	case !c.cmp.meetIn(a, b, valueVerbs, false) || a.fits&b.fits&valueVerbs == 0 || c.bounded(a, limit.asset.id):
		return
	}
	if b.deny {
		c.say(Note, a, "rule %s denies payments from %s on, but several smaller ones pass: a window would bound their sum",
			b.name, limit.asset.format(limit.min))
		return
	}
	c.say(Warning, a, "payments from %s on ask for more (rule %s), but can be split into smaller ones that this rule lets pass: add a window of %s",
		limit.asset.format(limit.min), b.name, limit.asset.name)
}

// bounded tells whether some window holds for all that a covers in an asset.
func (c *checker) bounded(a *rule, asset string) bool {
	for _, r := range c.p.rules {
		for i := range r.windows {
			if r.windows[i].asset.id == asset && (r == a || c.cmp.inside(a, r)) {
				return true
			}
		}
	}
	return false
}

// cheaper finds that paying more asks for less: beyond a's maximum its demand
// falls away, b lets the payment pass, and nobody else asks.
func (c *checker) cheaper(a, b *rule) {
	if a.need == nil || a.amount == nil || a.amount.max == nil || b.need != nil && (b.need.Of != a.need.Of || b.need.Count >= a.need.Count) {
		return
	}
	speaksBeyond := func(r *rule) bool {
		if r.deny && r.amount == nil {
			return false
		}
		if r.amount != nil && (r.amount.asset.id != a.amount.asset.id || !above(r.amount.max, a.amount.max)) {
			return false
		}
		return c.cmp.meetIn(a, r, valueVerbs, false)
	}
	if !speaksBeyond(b) {
		return
	}
	for _, r := range c.p.rules {
		stricter := r.deny || r.need != nil && (r.need.Of != a.need.Of || r.need.Count >= a.need.Count)
		if r != a && stricter && speaksBeyond(r) {
			return
		}
	}
	c.say(Warning, a, "paying more asks for less: over %s its %s are not asked for, and rule %s lets the payment pass",
		a.amount.asset.format(a.amount.max), strings.TrimSpace(a.need.String()), b.name)
}
