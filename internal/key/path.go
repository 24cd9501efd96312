package key

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Path is the way from a key to one derived from it: child numbers of BIP-32.
// From a seed it starts at the master key; below an account it may be relative.
type Path []uint32

const (
	// Hardened is added to a child number that only the private half derives.
	Hardened = 1 << 31
	// MaxDepth bounds a path. BIP-32 could go on to 255; nobody's does.
	MaxDepth = 12

	maxPathText = 1 + MaxDepth*len("/2147483647h")
)

// ParsePath reads "m", "m/84h/0h/0h" or "m/84'/0'/0'", every number decimal
// without leading zeros.
func ParsePath(s string) (Path, error) {
	refuse := func(why string) (Path, error) {
		return nil, fmt.Errorf("path %q: %s: want a path like m/84h/0h/0h", clip(s), why)
	}
	if len(s) > maxPathText {
		return refuse("it is too long")
	}
	parts := strings.Split(s, "/")
	if parts[0] != "m" {
		return refuse("it does not begin with m")
	}
	if len(parts)-1 > MaxDepth {
		return refuse(fmt.Sprintf("%d steps, at most %d", len(parts)-1, MaxDepth))
	}
	p := Path{}
	for _, part := range parts[1:] {
		digits := strings.TrimRight(part, "h'H")
		if len(part)-len(digits) > 1 || digits == "" || digits[0] == '0' && digits != "0" {
			return refuse(fmt.Sprintf("step %q", part))
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil {
			return refuse(fmt.Sprintf("step %q is no number below 2^31", part))
		}
		if len(part) > len(digits) {
			n += Hardened
		}
		p = append(p, uint32(n))
	}
	return p, nil
}

// String writes the canonical form, hardened steps with h.
func (p Path) String() string {
	b := []byte("m")
	for _, n := range p {
		b = strconv.AppendUint(append(b, '/'), uint64(n&^Hardened), 10)
		if n >= Hardened {
			b = append(b, 'h')
		}
	}
	return string(b)
}

// Below tells whether p is at or below q, and returns the rest of the way.
func (p Path) Below(q Path) (rest Path, ok bool) {
	if len(p) < len(q) || !slices.Equal(p[:len(q)], q) {
		return nil, false
	}
	return p[len(q):], true
}

// Public tells whether the public half alone can go this way.
func (p Path) Public() bool {
	return !slices.ContainsFunc(p, func(n uint32) bool { return n >= Hardened })
}

// SplitRef divides "NAME/m/84h/0h/0h" into the key's name or id and the path of
// an account below it, in canonical form; path is nil where none is named.
func SplitRef(ref string) (name string, path Path, err error) {
	name, rest, found := strings.Cut(ref, "/")
	if !found {
		return name, nil, nil
	}
	path, err = ParsePath(rest)
	if err == nil && len(path) == 0 {
		path = nil // the master key is the key itself
	}
	return name, path, err
}
