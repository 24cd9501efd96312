package policy

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"keyward/internal/key"
)

// Level says how serious a Finding is. A policy with a finding of level Error is
// not to be applied.
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Note    Level = "note"
)

// Finding is one thing that the author of a policy should know. Rule is "" when
// it is about the policy as a whole.
type Finding struct {
	Level Level  `json:"level"`
	Rule  string `json:"rule,omitempty"`
	Text  string `json:"text"`
	Code  string `json:"code,omitempty"` // of what programs act on; "" for most
}

// The codes.
const (
	LockedOut   = "locked-out"   // who asks could not apply another policy under this one
	UnknownName = "unknown-name" // a rule speaks of what is not there
)

// Check looks for what the author can hardly have meant: quorums that cannot be
// met, rules that never apply or change nothing, limits that many small payments
// dodge, rights that reach further than they look. It is sorted, errors first.
func (p *Policy) Check() []Finding {
	c := &checker{p: p}
	for _, r := range p.rules {
		c.parts(r)
		c.reach(r)
		c.idle(r)
		c.budgets(r)
		c.votes(r, r.need)
		for i := range r.windows {
			c.votes(r, r.windows[i].over)
		}
		c.feeGap(r)
		c.anyToken(r)
	}
	c.pairs()
	c.whole()
	rank := map[Level]int{Error: 0, Warning: 1, Note: 2}
	slices.SortFunc(c.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Level], rank[b.Level]), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(c.found)
}

type checker struct {
	p     *Policy
	cmp   comparison
	found []Finding
}

func (c *checker) say(l Level, r *rule, format string, args ...any) {
	name := ""
	if r != nil {
		name = r.name
	}
	c.found = append(c.found, Finding{Level: l, Rule: name, Text: fmt.Sprintf(format, args...)})
}

// reach finds rights that go further than they look.
func (c *checker) reach(r *rule) {
	if r.deny {
		return
	}
	if r.grants&blindVerb != 0 {
		c.say(Warning, r, "sign-blind: lets %s sign what keyward does not understand; whatever that does is bound by no amount and no window", some(r.who.words))
	}
	if r.sighash != nil {
		c.say(Warning, r, "sighash: lets %s sign what others may still change; what is left open is bound by no amount, destination or window", some(r.who.words))
	}
	if r.need != nil || r.grants&^setOf(key.Read, key.Verify) == 0 {
		return
	}
	programs := r.who.any || !r.who.each(func(n string) bool { return !strings.HasPrefix(n, "service:") })
	switch {
	case r.who.any:
		c.say(Warning, r, "who: any includes every service, also those made later")
	case programs && r.keys.any:
		c.say(Warning, r, "lets a service use every key, also those made later: name its keys")
	}
	if programs && r.grants&setOf(key.ApplyPolicy, key.CreateService) != 0 && r.keys.any {
		c.say(Warning, r, "lets a service change who may do what")
	}
}

// parts finds rules that hold a part of an account back: who may use the whole
// account signs by the keys of that part too. Only payloads of Bitcoin choose keys;
// of Ethereum each path signs by its own key.
func (c *checker) parts(r *rule) {
	if !r.deny && r.need == nil && r.delay == 0 && len(r.windows) == 0 {
		return
	}
	for _, s := range r.keys.patterns() {
		steps := strings.Split(s, "/")[1:]
		last := len(steps) - 1 // a step cut short by * is none
		const account = 4      // m, purpose, coin type, account
		evm := last > 1 && steps[2] == "60h" || r.chains != nil && !slices.ContainsFunc(r.chains, func(id string) bool { return !strings.HasPrefix(id, evmChains) })
		if evm {
			continue
		}
		if last >= account || last > 0 && slices.ContainsFunc(steps[1:last], open) || last > 0 && !strings.HasSuffix(s, "*") && open(steps[last]) {
			c.say(Warning, r, "keys: %s is a part of an account, which signs by these keys too: name the account", s)
		}
	}
}

// open tells whether a step of a path is one that a public half can go.
func open(step string) bool { return !strings.HasSuffix(step, "h") }

// idle finds rules, and verbs in them, that no request ever fits.
func (c *checker) idle(r *rule) {
	wallets := !r.keys.any && !slices.ContainsFunc(r.keys.patterns(), func(s string) bool { return !strings.HasPrefix(s, "wallet:") })
	switch {
	case wallets:
		c.say(Warning, r, "fits nothing: this keyward has no wallets yet")
		return
	case !r.keys.any && r.fits&^systemVerbs == 0:
		c.say(Warning, r, "fits nothing: what it is for is about no key, which takes keys: [any]")
		return
	case r.amount != nil && r.chains != nil && !slices.Contains(r.chains, r.amount.asset.chain):
		c.say(Warning, r, "fits nothing: %s is not on any of its chains", r.amount.asset.name)
		return
	case r.to != nil && r.chains != nil && r.to.each(func(s spot) bool { return s.chain != "" && !slices.Contains(r.chains, s.chain) }):
		c.say(Warning, r, "fits nothing: none of its destinations is on any of its chains")
		return
	}
	can, why := setOf(key.Verbs()...), ""
	switch {
	case r.sighash != nil:
		can, why = setOf(key.SignTransaction), "a sighash"
	case r.amount != nil || r.fee != nil && r.fee.min != nil && r.fee.min.Sign() > 0:
		can, why = valueVerbs, "an amount"
	case r.to != nil || r.seen != nil:
		can, why = valueVerbs|blindVerb, "a destination"
	case r.chains != nil:
		can, why = payloadVerbs, "a chain"
	}
	if r.fits&can == 0 {
		c.say(Warning, r, "fits nothing: what it is for never has %s", why)
		return
	}
	for _, v := range r.do {
		if set := bits[key.Verb(v)]; set != 0 && set&can == 0 {
			c.say(Warning, r, "%s never has %s, so that this rule says nothing about it: give it a rule of its own", v, why)
		}
	}
}

