package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/internal/key"
)

// Bounds of durations. Facts are kept as long as the longest window needs them.
const (
	maxPer    = 366 * day
	maxWithin = 90 * day
)

func (p *Policy) readRule(n *yaml.Node, i int) (*rule, error) {
	where := fmt.Sprintf("rule %d", i+1)
	if n.Kind == yaml.MappingNode {
		for j := 0; j < len(n.Content); j += 2 {
			if v := n.Content[j+1]; n.Content[j].Value == "name" && v.Kind == yaml.ScalarNode {
				where = fmt.Sprintf("rule %q", clip(v.Value))
			}
		}
	}
	f, err := fields(n, where, "name", "who", "keys", "do", "chains", "to", "amount", "fee", "seen", "hours", "sighash", "window", "then")
	if err != nil {
		return nil, err
	}
	r := &rule{line: n}
	if r.name, err = need(n, f["name"], join(where, "name")); err != nil {
		return nil, err
	}
	r.says = "rule " + quote(r.name)
	if err := key.ValidName(r.name); err != nil {
		return nil, problem(f["name"], where, "%v", err)
	}
	for _, must := range []string{"who", "keys", "do", "then"} {
		if f[must] == nil {
			return nil, problem(n, join(where, must), "is missing")
		}
	}
	for _, d := range []struct {
		name string
		read func(*yaml.Node, string) error
	}{
		{"who", func(n *yaml.Node, at string) error { return p.readWho(&r.who, n, at) }},
		{"keys", r.readKeys},
		{"do", r.readVerbs},
		{"chains", r.readChains},
		{"to", func(n *yaml.Node, at string) error { return p.readPlaces(r, n, at) }},
		{"amount", func(n *yaml.Node, at string) (err error) { r.amount, err = p.readInterval(n, at); return err }},
		{"fee", func(n *yaml.Node, at string) error { return p.readFee(r, n, at) }},
		{"seen", r.readSeen},
		{"hours", r.readHours},
		{"sighash", r.readSighash},
		{"then", func(n *yaml.Node, at string) error { return p.readThen(r, n, at) }},
		{"window", func(n *yaml.Node, at string) error { return p.readWindows(r, n, at) }},
	} {
		if f[d.name] == nil {
			continue
		}
		if err := d.read(f[d.name], join(where, d.name)); err != nil {
			return nil, err
		}
	}
	return r, r.consistent(where)
}

// consistent refuses dimensions that nothing could ever have together.
func (r *rule) consistent(where string) error {
	switch {
	case r.sighash != nil && (r.to != nil || r.amount != nil || r.seen != nil):
		return problem(r.line, join(where, "sighash"), "a rule about sighash has no to, amount or seen: what a signature leaves open has neither")
	case r.deny && r.fee != nil && r.fee.rate != 0:
		return problem(r.line, join(where, "fee"), "a rule that denies has no rate, which is the most that a fee may be")
	}
	return nil
}

func (p *Policy) readWho(w *who, n *yaml.Node, where string) (err error) {
	if w.words, err = choice(n, where); err != nil {
		return err
	}
	w.names = map[string]struct{}{}
	for _, s := range w.words {
		if s == anything {
			w.any = true
			continue
		}
		if err := checkActor(s); err != nil {
			return problem(n, where, "%v", err)
		}
		name, isGroup := strings.CutPrefix(s, "group:")
		if !isGroup {
			w.names[s] = struct{}{}
			continue
		}
		g := p.groups[name]
		if g == nil {
			return problem(n, where, "unknown group %q: declare it under groups", name)
		}
		g.used = true
		w.groups = append(w.groups, g)
	}
	return nil
}

func (r *rule) readKeys(n *yaml.Node, where string) (err error) {
	k := &r.keys
	if k.words, err = choice(n, where); err != nil {
		return err
	}
	k.exact = map[string]struct{}{}
	for _, s := range k.words {
		if s == anything {
			k.any = true
			continue
		}
		if err := checkKeyPattern(s); err != nil {
			return problem(n, where, "%v", err)
		}
		if head, isGlob := strings.CutSuffix(s, "*"); isGlob {
			k.heads = append(k.heads, head)
			continue
		}
		k.exact[s] = struct{}{}
	}
	return nil
}

