package software

import (
	"context"
	"math/big"

	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

// What the tests of this room look at behind its back.
type (
	Curve256     = curve256
	Signature256 = signature256
	Attributes   = attributes
)

var (
	CurveP256      = &curveP256
	CurveSecp256k1 = &curveSecp256k1
)

func (c *curve256) Sign(d, digest [32]byte) signature256 { return c.sign(&d, &digest) }

func (c *curve256) Again(s signature256, d, digest [32]byte) bool { return c.again(&s, &d, &digest) }

// Schnorr signs with any auxiliary randomness; nil for what keyward uses.
func (c *curve256) Schnorr(d, digest [32]byte, aux []byte, scheme key.Scheme, root []byte) (signature256, bool) {
	mask := auxMask
	if aux != nil {
		mask = keystore.TaggedHash("BIP0340/aux", aux)
	}
	return c.schnorr(&d, &digest, &mask, scheme, root)
}

func (s signature256) Parts() (r, t [32]byte, v byte) { return s.r, s.s, s.v }

func (s signature256) DER() key.Signature { return s.der() }

func MakeSignature256(r, s [32]byte, v byte) signature256 { return signature256{r, s, v} }

func (c *curve256) Order() *big.Int { return toBig(c.order.n) }

func toBig(s scalar) *big.Int {
	b := s.bytes()
	return new(big.Int).SetBytes(b[:])
}

// Product, Sum and Inverse compute modulo the order.
func (c *curve256) Product(x, y *big.Int) *big.Int {
	a, b := fromBig(x), fromBig(y)
	c.order.mul(&a, &a, &c.order.rr)
	c.order.mul(&a, &a, &b)
	return toBig(a)
}

func (c *curve256) Sum(x, y *big.Int) *big.Int {
	a, b := fromBig(x), fromBig(y)
	return toBig(c.order.add(&a, &b))
}

func (c *curve256) Inverse(x *big.Int) *big.Int {
	a := fromBig(x)
	c.order.mul(&a, &a, &c.order.rr)
	c.order.invert(&a, &a)
	c.order.mul(&a, &a, &scalar{1})
	return toBig(a)
}

func (c *curve256) Reduce(x *big.Int) *big.Int {
	a := fromBig(x)
	return toBig(c.order.reduce(&a, 0))
}

// Cache is the cache with halves that only tell whether they were wiped.
type Cache struct{ c *cache }

type Half struct{ Wiped int }

func (h *Half) wipe() { h.Wiped++ }

type Held struct{ e *entry[key.Ref, ready] }

func (h Held) Half() *Half { return h.e.secret.half.(*Half) }
func (h Held) Release()    { h.e.release() }

func NewCache(size int) Cache { return Cache{newCache(size)} }
func (c Cache) Len() int      { return c.c.len() }

// Hold returns what is ready, held, or the number to give to Keep.
func (c Cache) Hold(ref key.Ref) (h Held, ok bool, purges uint64) {
	e, purges := c.c.shard(ref).hold(ref)
	return Held{e}, e != nil, purges
}

func (c Cache) Keep(ref key.Ref, purges uint64) Held {
	return Held{c.c.shard(ref).keep(held(ref, ready{half: new(Half)}), purges)}
}

func (c Cache) Purge(fits func(key.Ref) bool) { c.c.purge(fits) }

// Reveal returns the material of a key as it is stored.
func (k *Keystore) Reveal(ctx context.Context, ref key.Ref) (secret.Bytes, error) {
	row, err := k.opt.Reader.Row(ctx, materials, string(ref.ID), int64(ref.Version))
	if err != nil {
		return secret.Bytes{}, err
	}
	m, err := parseRow(row)
	if err != nil {
		return secret.Bytes{}, err
	}
	return k.opt.Root.Unwrap(m.context(ref), m.root, m.wrapped, m.sealed)
}

// Obey is Use for an order that nobody permitted.
func (k *Keystore) Obey(ctx context.Context, o journal.Order) (keystore.Made, error) {
	if err := k.enter(); err != nil {
		return keystore.Made{}, err
	}
	defer k.leave()
	e, err := k.open(ctx, o.Key)
	if err != nil {
		return keystore.Made{}, err
	}
	defer e.release()
	if err := e.secret.purpose().Fits(o); err != nil {
		return keystore.Made{}, err
	}
	return k.obey(e.secret.half, o)
}

// Nodes is how many nodes of a seed are ready.
func (k *Keystore) Nodes(ctx context.Context, ref key.Ref) int {
	e, err := k.open(ctx, ref)
	if err != nil {
		return -1
	}
	defer e.release()
	t := e.secret.half.(*tree)
	t.nodes.mu.Lock()
	defer t.nodes.mu.Unlock()
	return len(t.nodes.entries)
}

// Spoil lets a bit fall over in a copy of a node's private key.
func (k *Keystore) Spoil(ctx context.Context, ref key.Ref, path key.Path, at int) error {
	e, err := k.open(ctx, ref)
	if err != nil {
		return err
	}
	defer e.release()
	p, err := placeOf(path, nil)
	if err != nil {
		return err
	}
	node, err := e.secret.half.(*tree).at(p)
	if err != nil {
		return err
	}
	defer node.release()
	node.secret.Scalars()[at] ^= 1
	return nil
}

func MarshalSeed(m seed.Mnemonic) secret.Bytes               { return marshalSeed(m) }
func ParseSeed(material secret.Bytes) (seed.Mnemonic, error) { return parseSeed(material) }

func ParseAttributes(b []byte) (attributes, error) { return parseAttributes(b) }

func MarshalAttributes(a attributes) []byte {
	b, err := strict.Marshal(a)
	if err != nil {
		panic(err)
	}
	return b
}

// Grow makes a tree of material, for a public half of this hash.
func Grow(material secret.Bytes, publicHash [32]byte) error {
	t, err := newTree(material, publicHash)
	if err == nil {
		t.wipe()
	}
	return err
}

// Node is a node of a seed that was ready.
type Node struct{ p *seed.Private }

// Gone tells whether it was destroyed.
func (n Node) Gone() (gone bool) {
	defer func() { gone = recover() != nil }() // there is nothing to lend
	n.p.Scalars()
	return false
}

// Ready lends all nodes of a seed.
func (k *Keystore) Ready(ctx context.Context, ref key.Ref) (all []Node) {
	e, err := k.open(ctx, ref)
	if err != nil {
		return nil
	}
	defer e.release()
	t := e.secret.half.(*tree)
	all = append(all, Node{t.master.secret.Private})
	for _, n := range t.nodes.entries {
		all = append(all, Node{n.secret.Private})
	}
	return all
}
