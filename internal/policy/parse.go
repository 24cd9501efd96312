package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"keyward/internal/key"
)

// Bounds of a policy's contents, so that judging and checking stay cheap.
const (
	maxRules   = 512
	maxGroups  = 256
	maxMembers = 512 // of one group, with the groups in it
	maxQuorum  = 100
)

// everyone is the group of all members; only `change:` knows it.
const everyone = "all"

// Parse reads a policy from strict YAML or JSON. An error names the rule and the
// field, and the line. The text is kept as it is.
func Parse(text []byte) (*Policy, error) {
	root, err := readTree(text)
	if err != nil {
		return nil, err
	}
	top, err := fields(root, "", "version", "groups", "books", "assets", "rules", "change")
	if err != nil {
		return nil, err
	}
	switch v := top["version"]; {
	case v == nil:
		return nil, problem(root, "version", "is missing: begin with version: 1")
	case v.Kind != yaml.ScalarNode || v.ShortTag() != "!!int" || v.Value != "1":
		return nil, problem(v, "version", "is %q, this keyward reads 1", clip(v.Value))
	case top["rules"] == nil:
		return nil, problem(root, "rules", "is missing: without rules, nothing is allowed; write rules: [] if that is meant")
	}
	p := &Policy{groups: map[string]*group{}, books: map[string]*book{}, assets: map[string]*asset{}, byID: map[string]*asset{}}
	for _, a := range builtin() {
		p.assets[a.name], p.byID[a.id] = a, a
	}
	for _, section := range []struct {
		name string
		read func(*yaml.Node) error
	}{{"groups", p.readGroups}, {"books", p.readBooks}, {"assets", p.readAssets}, {"rules", p.readRules}, {"change", p.readChange}} {
		if n := top[section.name]; n != nil {
			if err := section.read(n); err != nil {
				return nil, err
			}
		}
	}
	p.seal(text)
	return p, nil
}

func (p *Policy) readGroups(n *yaml.Node) error {
	entries := map[string][]string{}
	err := named(n, "groups", func(name string, k, v *yaml.Node) error {
		where := fmt.Sprintf("group %q", clip(name))
		if err := ownName(name); err != nil {
			return problem(k, where, "%v", err)
		}
		members, err := words(v, where)
		if err != nil {
			return err
		}
		for i, m := range members {
			if members[i], err = memberName(m); err != nil {
				return problem(v, where, "%v", err)
			}
		}
		entries[name] = members
		p.groups[name] = &group{name: name, line: k}
		return nil
	})
	if err != nil {
		return err
	}
	if len(p.groups) > maxGroups {
		return problem(n, "groups", "more than %d groups", maxGroups)
	}
	for _, name := range slices.Sorted(maps.Keys(p.groups)) {
		if err := p.resolve(p.groups[name], entries, nil); err != nil {
			return err
		}
	}
	return nil
}

// resolve fills a group with its members and those of the groups in it, so that
// nobody is missed or counted twice later.
func (p *Policy) resolve(g *group, entries map[string][]string, above []string) error {
	where := fmt.Sprintf("group %q", g.name)
	if slices.Contains(above, g.name) {
		return problem(g.line, where, "contains itself by way of %s", strings.Join(above, ", "))
	}
	if g.members != nil {
		return nil
	}
	members := map[string]struct{}{}
	for _, m := range entries[g.name] {
		inner, isGroup := strings.CutPrefix(m, "group:")
		if !isGroup {
			members[m] = struct{}{}
			continue
		}
		sub := p.groups[inner]
		if sub == nil {
			return problem(g.line, where, "unknown group %q: declare it under groups", clip(inner))
		}
		if err := p.resolve(sub, entries, append(above, g.name)); err != nil {
			return err
		}
		sub.used = true
		maps.Copy(members, sub.members)
	}
	if len(members) > maxMembers {
		return problem(g.line, where, "more than %d members", maxMembers)
	}
	g.members = members
	for _, m := range slices.Sorted(maps.Keys(members)) {
		if strings.HasPrefix(m, "member:") {
			g.persons = append(g.persons, m)
		}
	}
	return nil
}

// memberName reads an entry of a group; a bare name is a member's.
func memberName(s string) (string, error) {
	if !strings.Contains(s, ":") && s != "operator" {
		s = "member:" + s
	}
	return s, checkActor(s)
}

// checkActor accepts operator, service:x, member:x and group:x.
func checkActor(s string) error {
	kind, name, ok := strings.Cut(s, ":")
	switch {
	case s == "operator":
		return nil
	case !ok || kind != "service" && kind != "member" && kind != "group":
		return fmt.Errorf("unknown actor %q: use operator, service:NAME, member:NAME or group:NAME", clip(s))
	}
	return key.ValidName(name)
}

// ownName checks a name that the author gave to something of the policy.
func ownName(s string) error {
	if s == anything || s == everyone || s == "operator" {
		return fmt.Errorf("the name %q is taken", s)
	}
	return key.ValidName(s)
}

func (p *Policy) readBooks(n *yaml.Node) error {
	return named(n, "books", func(name string, k, v *yaml.Node) error {
		where := fmt.Sprintf("book %q", clip(name))
		if err := ownName(name); err != nil {
			return problem(k, where, "%v", err)
		}
		entries, err := list(v, where)
		if err != nil {
			return err
		}
		b := &book{name: name, spots: make(map[spot]string, len(entries)), line: k}
		for i, e := range entries {
			if err := b.read(e, fmt.Sprintf("%s, entry %d", where, i+1)); err != nil {
				return err
			}
		}
		p.books[name] = b
		return nil
	})
}

