package policy

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"keyward/internal/key"
)

// Decide judges r by p at log time now (ms). Its answer is a Decision, also when
// that is a denial; an error means that nobody could judge: the request is no
// proof, or facts that a rule needs could not be read. f may be nil when p has
// neither windows nor rules that ask whom a key has paid before.
//
// A rule speaks about an effect when the effect lies in the rule's box. The
// request is denied when any rule that says deny speaks about any effect, and
// when any effect is not covered by a rule that allows or asks. What is asked for
// is the sum of what every rule that speaks about any effect asks for. No step
// depends on the order of rules.
func Decide(r Request, p *Policy, now int64, f Facts) (Decision, error) {
	switch {
	case !r.Valid():
		return Decision{}, errors.New("policy: decision about no request")
	case p == nil:
		return Decision{}, errors.New("policy: decision without a policy")
	}
	var q question
	if err := ask(r, &q); err != nil {
		return Decision{}, fmt.Errorf("policy: %w", err)
	}
	q.now = now
	d := &decision{request: r, rules: p.hash, outcome: Denied}
	if d.reasons = structural(r, &q, now); len(d.reasons) > 0 {
		return Decision{d}, nil
	}
	if err := q.look(p, f); err != nil {
		return Decision{}, fmt.Errorf("policy: %w", err)
	}
	var few [4]spoken
	speaking, fitting, reasons := p.speaking(&q, few[:0])
	if d.fitting, d.reasons = fitting, reasons; len(reasons) > 0 {
		return Decision{d}, nil
	}
	asked := demands{charges: q.charges()}
	for _, s := range speaking {
		if err := asked.add(&q, s, now, f); err != nil {
			return Decision{}, fmt.Errorf("policy: %w", err)
		}
	}
	if d.reasons = asked.denials; len(d.reasons) > 0 {
		return Decision{d}, nil
	}
	d.outcome, d.reasons = Allowed, asked.reasons
	d.needs, d.delay, d.windows, d.charges = asked.needs, asked.delay, asked.windows, asked.charges
	if len(d.needs) > 0 || d.delay > 0 {
		d.outcome = Asks
	}
	return Decision{d}, nil
}

// structural finds what no rule can allow.
func structural(r Request, q *question, now int64) []Reason {
	var all []Reason
	deny := func(code, text string) { all = append(all, Reason{Code: code, Effect: q.effects[0].What, Text: text}) }
	if e := r.Expires(); e != 0 && now > e {
		deny("expired", "the request has expired: ask again")
	}
	k, verb := &r.r.in.Key, r.Verb()
	if k.ID == "" {
		if bits[verb]&handVerbs != 0 {
			deny("key", string(verb)+" needs a key")
		}
		return all
	}
	if !k.State.Permits(verb) {
		deny("state", "key "+quote(k.Name)+" is "+string(k.State)+", which does not permit "+string(verb))
	}
	if usage := usageFor(verb); usage != "" && usage != k.Usage {
		deny("usage", "key "+quote(k.Name)+" is for "+string(k.Usage)+", not for "+string(verb))
	}
	if domain, own := r.Parsed().Domain(), r.domain(); domain != "" && domain != key.Raw && domain != own {
		deny("domain", "a key of domain "+string(own)+" does not sign what "+string(domain)+" understands: key "+quote(k.Name))
	}
	return all
}

// usageFor is the usage a key must have for a verb; "" when any will do.
func usageFor(v key.Verb) key.Usage {
	switch v {
	case key.Sign, key.SignTransaction, key.SignMessage, key.SignTypedData, key.SignBlind, key.Verify:
		return key.SignVerify
	case key.Encrypt, key.Decrypt, key.DataKey:
		return key.EncryptDecrypt
	case key.MAC, key.VerifyMAC:
		return key.GenerateVerifyMAC
	}
	return ""
}

// spoken is a rule that speaks about a request, and what it covers of it.
type spoken struct {
	*rule
	covers kinds
}

