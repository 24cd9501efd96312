package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

func (p *Policy) readThen(r *rule, n *yaml.Node, where string) (err error) {
	if n.Kind == yaml.ScalarNode {
		switch n.Value {
		case "allow":
			return nil
		case "deny":
			r.deny, r.grants = true, 0
			return nil
		}
		return problem(n, where, "is %q: use allow, deny, or a mapping of approvals, of, within, initiator_counts, delay", clip(n.Value))
	}
	f, err := fields(n, where, "approvals", "of", "within", "initiator_counts", "delay")
	if err != nil {
		return err
	}
	if f["delay"] != nil {
		if r.delay, err = span(f["delay"], join(where, "delay"), maxWithin); err != nil {
			return err
		}
		if len(f) == 1 {
			return nil
		}
	}
	if r.need, err = p.approvals(n, f, where, r.name); err != nil {
		return err
	}
	return nil
}

// approvals reads {approvals, of, within, initiator_counts} of a rule.
func (p *Policy) approvals(n *yaml.Node, f map[string]*yaml.Node, where, rule string) (*Need, error) {
	need, err := p.quorum(n, f, where)
	if err != nil {
		return nil, err
	}
	need.Rule = rule
	if f["initiator_counts"] != nil {
		if need.InitiatorCounts, err = truth(f["initiator_counts"], join(where, "initiator_counts")); err != nil {
			return nil, err
		}
	}
	return need, nil
}

// quorum reads {approvals, of, within}.
func (p *Policy) quorum(n *yaml.Node, f map[string]*yaml.Node, where string) (*Need, error) {
	if f["approvals"] == nil {
		return nil, problem(n, join(where, "approvals"), "is missing")
	}
	need := &Need{}
	var err error
	if need.Count, err = count(f["approvals"], join(where, "approvals")); err != nil {
		return nil, err
	}
	if need.Of, err = neededGroup(n, f["of"], join(where, "of")); err != nil {
		return nil, err
	}
	if f["within"] != nil {
		if need.Within, err = span(f["within"], join(where, "within"), maxWithin); err != nil {
			return nil, err
		}
	}
	if need.Of == everyone && where == "change" {
		return need, nil
	}
	g := p.groups[need.Of]
	if g == nil {
		return nil, problem(f["of"], join(where, "of"), "unknown group %q: declare it under groups", clip(need.Of))
	}
	g.used = true
	need.Members = g.persons
	return need, nil
}

func neededGroup(parent, n *yaml.Node, where string) (string, error) {
	if n == nil {
		return "", problem(parent, where, "is missing: name the group that approves")
	}
	return word(n, where)
}

func (p *Policy) readWindows(r *rule, n *yaml.Node, where string) error {
	if r.deny {
		return problem(n, where, "a rule that denies has no window")
	}
	if n.Kind != yaml.SequenceNode {
		return p.readWindow(r, n, where)
	}
	nodes, err := list(n, where)
	if err != nil {
		return err
	}
	if len(nodes) > 16 {
		return problem(n, where, "more than 16 windows")
	}
	for i, c := range nodes {
		if err := p.readWindow(r, c, fmt.Sprintf("%s %d", where, i+1)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) readWindow(r *rule, n *yaml.Node, where string) error {
	f, err := fields(n, where, "asset", "per", "max", "over")
	if err != nil {
		return err
	}
	b := budget{Window: Window{Rule: r.name}}
	if b.asset, err = p.assetField(n, f["asset"], where); err != nil {
		return err
	}
	for _, must := range []string{"per", "max"} {
		if f[must] == nil {
			return problem(n, join(where, must), "is missing")
		}
	}
	if b.Per, err = span(f["per"], join(where, "per"), maxPer); err != nil {
		return err
	}
	if b.Max, err = amountNode(f["max"], join(where, "max"), b.asset); err != nil {
		return err
	}
	if o := f["over"]; o != nil && (o.Kind != yaml.ScalarNode || o.Value != "deny") {
		if o.Kind != yaml.MappingNode {
			return problem(o, join(where, "over"), "want deny, or a mapping of approvals, of, within, initiator_counts")
		}
		over, err := fields(o, join(where, "over"), "approvals", "of", "within", "initiator_counts")
		if err != nil {
			return err
		}
		if b.over, err = p.approvals(o, over, join(where, "over"), r.name); err != nil {
			return err
		}
	}
	b.Scope = r.scopeOf(r.scopeID(b.asset.id), b.asset.id)
	r.windows = append(r.windows, b)
	return nil
}

// scopeID is equal for windows that add up the same payments.
func (r *rule) scopeID(asset string) string {
	h := sha256.New()
	part := func(name string, words []string) {
		fmt.Fprintf(h, "%s %d\n", name, len(words))
		for _, w := range slices.Sorted(slices.Values(words)) {
			fmt.Fprintf(h, "%d:%s\n", len(w), w)
		}
	}
	part("asset", []string{asset})
	part("who", r.who.words)
	part("keys", r.keys.words)
	if r.to != nil {
		part("to", r.to.words)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
