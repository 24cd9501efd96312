package software

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

// tree is a seed, ready to be used: its master key, and the nodes below it that
// were used last. Entropy, words and seed are gone once the master key is there.
// A new key costs one derivation from the node above it; nodes that many keys
// are derived from stay, because each derivation uses them.
type tree struct {
	master      *entry[place, branch]
	fingerprint [4]byte // of the master key
	nodes       shard[place, branch]
}

// maxNodes bounds the nodes that are kept ready of one seed, 128 bytes each.
const maxNodes = 256

// branch is a node in the tree's list.
type branch struct{ *seed.Private }

func (b branch) wipe() { b.Destroy() }

// place is a path from the master key, as a map finds it.
type place struct {
	depth int
	steps [2 * key.MaxDepth]uint32 // of the account, and below it
}

func placeOf(account, below key.Path) (p place, err error) {
	if p.depth = len(account) + len(below); p.depth > len(p.steps) {
		return p, fmt.Errorf("%w: %d steps, at most %d", keystore.ErrUnfit, p.depth, len(p.steps))
	}
	copy(p.steps[copy(p.steps[:], account):], below)
	return p, nil
}

func (p place) above() place {
	p.depth--
	p.steps[p.depth] = 0
	return p
}

// newTree also computes the public half again, whose hash is sealed with the
// material: a machine that stretched the words wrongly but once would give out
// addresses that nobody ever spends from.
func newTree(material secret.Bytes, publicHash [32]byte) (*tree, error) {
	m, err := parseSeed(material)
	if err != nil {
		return nil, err
	}
	defer m.Destroy()
	stretched := m.Seed()
	defer stretched.Destroy()
	master, err := seed.Master(stretched)
	if err != nil {
		return nil, err
	}
	t := &tree{master: held(place{}, branch{master})}
	t.nodes.max, t.nodes.entries = maxNodes, map[place]*entry[place, branch]{}
	node, err := t.public(nil)
	if err == nil {
		t.fingerprint = node.Fingerprint()
		err = isPublic(node.Key, publicHash)
	}
	if err != nil {
		t.wipe()
		return nil, err
	}
	return t, nil
}

func isPublic(point [seed.PointSize]byte, hash [32]byte) error {
	public, err := publicOf(point)
	if err != nil {
		return err
	}
	if public.Hash() != hash {
		return fmt.Errorf("%w: the words do not give the public key that was sealed with them", keystore.ErrCheck)
	}
	return nil
}

func (t *tree) wipe() {
	t.nodes.purge(func(place) bool { return true })
	t.master.release()
}

// at returns a node, held for the caller.
func (t *tree) at(p place) (*entry[place, branch], error) {
	if p.depth == 0 {
		t.master.holds.Add(1)
		return t.master, nil
	}
	e, purges := t.nodes.hold(p)
	if e != nil {
		return e, nil
	}
	above, err := t.at(p.above())
	if err != nil {
		return nil, err
	}
	defer above.release()
	child, err := above.secret.Child(p.steps[p.depth-1])
	if err != nil {
		return nil, unsound(err)
	}
	return t.nodes.keep(held(p, branch{child}), purges), nil
}

// unsound gives the errors of a derivation the names that callers of a keystore
// branch on.
func unsound(err error) error {
	if errors.Is(err, seed.ErrFault) {
		return fmt.Errorf("%w: %w", keystore.ErrCheck, err)
	}
	return fmt.Errorf("%w: %w", keystore.ErrUnfit, err)
}

// sign is by the master key, which signs nothing but proofs.
func (t *tree) sign(_ key.Algorithm, digest []byte) (key.Signature, error) {
	s, err := curveSecp256k1.signed(t.master.secret.Scalars(), digest)
	if err != nil {
		return nil, err
	}
	return s.der(), nil
}

func (t *tree) task(account key.Path, task chain.Task) (key.Recoverable, error) {
	p, err := placeOf(account, task.Path)
	if err != nil {
		return key.Recoverable{}, err
	}
	e, err := t.at(p)
	if err != nil {
		return key.Recoverable{}, err
	}
	defer e.release()
	return signTask(e.secret.Scalars(), e.secret.Point(), task)
}

// public is the public half of a node.
func (t *tree) public(path key.Path) (seed.Public, error) {
	p, err := placeOf(path, nil)
	if err != nil {
		return seed.Public{}, err
	}
	e, err := t.at(p)
	if err != nil {
		return seed.Public{}, err
	}
	defer e.release()
	public, err := e.secret.Public()
	if err != nil {
		return seed.Public{}, unsound(err)
	}
	return public, nil
}

// grows proves the tree: private and public half derive the same child.
func (t *tree) grows() error {
	parent, err := t.public(key.Path{key.Hardened})
	if err != nil {
		return err
	}
	child, err := t.public(key.Path{key.Hardened, 0})
	if err != nil {
		return err
	}
	if same, err := parent.Child(0); err != nil || same != child {
		return keystore.ErrCheck
	}
	return nil
}

// Account derives the public half of an account of a seed, from which addresses
// are made. No key is used by it, so it needs no Permit (docs/design/seeds.md).
// keystore.ErrUnfit where the key is no seed.
func (k *Keystore) Account(ctx context.Context, ref key.Ref, path key.Path) (seed.Account, error) {
	if err := k.enter(); err != nil {
		return seed.Account{}, err
	}
	defer k.leave()
	if len(path) > key.MaxDepth {
		return seed.Account{}, fmt.Errorf("%w: path of %d steps, at most %d", keystore.ErrUnfit, len(path), key.MaxDepth)
	}
	e, err := k.open(ctx, ref)
	if err != nil {
		return seed.Account{}, err
	}
	defer e.release()
	t, ok := e.secret.half.(*tree)
	if !ok {
		return seed.Account{}, fmt.Errorf("%w: %s is of spec %s, and only %s has accounts", keystore.ErrUnfit, ref, e.secret.Spec, key.HDSeed)
	}
	public, err := t.public(path)
	if err != nil {
		return seed.Account{}, err
	}
	return seed.NewAccount(public, t.fingerprint, slices.Clone(path))
}
