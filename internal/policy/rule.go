package policy

import (
	"math/big"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// anything is the word for a dimension without limit.
const anything = "any"

// rule is one row of the table: a box, and what is said about all that lies in
// it. A dimension that is nil or zero has no limit.
type rule struct {
	name   string
	says   string // `rule "name"`, as reasons begin
	line   *yaml.Node
	who    who
	keys   keys
	do     []string // as written
	fits   verbs    // what the rule speaks about
	grants verbs    // what it may cover: fits, but sign-blind only where it was named
	chains []string // CAIP-2
	to     *places
	amount *interval // of what leaves in this asset, fee included
	fee    *interval
	seen   *bool // the destination was paid before by this key, or was not
	hours  *hours
	// sighash are the effects of chain.EffectSighash that the rule is about, and
	// nothing else; nil is about all others, and may deny or ask for these.
	sighash []string

	deny    bool
	need    *Need
	delay   int64 // ms
	windows []budget
}

// budget is a window and what is asked for when it is exceeded: nil denies.
type budget struct {
	Window
	asset *asset
	over  *Need
}

func byName(a, b *rule) int { return strings.Compare(a.name, b.name) }

// verbs is a set of key.Verb, one bit each in the order of key.Verbs.
type verbs uint64

// bits gives each verb its place. It never changes.
var bits = func() map[key.Verb]verbs {
	m := map[key.Verb]verbs{}
	if len(key.Verbs()) > firstWhat {
		panic("policy: more verbs than bits") // the list is constant
	}
	for i, v := range key.Verbs() {
		m[v] = 1 << i
	}
	return m
}()

func setOf(vs ...key.Verb) (all verbs) {
	for _, v := range vs {
		all |= bits[v]
	}
	return all
}

// The sets that `do:` knows by a word. None of them covers sign-blind; all that
// use a key speak about it, so that a denial or a demand is never dodged by
// signing blind.
const (
	doUse        = "use"
	doAdminister = "administer"
)

var (
	useVerbs = setOf(key.Sign, key.SignTransaction, key.SignMessage, key.SignTypedData, key.SignBlind, key.Encrypt, key.Decrypt,
		key.DataKey, key.MAC, key.VerifyMAC, key.Verify, key.Read)
	keyVerbs = setOf(key.CreateKey, key.RotateKey, key.DisableKey, key.EnableKey, key.DestroyKey, key.CancelDestroy)
	// systemVerbs are about keyward itself and no key: only a rule for keys: [any]
	// speaks about them, whatever else is called like one of its keys.
	systemVerbs = setOf(key.ApplyPolicy, key.CreateService, key.RevokeService, key.ChangeSlots, key.RotateRoot, key.Seal, key.Unseal,
		key.AcceptClock, key.ReadAudit)
	administerVerbs = keyVerbs | systemVerbs&^setOf(key.ReadAudit)

	handVerbs    = useVerbs &^ setOf(key.Read, key.Verify) // what needs the key itself
	blindVerb    = setOf(key.SignBlind)
	payloadVerbs = setOf(key.SignTransaction, key.SignMessage, key.SignTypedData, key.SignBlind) // what a chain's decoder read
	valueVerbs   = setOf(key.SignTransaction, key.SignTypedData)                                 // what can move value, understood
)

// who is a set of actors.
type who struct {
	any    bool
	names  map[string]struct{}
	groups []*group
	words  []string
}

type group struct {
	name    string
	members map[string]struct{} // with those of groups in it
	persons []string            // the members that can vote, sorted
	used    bool
	line    *yaml.Node
}

func (w *who) has(actor string) bool {
	if w.any {
		return true
	}
	if _, ok := w.names[actor]; ok {
		return true
	}
	for _, g := range w.groups {
		if _, ok := g.members[actor]; ok {
			return true
		}
	}
	return false
}

// keys is a set of keys and of accounts below them. A name without a path means
// the key and everything below it; one with a path that account, by whichever of
// the keys that it signs with it is called.
type keys struct {
	any   bool
	exact map[string]struct{} // names, wallet:names, and name/path
	heads []string            // what stands before a final *
	words []string
}

func (k *keys) has(name, path string) bool {
	if k.any {
		return true
	}
	if name == "" || name == anything { // what is about all keys is not about one that is called so
		return false
	}
	if _, ok := k.exact[name]; ok {
		return true
	}
	full := name
	if path != "" {
		full = name + "/" + path
		if k.account(full) {
			return true
		}
	}
	for _, h := range k.heads {
		// A head without a path is a glob over names, one with a path a prefix of paths.
		of := name
		if strings.Contains(h, "/") {
			of = full
		}
		if strings.HasPrefix(of, h) {
			return true
		}
	}
	return false
}

// account tells whether an account or a key of it is in the set. The same money
// is spent by the account and by each way to it that is not hardened: a rule
// about an account that a deeper path dodged would deny, ask and count nothing.
func (k *keys) account(full string) bool {
	for {
		if _, ok := k.exact[full]; ok {
			return true
		}
		at := strings.LastIndexByte(full, '/')
		if at < 0 || strings.HasSuffix(full, "h") {
			return false
		}
		full = full[:at]
	}
}

// places is a set of destinations.
type places struct {
	spots map[spot]struct{}
	books []*book
	words []string
}

type book struct {
	name  string
	spots map[spot]string // to the name of the entry
	used  bool
	line  *yaml.Node
}

func (p *places) has(s spot) bool {
	if _, ok := p.spots[s]; ok {
		return true
	}
	for _, b := range p.books {
		if _, ok := b.spots[s]; ok {
			return true
		}
	}
	if s.text != "" {
		return false
	}
	s.chain = "" // an Ethereum address without a chain stands for all of them
	_, ok := p.spots[s]
	return ok
}

// matches tells whether rule and request meet, before any effect is looked at.
func (r *rule) matches(q *question) bool {
	return r.fits&q.verbs != 0 && r.who.has(q.actor) && r.keys.has(q.subject, q.path) && r.feeFits(q) && r.hours.holds(q.now)
}

// feeFits tells whether the fee is within the rule's bounds. One that is paid by
// size, and has none, is above every rate.
func (r *rule) feeFits(q *question) bool {
	if r.fee == nil {
		return true
	}
	paid := q.feeIn(r.fee.asset.id)
	switch {
	case !r.fee.holds(paid):
		return false
	case r.fee.rate == 0 || paid.total == nil && !paid.unbounded:
		return true
	}
	most := new(big.Int).Mul(big.NewInt(r.fee.rate), big.NewInt(q.size))
	return q.size > 0 && !paid.unbounded && paid.total.Cmp(most) <= 0
}

// covers tells whether the rule lets pass an effect in its box.
func (r *rule) covers(e *effect) bool {
	return r.grants&e.bit != 0 && (e.What != chain.EffectSighash || r.sighash != nil)
}

// mark finds the effects in the rule's box and reports whether there are any.
// The fee has no destination, and is mostly paid in another asset than the token
// that moves; it belongs to a rule when a payment of its payload does.
func (r *rule) mark(q *question, hits []bool) bool {
	anchored := false
	for i := range q.effects {
		e := &q.effects[i]
		hits[i] = e.What != chain.EffectFee && r.miss(q, e) == fitsAll
		anchored = anchored || hits[i]
	}
	found := anchored
	for i := range q.effects {
		e := &q.effects[i]
		if e.What == chain.EffectFee && r.missFee(q, e, anchored) == fitsAll {
			hits[i], found = true, true
		}
	}
	return found
}

// dimension names what an effect failed at, in the order of looking: the further
// down, the nearer the rule.
type dimension int

const (
	missWho dimension = iota
	missKeys
	missSystem
	missDo
	missBlind
	missChains
	missSighash
	missAsset
	missTo
	missSeen
	missPayment // a fee without a payment that fits
	missFee
	missAmount
	missHours
	fitsAll
)

// miss tells which dimension an effect other than a fee falls outside of, for a
// rule that matches the request.
func (r *rule) miss(q *question, e *effect) dimension {
	switch {
	case r.fits&e.bit == 0:
		return missDo
	case e.bit&systemVerbs != 0 && !r.keys.any:
		return missSystem
	case !r.onChain(e.Chain):
		return missChains
	case r.sighash != nil && (e.What != chain.EffectSighash || !slices.Contains(r.sighash, e.To)):
		return missSighash
	case r.amount != nil && (e.asset == "" || r.amount.asset.id != e.asset):
		return missAsset
	case r.to != nil && (!e.hasSpot || !r.to.has(e.spot)):
		return missTo
	case r.seen != nil && (!e.hasSpot || e.seen != *r.seen):
		return missSeen
	case r.amount != nil && !r.amount.holds(q.outflow(e.asset)):
		return missAmount
	}
	return fitsAll
}

func (r *rule) missFee(q *question, e *effect, anchored bool) dimension {
	counted := r.amount == nil || r.amount.asset.id == e.asset && r.amount.holds(q.outflow(e.asset))
	switch {
	case r.fits&e.bit == 0:
		return missDo
	case !r.onChain(e.Chain):
		return missChains
	case r.sighash != nil:
		return missSighash
	case r.fee != nil && r.fee.asset.id != e.asset:
		return missFee
	case !counted && r.fee == nil && r.amount.asset.id != e.asset:
		return missAsset
	case !counted && r.fee == nil:
		return missAmount
	case !anchored && (r.to != nil || r.seen != nil || !counted):
		return missPayment
	}
	return fitsAll
}

func (r *rule) onChain(chain string) bool {
	if r.chains == nil {
		return true
	}
	for _, c := range r.chains {
		if c == chain {
			return true
		}
	}
	return false
}

// scopeOf makes the set of payments that a window of this rule adds up.
func (r *rule) scopeOf(id, asset string) Scope {
	chainOf, _, _ := strings.Cut(asset, "/")
	return Scope{ID: id, Asset: asset, fits: func(keyName, actor, destination string) bool {
		name, path, _ := strings.Cut(keyName, "/")
		if !r.who.has(actor) || !r.keys.has(name, path) {
			return false
		}
		return r.to == nil || destination == FeeDestination || r.to.has(spotOf(chainOf, destination))
	}}
}
