package policy

import (
	"maps"
	"slices"
	"strings"

	"keyward/internal/key"
)

// Knows tells whether the rules could let an actor do anything at all with a key
// of this name, or with an account below it, be it under conditions or after
// approvals. Whoever they let do nothing is not to be told whether there is such
// a key. It is asked by name alone, so that the answer cannot depend on whether
// the key exists.
func (p *Policy) Knows(actor, keyName string) bool {
	return p.may(actor, keyName)&^systemVerbs != 0
}

// Reads tells the same of reading alone. The name "any" asks about all keys.
func (p *Policy) Reads(actor, keyName string) bool {
	return p.may(actor, keyName)&bits[key.Read] != 0
}

// Named is something that a rule speaks of by its whole name, and that may not
// exist.
type Named struct {
	Rule    string
	Service string // without "service:"
	Key     string // without a path
}

// Names lists the services and keys that rules speak of by name, in the order of
// rules and names.
func (p *Policy) Names() []Named {
	var all []Named
	for _, r := range p.rules {
		for _, actor := range slices.Sorted(maps.Keys(r.who.names)) {
			if name, ok := strings.CutPrefix(actor, "service:"); ok {
				all = append(all, Named{Rule: r.name, Service: name})
			}
		}
		for _, full := range slices.Sorted(maps.Keys(r.keys.exact)) {
			name, _, _ := strings.Cut(full, "/")
			all = append(all, Named{Rule: r.name, Key: name})
		}
	}
	return slices.Compact(all)
}

// may is a superset of what the actor can be granted with the key: all that a
// rule covers, whatever it asks for, less what another denies in every case.
func (p *Policy) may(actor, keyName string) verbs {
	var granted, denied verbs
	for _, r := range p.rules {
		switch {
		case !r.who.has(actor):
		case !r.deny && r.keys.touches(keyName):
			granted |= r.grants
		case r.deny && r.unlimited() && r.keys.has(keyName, ""):
			denied |= r.fits
		}
	}
	return granted &^ denied
}

// unlimited tells whether the rule speaks about all of its verbs, whatever the
// payload says.
func (r *rule) unlimited() bool {
	return r.chains == nil && r.to == nil && r.amount == nil && r.fee == nil
}

// touches tells whether the set has the key, or any account below it.
func (k *keys) touches(name string) bool {
	if k.has(name, "") {
		return true
	}
	if name == "" || name == anything {
		return false
	}
	below := name + "/"
	for e := range k.exact {
		if strings.HasPrefix(e, below) {
			return true
		}
	}
	for _, h := range k.heads {
		if strings.HasPrefix(h, below) {
			return true
		}
	}
	return false
}
