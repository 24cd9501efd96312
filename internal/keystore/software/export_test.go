package software

import (
	"context"
	"math/big"

	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
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

type Held struct{ e *entry }

func (h Held) Half() *Half { return h.e.half.(*Half) }
func (h Held) Release()    { h.e.release() }

func NewCache(size int) Cache { return Cache{newCache(size)} }
func (c Cache) Len() int      { return c.c.len() }

// Hold returns what is ready, held, or the number to give to Keep.
func (c Cache) Hold(ref key.Ref) (h Held, ok bool, purges uint64) {
	e, purges := c.c.shard(ref).hold(ref)
	return Held{e}, e != nil, purges
}

func (c Cache) Keep(ref key.Ref, purges uint64) Held {
	e := &entry{ref: ref, half: new(Half)}
	e.holds.Store(1)
	return Held{c.c.shard(ref).keep(e, purges)}
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
	if err := e.purpose().Fits(o); err != nil {
		return keystore.Made{}, err
	}
	return k.obey(e, o)
}

func ParseAttributes(b []byte) (attributes, error) { return parseAttributes(b) }

func MarshalAttributes(a attributes) []byte {
	b, err := strict.Marshal(a)
	if err != nil {
		panic(err)
	}
	return b
}
