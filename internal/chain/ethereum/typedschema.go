package ethereum

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Bounds of typed data, far above what anybody signs, so that a hostile payload
// costs no more than a reading of it.
const (
	maxTypes   = 64
	maxMembers = 256
	maxIdent   = 100
	maxNesting = 32     // structs and arrays within each other
	maxValues  = 10_000 // of all members and elements together
)

// member is one member of a struct, as EIP-712 declares it.
type member struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// schema holds the declared struct types by name.
type schema map[string]*structType

type structType struct {
	name     string
	members  []typedMember
	encoding string // encodeType, once it was asked for
	hash     [32]byte
}

type typedMember struct {
	name string
	kind kind
}

// kind is a member's type: what it is made of, and the arrays around that.
type kind struct {
	text string // as declared
	base string // "uint", "int", "bytesN", "bytes", "string", "bool", "address", or "" for a struct
	size int    // bits of uint and int, bytes of bytesN
	of   string // name of the struct
	dims []int  // of arrays, the innermost first; -1 for any length
}

// elem is the kind of an array's elements.
func (k kind) elem() kind {
	k.text = k.text[:strings.LastIndexByte(k.text, '[')]
	k.dims = k.dims[:len(k.dims)-1]
	return k
}

// readSchema checks every declaration, whether or not it is used.
func readSchema(types map[string][]member) (schema, error) {
	if len(types) > maxTypes {
		return nil, fmt.Errorf("types: more than %d", maxTypes)
	}
	s := schema{}
	names := slices.Sorted(maps.Keys(types))
	for _, name := range names {
		if atom, _ := atomic(name); !identifier(name) || atom.base != "" || reserved(name) {
			return nil, fmt.Errorf("types: %q is no name for a struct", clipped(name))
		}
		s[name] = &structType{name: name}
	}
	for _, name := range names {
		where := "types." + name
		members := types[name]
		if len(members) == 0 || len(members) > maxMembers {
			return nil, fmt.Errorf("%s: %d members, want 1 to %d", where, len(members), maxMembers)
		}
		seen := map[string]bool{}
		for _, m := range members {
			switch {
			case !identifier(m.Name):
				return nil, fmt.Errorf("%s: %q is no name for a member", where, clipped(m.Name))
			case seen[m.Name]:
				return nil, fmt.Errorf("%s.%s: declared twice", where, m.Name)
			}
			seen[m.Name] = true
			k, err := s.kind(m.Type)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", where, m.Name, err)
			}
			s[name].members = append(s[name].members, typedMember{m.Name, k})
		}
	}
	return s, nil
}

// kind reads a type: an atomic one, bytes, string, or a declared struct, with
// array brackets behind it.
func (s schema) kind(text string) (kind, error) {
	base, brackets := text, ""
	if i := strings.IndexByte(text, '['); i >= 0 {
		base, brackets = text[:i], text[i:]
	}
	k, err := atomic(base)
	switch {
	case err != nil:
		return kind{}, err
	case k.base == "" && s[base] == nil:
		return kind{}, fmt.Errorf("type %q is not declared in types", clipped(base))
	case k.base == "":
		k.of = base
	}
	k.text = text
	for brackets != "" {
		end := strings.IndexByte(brackets, ']')
		if brackets[0] != '[' || end < 0 || len(k.dims) == maxNesting {
			return kind{}, fmt.Errorf("type %q is no array", clipped(text))
		}
		n := -1
		if digits := brackets[1:end]; digits != "" {
			if n, err = strconv.Atoi(digits); err != nil || n < 1 || n > maxValues || strconv.Itoa(n) != digits {
				return kind{}, fmt.Errorf("type %q: the length of an array is 1 to %d", clipped(text), maxValues)
			}
		}
		k.dims, brackets = append(k.dims, n), brackets[end+1:]
	}
	return k, nil
}

// atomic reads the types that need no declaration; base stays "" for others.
func atomic(text string) (kind, error) {
	k := kind{text: text}
	switch text {
	case "bool", "address", "string", "bytes":
		k.base = text
		return k, nil
	case "uint", "int", "byte":
		return k, fmt.Errorf("type %q is an alias, which EIP-712 does not have: write it out, such as uint256", text)
	}
	for _, family := range []struct {
		prefix, base    string
		step, min, most int
	}{{"uint", "uint", 8, 8, 256}, {"int", "int", 8, 8, 256}, {"bytes", "bytesN", 1, 1, 32}} {
		digits, ok := strings.CutPrefix(text, family.prefix)
		if !ok || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n < family.min || n > family.most || n%family.step != 0 || strconv.Itoa(n) != digits {
			return k, fmt.Errorf("there is no type %q", clipped(text))
		}
		k.base, k.size = family.base, n
		return k, nil
	}
	return k, nil
}

// reserved are names of Solidity that no struct has.
func reserved(name string) bool {
	return slices.Contains([]string{"uint", "int", "byte", "fixed", "ufixed", "function"}, name)
}

func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxIdent
}

// encodeType is EIP-712's: the struct itself, then those it refers to, sorted.
func (s schema) encodeType(name string) string {
	t := s[name]
	if t.encoding == "" {
		used := map[string]bool{}
		s.reach(name, used)
		delete(used, name)
		var b strings.Builder
		for _, n := range append([]string{name}, slices.Sorted(maps.Keys(used))...) {
			s[n].write(&b)
		}
		t.encoding = b.String()
		t.hash = keccak([]byte(t.encoding))
	}
	return t.encoding
}

// reach marks all structs that one refers to, itself included.
func (s schema) reach(name string, used map[string]bool) {
	if used[name] {
		return
	}
	used[name] = true
	for _, m := range s[name].members {
		if m.kind.of != "" {
			s.reach(m.kind.of, used)
		}
	}
}

func (t *structType) write(b *strings.Builder) {
	b.WriteString(t.name + "(")
	for i, m := range t.members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.kind.text + " " + m.name)
	}
	b.WriteByte(')')
}

// unused names the structs that neither the message nor the domain has.
func (s schema) unused(primary string) (names []string) {
	used := map[string]bool{domainType: true}
	s.reach(primary, used)
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !used[name] {
			names = append(names, name)
		}
	}
	return names
}

var errNesting = errors.New("nested too deeply")
