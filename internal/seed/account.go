package seed

import (
	"fmt"
	"sync"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/key"
)

// Account is the public half of a node with the way to it, from which all keys
// below it that are not hardened are derived. Safe for concurrent use; copies
// share their cache.
type Account struct {
	Public
	Master [4]byte  // fingerprint of the master key
	Path   key.Path // from there

	branches *branches
}

// maxBranches bounds how many nodes above the last step are remembered: the
// account, receive and change are three. With maxLeaves it bounds what a caller who
// names ever new keys can have an account remember, to half a megabyte.
const maxBranches = 4

// branches are nodes below the account, by their path, ready to derive from.
type branches struct {
	mu    sync.Mutex
	nodes map[string]*branch
}

type branch struct {
	Public
	parsed *secp256k1.PublicKey

	mu     sync.Mutex
	leaves map[uint32]Public
}

// maxLeaves bounds how many keys below a branch are remembered: the same ones are
// asked for when a payment is read, judged again, signed and verified.
const maxLeaves = 1024

func (b *branch) leaf(number uint32) (Public, error) {
	b.mu.Lock()
	known, ok := b.leaves[number]
	b.mu.Unlock()
	if ok {
		return known, nil
	}
	made, err := b.child(b.parsed, number)
	if err != nil {
		return Public{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaves == nil || len(b.leaves) >= maxLeaves {
		b.leaves = map[uint32]Public{}
	}
	b.leaves[number] = made
	return made, nil
}

// NewAccount checks that p can be at that path.
func NewAccount(p Public, master [4]byte, path key.Path) (Account, error) {
	if err := p.check(); err != nil {
		return Account{}, fmt.Errorf("account %s: %w", path, err)
	}
	switch n := len(path); {
	case n != int(p.Depth) || n > 0 && path[n-1] != p.Number || n == 1 && p.Parent != master || n == 0 && p.Fingerprint() != master:
		return Account{}, fmt.Errorf("account %s: the key was derived by another path", path)
	}
	return Account{p, master, path, &branches{nodes: map[string]*branch{}}}, nil
}

// Child derives the key at a path below the account.
func (a Account) Child(path key.Path) (Public, error) {
	if len(path) == 0 {
		return a.Public, nil
	}
	if len(path) > key.MaxDepth {
		return Public{}, fmt.Errorf("%w: %d steps below the account, at most %d", ErrChild, len(path), key.MaxDepth)
	}
	last := len(path) - 1
	b, err := a.branch(path[:last])
	if err != nil {
		return Public{}, err
	}
	return b.leaf(path[last])
}

// branch remembers what it derives.
func (a Account) branch(path key.Path) (*branch, error) {
	name := path.String()
	a.branches.mu.Lock()
	b := a.branches.nodes[name]
	a.branches.mu.Unlock()
	if b != nil {
		return b, nil
	}
	node, err := a.Child(path)
	if err != nil {
		return nil, err
	}
	parsed, err := node.parse()
	if err != nil {
		return nil, err
	}
	b = &branch{Public: node, parsed: parsed}
	a.branches.mu.Lock()
	defer a.branches.mu.Unlock()
	if len(a.branches.nodes) >= maxBranches { // a payload that names many: begin anew
		clear(a.branches.nodes)
	}
	a.branches.nodes[name] = b
	return b, nil
}

// Point makes the account a chain.Own: the key (33 bytes) at a path from the
// master key of a fingerprint, and the way to it from the account; ok is false
// where the account does not lead there.
func (a Account) Point(master [4]byte, path key.Path) (point []byte, below key.Path, ok bool) {
	if master != a.Master {
		return nil, nil, false
	}
	if below, ok = path.Below(a.Path); !ok {
		return nil, nil, false
	}
	child, err := a.Child(below)
	if err != nil {
		return nil, nil, false
	}
	return child.Key[:], below, true
}
