// Package policy judges requests by rules. It is pure: the same request, rules,
// facts and time always give the same Decision, and every Decision says why. It
// denies by default, the order of rules never matters, and it neither counts
// votes nor spends budgets: it only says what others must still see to.
//
// The language is described for its users in docs/policy.md.
package policy

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for solo.yaml
	"slices"
)

// Policy is a set of rules, parsed and ready to judge. It never changes and is
// safe for concurrent use.
type Policy struct {
	text   []byte
	hash   [32]byte
	groups map[string]*group
	books  map[string]*book
	assets map[string]*asset // by name
	byID   map[string]*asset // by CAIP-19 id
	rules  []*rule           // sorted by name
	order  []*rule           // as written
	change *Quorum
}

// Quorum is how many of whom must agree. Of is a group or, for a change of the
// policy, "all": every member.
type Quorum struct {
	Approvals int
	Of        string
	Within    int64 // ms; 0 means the default of 48 hours
}

//go:embed solo.yaml
var solo []byte

// Solo is the text of policy 1: the local operator alone may do everything that
// is decoded or plain, and nothing blind.
func Solo() []byte { return bytes.Clone(solo) }

// Text lends the policy as it was written.
func (p *Policy) Text() []byte { return p.text }

// Hash is SHA-256 over Text.
func (p *Policy) Hash() [32]byte { return p.hash }

// Rules names the rules, sorted.
func (p *Policy) Rules() []string {
	names := make([]string, len(p.rules))
	for i, r := range p.rules {
		names[i] = r.name
	}
	return names
}

// Change is what the policy demands for a change of itself; false when it does
// not say.
func (p *Policy) Change() (Quorum, bool) {
	if p.change == nil {
		return Quorum{}, false
	}
	return *p.change, true
}

// MaxWindow is the longest window of any rule in ms, 0 without windows: how long
// payments must be remembered.
func (p *Policy) MaxWindow() int64 {
	var longest int64
	for _, r := range p.rules {
		for i := range r.windows {
			longest = max(longest, r.windows[i].Per)
		}
	}
	return longest
}

func (p *Policy) seal(text []byte) {
	p.text, p.hash = bytes.Clone(text), sha256.Sum256(text)
	p.rules = slices.Clone(p.order)
	slices.SortFunc(p.rules, byName)
}