// budgets finds windows that never count or that a single payment breaks.
func (c *checker) budgets(r *rule) {
	for i := range r.windows {
		b := &r.windows[i]
		if r.amount == nil {
			continue
		}
		switch same := r.amount.asset.id == b.asset.id; {
		case !same && !b.asset.native:
			c.say(Warning, r, "its window of %s never counts: the rule is about amounts of %s", b.asset.name, r.amount.asset.name)
		case same && b.over == nil && r.amount.max != nil && b.Max.Cmp(r.amount.max) < 0:
			c.say(Warning, r, "a payment of max %s is more than its window of %s in %s ever lets pass",
				b.asset.format(r.amount.max), b.asset.format(b.Max), formatSpan(b.Per))
		}
	}
}

// votes finds quorums that cannot be met, or that one person meets alone.
func (c *checker) votes(r *rule, n *Need) {
	if n == nil {
		return
	}
	if n.Count > len(n.Members) {
		c.say(Error, r, "asks for %s, and only %d of that group can vote: members can, services and the operator cannot", n, len(n.Members))
		return
	}
	var self []string
	for _, m := range n.Members {
		if r.who.has(m) {
			self = append(self, m)
		}
	}
	switch {
	case len(self) == 0:
	case n.InitiatorCounts && n.Count == 1:
		c.say(Error, r, "lets %s approve alone what they asked for: ask for 2 approvals, or leave out initiator_counts", some(self))
	case n.InitiatorCounts:
		c.say(Note, r, "the vote of who asked counts, so that %s needs only %d more", some(self), n.Count-1)
	case n.Count > len(n.Members)-1:
		c.say(Warning, r, "when %s asks, only %d others can approve, and %d are needed", some(self), len(n.Members)-1, n.Count)
	}
}

// feeGap finds rules for tokens whose network fee nothing covers.
func (c *checker) feeGap(r *rule) {
	if r.deny || r.amount == nil || r.amount.asset.native || r.fee != nil || r.fits&setOf(key.SignTransaction) == 0 {
		return
	}
	native := nativeID(r.amount.asset.chain)
	pays := func(o *rule) bool {
		if o.deny || o.sighash != nil || !c.cmp.meetIn(r, o, setOf(key.SignTransaction), false) {
			return false
		}
		return o.fee != nil && o.fee.asset.id == native || o.fee == nil && (o.amount == nil || o.amount.asset.id == native)
	}
	if !slices.ContainsFunc(c.p.rules, pays) {
		c.say(Warning, r, "covers amounts of %s, and no rule covers the network fee beside them: add fee: {asset: …, max: …}", r.amount.asset.name)
	}
}

// anyToken finds rules that say where value may go and never how much of what: a
// destination without an amount lets every asset of the key go there, all of it.
func (c *checker) anyToken(r *rule) {
	if r.deny || r.need != nil || r.amount != nil || r.grants&valueVerbs == 0 {
		return
	}
	if r.to != nil {
		c.say(Warning, r, "covers every transfer to its destinations, of any token and any amount, and any allowance to them as spenders: add an amount")
		return
	}
	for i := range r.windows {
		c.say(Warning, r, "its window bounds %s alone, and every other asset passes without a bound: add an amount of %s",
			r.windows[i].asset.name, r.windows[i].asset.name)
	}
}

// whole finds what is about the policy as a whole.
func (c *checker) whole() {
	p := c.p
	var may verbs
	asks := p.change != nil
	for _, r := range p.rules {
		may |= r.grants
		asks = asks || r.need != nil || slices.ContainsFunc(r.windows, func(b budget) bool { return b.over != nil })
	}
	var nobody []string
	for _, v := range key.Verbs() {
		if may&bits[v] == 0 && v != key.SignBlind {
			nobody = append(nobody, string(v))
		}
	}
	switch {
	case may == 0:
		c.say(Warning, nil, "allows nobody anything")
	case len(nobody) > 0:
		c.say(Note, nil, "nobody may: %s", strings.Join(nobody, ", "))
	}
	if may != 0 && may&setOf(key.ApplyPolicy) == 0 {
		c.say(Warning, nil, "no rule covers apply-policy: nobody could change this policy again")
	}
	if asks {
		c.say(Note, nil, "this keyward has no members yet: what asks for approvals waits until it expires")
	}
	if q := p.change; q != nil {
		c.say(Note, nil, "change: %d approvals of %s are kept and shown; they bind once keyward has members", q.Approvals, q.Of)
		if g := p.groups[q.Of]; g != nil && q.Of != everyone {
			switch n := len(g.persons); {
			case q.Approvals > n:
				c.say(Error, nil, "change: asks for %d approvals, and only %d of group %s can vote", q.Approvals, n, q.Of)
			case q.Approvals == n:
				c.say(Warning, nil, "change: cannot be met any more once one member of group %s is lost", q.Of)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.groups)) {
		if !p.groups[name].used {
			c.say(Note, nil, "group %s is used by no rule", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.books)) {
		if !p.books[name].used {
			c.say(Note, nil, "book %s is used by no rule", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.assets)) {
		if a := p.assets[name]; !a.used && !a.built {
			c.say(Note, nil, "asset %s is used by no rule", name)
		}
	}
}

// some names up to three and counts the rest.
func some(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}

// above tells whether a is more than b, where nil is no bound at all.
func above(a, b *big.Int) bool {
	switch {
	case b == nil:
		return false
	case a == nil:
		return true
	}
	return a.Cmp(b) > 0
}