// checkKeyPattern accepts a key's name, wallet:NAME, NAME/path, and all of them
// but the wallet with one * at the end.
func checkKeyPattern(s string) error {
	if wallet, ok := strings.CutPrefix(s, "wallet:"); ok {
		return key.ValidName(wallet)
	}
	pattern, glob := strings.CutSuffix(s, "*")
	if glob && pattern == "" {
		return fmt.Errorf("%q: write any", s)
	}
	name, path, deep := strings.Cut(pattern, "/")
	if err := key.ValidName(name); err != nil {
		return err
	}
	switch {
	case !deep:
		return nil
	case glob && path == "":
		return nil
	case path == "":
		return fmt.Errorf("%q: want NAME/path such as seed/m/84h/0h/0h or NAME/path/*", clip(s))
	case glob && !strings.HasSuffix(path, "/"):
		return fmt.Errorf("%q: a * in a path stands for whole steps: write .../*", clip(s))
	}
	// A path that no request has would deny nothing, and nobody would notice.
	if glob {
		path = strings.TrimSuffix(path, "/")
	}
	p, err := key.ParsePath(path)
	if err == nil && p.String() != path {
		err = fmt.Errorf("%q: write the path as %s", clip(s), p)
	}
	if err == nil && !glob && len(p) == 0 {
		err = fmt.Errorf("%q: that is the key itself: write %s", clip(s), name)
	}
	return err
}

func (r *rule) readVerbs(n *yaml.Node, where string) (err error) {
	if r.do, err = words(n, where); err != nil {
		return err
	}
	other := slices.IndexFunc(r.do, func(s string) bool { return s != anything && s != string(key.SignBlind) })
	if other >= 0 && slices.Contains(r.do, anything) {
		return problem(n, where, "any includes %s: only sign-blind is named beside it", clip(r.do[other]))
	}
	for _, s := range r.do {
		switch set, ok := bits[key.Verb(s)]; {
		case s == anything:
			r.fits |= setOf(key.Verbs()...)
			r.grants |= setOf(key.Verbs()...) &^ blindVerb
		case s == doUse:
			r.fits |= useVerbs
			r.grants |= useVerbs &^ blindVerb
		case s == doAdminister:
			r.fits |= administerVerbs
			r.grants |= administerVerbs
		case ok:
			r.fits |= set
			r.grants |= set
		default:
			return problem(n, where, "unknown verb %q: use %s, or the sets any, use, administer", clip(s), joinVerbs())
		}
	}
	return nil
}

func joinVerbs() string {
	var all []string
	for _, v := range key.Verbs() {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}

func (r *rule) readChains(n *yaml.Node, where string) error {
	all, err := choice(n, where)
	if err != nil {
		return err
	}
	if all[0] == anything {
		return nil
	}
	for _, s := range all {
		id, err := parseChain(s)
		if err != nil {
			return problem(n, where, "%v", err)
		}
		if slices.Contains(r.chains, id) {
			return problem(n, where, "%s stands twice", id)
		}
		r.chains = append(r.chains, id)
	}
	return nil
}

func (p *Policy) readPlaces(r *rule, n *yaml.Node, where string) error {
	all, err := choice(n, where)
	if err != nil {
		return err
	}
	if all[0] == anything {
		return nil
	}
	chain := "" // of addresses that do not show theirs
	if len(r.chains) == 1 {
		chain = r.chains[0]
	}
	to := &places{spots: map[spot]struct{}{}, words: all}
	for i, s := range all {
		if name, ok := strings.CutPrefix(s, "book:"); ok {
			b := p.books[name]
			if b == nil {
				return problem(n.Content[i], where, "unknown book %q: declare it under books", clip(name))
			}
			b.used = true
			to.books = append(to.books, b)
			continue
		}
		at := chain
		if strings.HasPrefix(s, "0x") || strings.HasPrefix(chain, evmChains) {
			at = ""
		}
		spot, err := parseAddress(at, s)
		if err != nil {
			return problem(n.Content[i], where, "%v; put addresses of other chains into a book", err)
		}
		if _, twice := to.spots[spot]; twice {
			return problem(n.Content[i], where, "%s stands twice", clip(s))
		}
		to.spots[spot] = struct{}{}
	}
	r.to = to
	return nil
}
