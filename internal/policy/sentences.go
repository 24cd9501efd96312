package policy

import (
	"fmt"
	"strings"
)

// Sentences says in plain words what each rule does, one sentence a rule in the
// order written, and last what a change of the policy needs.
func (p *Policy) Sentences() []string {
	all := make([]string, 0, len(p.order)+1)
	for _, r := range p.order {
		all = append(all, r.sentence())
	}
	if q := p.change; q != nil {
		n := Need{Count: q.Approvals, Of: q.Of, Within: q.Within}
		all = append(all, "To change this policy takes "+n.String()+".")
	}
	return all
}

func (r *rule) sentence() string {
	var b strings.Builder
	b.WriteString(r.name + ": ")
	switch {
	case r.who.any && r.deny:
		b.WriteString("nobody may ")
	case r.who.any:
		b.WriteString("everybody may ")
	case r.deny:
		b.WriteString(inWords(r.who.words, "and") + " may not ")
	default:
		b.WriteString(inWords(r.who.words, "and") + " may ")
	}
	b.WriteString(r.verbWords() + " with ")
	if r.keys.any {
		b.WriteString("any key")
	} else {
		b.WriteString(inWords(r.keys.words, "and"))
	}
	if r.chains != nil {
		var names []string
		for _, c := range r.chains {
			names = append(names, chainName(c))
		}
		b.WriteString(", on " + inWords(names, "or"))
	}
	if r.to != nil {
		b.WriteString(", to " + inWords(r.to.words, "or"))
	}
	if r.seen != nil {
		b.WriteString(map[bool]string{true: ", to destinations that it paid before", false: ", to destinations that it never paid"}[*r.seen])
	}
	if r.sighash != nil {
		b.WriteString(", with a sighash of " + inWords(r.sighash, "or"))
	}
	if r.amount != nil {
		b.WriteString(", for " + r.amount.String())
		if r.amount.asset.native {
			b.WriteString(" with the fee")
		}
	}
	if r.fee != nil {
		b.WriteString(", at a fee of " + r.fee.String())
	}
	if r.hours != nil {
		b.WriteString(", " + r.hours.String())
	}
	if r.need != nil {
		b.WriteString(", after " + r.need.String())
	}
	if r.delay > 0 {
		b.WriteString(", after waiting " + formatSpan(r.delay))
	}
	for i := range r.windows {
		w := &r.windows[i]
		fmt.Fprintf(&b, ", and at most %s in %s", w.asset.format(w.Max), formatSpan(w.Per))
		if w.over != nil {
			b.WriteString(", beyond that after " + w.over.String())
		}
	}
	return b.String() + "."
}

func (r *rule) verbWords() string {
	var all []string
	for _, v := range r.do {
		switch v {
		case anything:
			v = "do anything"
			if !r.deny && r.grants&blindVerb == 0 {
				v = "do anything but sign blind"
			}
		case doUse, doAdminister:
			v += " keys"
		}
		all = append(all, v)
	}
	return inWords(all, "and")
}

// inWords joins names as a sentence does.
func inWords(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}