// speaking finds who speaks about what: it appends to all the rules that allow or
// ask, sorted by name, and returns the names of all that fit, and why it must be
// denied, if it must.
func (p *Policy) speaking(q *question, all []spoken) (_ []spoken, fitting []string, denials []Reason) {
	var room [16]bool
	flags := room[:]
	if n := len(q.effects); 2*n > len(room) {
		flags = make([]bool, 2*n)
	}
	hits, covered := flags[:len(q.effects)], flags[len(q.effects):2*len(q.effects)]
	for _, r := range p.rules {
		if !r.matches(q) || !r.mark(q, hits) {
			continue
		}
		fitting = append(fitting, r.name)
		if r.deny {
			e := &q.effects[slices.Index(hits, true)]
			denials = append(denials, Reason{"denied-by-rule", r.name, e.What, r.says + " denies " + p.describe(e)})
			continue
		}
		s := spoken{rule: r}
		for i, hit := range hits {
			if e := &q.effects[i]; hit && r.covers(e) {
				covered[i] = true
				s.covers.add(e)
			}
		}
		all = append(all, s)
	}
	return all, fitting, p.uncovered(q, covered, denials)
}

// demands is the sum of what rules ask for.
type demands struct {
	needs   []Need
	delay   int64
	windows []Window
	charges []Charge
	reasons []Reason
	denials []Reason
}

func (d *demands) add(q *question, s spoken, now int64, f Facts) error {
	if s.covers != 0 {
		d.reasons = append(d.reasons, Reason{Code: "allowed", Rule: s.name, Text: s.says + " covers " + s.covers.String()})
	}
	if s.need != nil {
		d.ask(s.need)
		d.say("approvals", s.rule, "asks for "+s.need.String())
	}
	if s.delay > 0 {
		d.delay = max(d.delay, s.delay)
		d.say("delay", s.rule, "asks to wait "+formatSpan(s.delay))
	}
	for i := range s.windows {
		if err := d.window(q, s.rule, &s.windows[i], now, f); err != nil {
			return err
		}
	}
	return nil
}

// window adds one budget. One that the request takes nothing from asks nothing.
func (d *demands) window(q *question, r *rule, b *budget, now int64, f Facts) error {
	own := q.within(b, d.charges)
	if own.total.Sign() == 0 && !own.unbounded {
		return nil
	}
	if f == nil {
		return fmt.Errorf("rule %q: window: nothing is known about past payments", r.name)
	}
	w := b.Window
	w.Scope.Asset = own.asset
	spent, err := f.Spent(w.Scope, now-b.Per)
	switch {
	case err != nil:
		return fmt.Errorf("rule %q: window: %w", r.name, err)
	case spent == nil || spent.Sign() < 0:
		return fmt.Errorf("rule %q: window: past payments add up to no amount", r.name)
	}
	if own.unbounded || new(big.Int).Add(spent, own.total).Cmp(b.Max) > 0 {
		text := b.overdrawn(spent, own)
		if b.over == nil {
			d.denials = append(d.denials, Reason{"over-window", r.name, "", r.says + ": " + text})
			return nil
		}
		w.Exceeded = true
		d.ask(b.over)
		d.say("over-window", r, "asks for "+b.over.String()+": "+text)
	}
	d.windows = append(d.windows, w)
	return nil
}

// ask adds an approval tree once, whichever rules ask for it.
func (d *demands) ask(n *Need) {
	for i := range d.needs {
		if o := &d.needs[i]; o.Count == n.Count && o.Of == n.Of && o.Within == n.Within && o.InitiatorCounts == n.InitiatorCounts {
			return
		}
	}
	d.needs = append(d.needs, *n)
}

func (d *demands) say(code string, r *rule, text string) {
	d.reasons = append(d.reasons, Reason{Code: code, Rule: r.name, Text: r.says + " " + text})
}
