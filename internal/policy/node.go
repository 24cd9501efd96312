package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a policy's text. They keep a hostile text from costing more than a
// reading of it.
const (
	maxText    = 1 << 20 // bytes
	maxDepth   = 12
	maxEntries = 4096 // of one list or mapping
)

// readTree reads one YAML (or JSON, which is YAML) document and refuses all that
// makes YAML ambiguous: duplicate keys, aliases, anchors, merge keys, tags.
func readTree(text []byte) (*yaml.Node, error) {
	switch {
	case len(text) > maxText:
		return nil, fmt.Errorf("policy: %d bytes, at most %d", len(text), maxText)
	case !utf8.Valid(text):
		return nil, errors.New("policy: not UTF-8")
	case bytes.HasPrefix(text, []byte("\ufeff")):
		return nil, errors.New("policy: begins with a byte order mark: save it without")
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("policy: empty")
	case err != nil:
		return nil, fmt.Errorf("policy: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("policy: more than one document")
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("policy: empty")
	}
	return doc.Content[0], checkTree(doc.Content[0], 0)
}

func checkTree(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return problem(n, "", "nested too deeply")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return problem(n, "", "anchors and aliases are not allowed: write it out")
	case n.Style&yaml.TaggedStyle != 0 || n.ShortTag() == "!!binary":
		return problem(n, "", "tags are not allowed")
	case n.ShortTag() == "!!merge":
		return problem(n, "", "merge keys are not allowed: write it out")
	case len(n.Content) > 2*maxEntries:
		return problem(n, "", "more than %d entries", maxEntries)
	}
	for _, c := range n.Content {
		if err := checkTree(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// problem is an error about one place of the text: where it is in the policy's
// own words, and the line.
func problem(n *yaml.Node, where, format string, args ...any) error {
	if where != "" {
		where += ": "
	}
	return fmt.Errorf("policy: %s%s (line %d)", where, fmt.Sprintf(format, args...), n.Line)
}

func join(where, field string) string {
	if where == "" {
		return field
	}
	return where + ": " + field
}

// fields reads a mapping whose keys must be among allowed.
func fields(n *yaml.Node, where string, allowed ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, problem(n, where, "want a mapping of %s", strings.Join(allowed, ", "))
	}
	m := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		name := k.Value
		switch {
		case k.Kind != yaml.ScalarNode || !slices.Contains(allowed, name):
			if name == "when" {
				return nil, problem(k, where, "when: is reserved for conditions in a later version; this one cannot judge them")
			}
			return nil, problem(k, where, "unknown field %q: use %s", clip(name), strings.Join(allowed, ", "))
		case m[name] != nil:
			return nil, problem(k, where, "field %q stands twice", name)
		}
		m[name] = v
	}
	return m, nil
}

// named reads a mapping from names chosen by the author, in the order written.
func named(n *yaml.Node, where string, each func(name string, k, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return problem(n, where, "want a mapping from names")
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name, err := word(n.Content[i], where)
		if err != nil {
			return err
		}
		if seen[name] {
			return problem(n.Content[i], where, "%q stands twice", clip(name))
		}
		seen[name] = true
		if err := each(name, n.Content[i], n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// list reads a sequence; an empty one is refused, because it would read as
// "none" to one reader and as "no limit" to another.
func list(n *yaml.Node, where string) ([]*yaml.Node, error) {
	switch {
	case n.Kind != yaml.SequenceNode:
		return nil, problem(n, where, "want a list: [%s]", clip(n.Value))
	case len(n.Content) == 0:
		return nil, problem(n, where, "the list is empty")
	case len(n.Content) > maxEntries:
		return nil, problem(n, where, "more than %d entries", maxEntries)
	}
	return n.Content, nil
}

// words reads a list of texts without repetition.
func words(n *yaml.Node, where string) ([]string, error) {
	nodes, err := list(n, where)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(nodes))
	seen := make(map[string]bool, len(nodes))
	for i, c := range nodes {
		if all[i], err = word(c, where); err != nil {
			return nil, err
		}
		if seen[all[i]] {
			return nil, problem(c, where, "%q stands twice", clip(all[i]))
		}
		seen[all[i]] = true
	}
	return all, nil
}

// choice is a list of words in which any stands alone.
func choice(n *yaml.Node, where string) ([]string, error) {
	all, err := words(n, where)
	if err == nil && len(all) > 1 && slices.Contains(all, anything) {
		return nil, problem(n, where, "any includes the others: let it stand alone")
	}
	return all, err
}

// word reads one text exactly as written: an address that YAML would take for a
// hexadecimal number stays what it is.
func word(n *yaml.Node, where string) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", problem(n, where, "want a text")
	}
	if tag := n.ShortTag(); tag != "!!str" && tag != "!!int" {
		return "", problem(n, where, "want a text: put %q in quotes", clip(n.Value))
	}
	if n.Value == "" {
		return "", problem(n, where, "is empty")
	}
	return n.Value, nil
}

// count reads a small positive whole number.
func count(n *yaml.Node, where string) (int, error) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if v, err := strconv.Atoi(n.Value); err == nil && v > 0 && v <= maxQuorum && strconv.Itoa(v) == n.Value {
			return v, nil
		}
	}
	return 0, problem(n, where, "want a whole number from 1 to %d", maxQuorum)
}

func truth(n *yaml.Node, where string) (bool, error) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return n.Value == "true", nil
	}
	return false, problem(n, where, "want true or false")
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