func (b *book) read(n *yaml.Node, where string) error {
	f, err := fields(n, where, "chain", "address", "name")
	if err != nil {
		return err
	}
	chain, err := chainField(n, f["chain"], where)
	if err != nil {
		return err
	}
	name, err := need(n, f["name"], join(where, "name"))
	if err != nil {
		return err
	}
	if len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return problem(f["name"], join(where, "name"), "want at most 200 bytes of printable text")
	}
	address, err := need(n, f["address"], join(where, "address"))
	if err != nil {
		return err
	}
	s, err := parseAddress(chain, address)
	switch {
	case err != nil:
		return problem(f["address"], join(where, "address"), "%v", err)
	case b.spots[s] != "":
		return problem(f["address"], join(where, "address"), "%s stands twice", clip(address))
	}
	b.spots[s] = name
	return nil
}

// need reads a text that must be there.
func need(parent, n *yaml.Node, where string) (string, error) {
	if n == nil {
		return "", problem(parent, where, "is missing")
	}
	return word(n, where)
}

func chainField(parent, n *yaml.Node, where string) (string, error) {
	where = join(where, "chain")
	s, err := need(parent, n, where)
	if err != nil {
		return "", err
	}
	id, err := parseChain(s)
	if err != nil {
		return "", problem(n, where, "%v", err)
	}
	return id, nil
}

func (p *Policy) readAssets(n *yaml.Node) error {
	entries, err := list(n, "assets")
	if err != nil {
		return err
	}
	for i, e := range entries {
		a, where, err := readAsset(e, i)
		if err != nil {
			return err
		}
		switch same := p.byID[a.id]; {
		case p.assets[a.name] != nil && p.assets[a.name].built:
			return problem(e, where, "%s is built in: leave it out", a.name)
		case p.assets[a.name] != nil:
			return problem(e, where, "stands twice")
		case same != nil:
			return problem(e, where, "is the same as %q: %s", same.name, a.id)
		}
		p.assets[a.name], p.byID[a.id] = a, a
	}
	return nil
}

func readAsset(n *yaml.Node, i int) (*asset, string, error) {
	where := fmt.Sprintf("asset %d", i+1)
	f, err := fields(n, where, "name", "chain", "address", "native", "decimals")
	if err != nil {
		return nil, where, err
	}
	a := &asset{line: n}
	if a.name, err = need(n, f["name"], join(where, "name")); err != nil {
		return nil, where, err
	}
	where = fmt.Sprintf("asset %q", clip(a.name))
	if !charset(a.name, 1, 32, ".-_ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return nil, where, problem(f["name"], join(where, "name"), "want 1 to 32 of A-Z a-z 0-9 . _ -")
	}
	if a.chain, err = chainField(n, f["chain"], where); err != nil {
		return nil, where, err
	}
	if a.decimals, err = decimals(n, f["decimals"], join(where, "decimals")); err != nil {
		return nil, where, err
	}
	if f["native"] != nil {
		if a.native, err = truth(f["native"], join(where, "native")); err != nil {
			return nil, where, err
		}
	}
	if a.native == (f["address"] != nil) {
		return nil, where, problem(n, where, "give either the token's address or native: true")
	}
	if a.native {
		a.id = nativeID(a.chain)
		return a, where, nil
	}
	address, err := word(f["address"], join(where, "address"))
	if err != nil {
		return nil, where, err
	}
	if !strings.HasPrefix(a.chain, evmChains) {
		return nil, where, problem(f["address"], join(where, "address"), "tokens are known on eip155 chains only")
	}
	s, err := parseAddress(a.chain, address)
	if err != nil {
		return nil, where, problem(f["address"], join(where, "address"), "%v", err)
	}
	a.id = tokenID(a.chain, s.String())
	return a, where, nil
}

func decimals(parent, n *yaml.Node, where string) (int, error) {
	s, err := need(parent, n, where)
	if err != nil {
		return 0, err
	}
	for d := range maxDecimals + 1 {
		if s == fmt.Sprint(d) {
			return d, nil
		}
	}
	return 0, problem(n, where, "want a whole number from 0 to %d", maxDecimals)
}

func (p *Policy) readChange(n *yaml.Node) error {
	f, err := fields(n, "change", "approvals", "of", "within")
	if err != nil {
		return err
	}
	need, err := p.quorum(n, f, "change")
	if err != nil {
		return err
	}
	p.change = &Quorum{need.Count, need.Of, need.Within}
	return nil
}

func (p *Policy) readRules(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return problem(n, "rules", "want a list of rules")
	}
	if len(n.Content) > maxRules {
		return problem(n, "rules", "more than %d rules", maxRules)
	}
	seen := map[string]bool{}
	for i, c := range n.Content {
		r, err := p.readRule(c, i)
		if err != nil {
			return err
		}
		if seen[r.name] {
			return problem(c, fmt.Sprintf("rule %q", r.name), "stands twice: each rule needs a name of its own")
		}
		seen[r.name] = true
		p.order = append(p.order, r)
	}
	return nil
}
