package software

import (
	"crypto/elliptic"
	"crypto/sha256"

	"filippo.io/nistec"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// curve256 is a curve of 256 bits, for deterministic ECDSA with SHA-256. Signing
// is written here, and not left to the libraries that bring the curves: each of
// their signatures leaves a dozen copies of the private scalar and of the nonce
// on the heap, where nobody wipes them. What is here puts nothing on the heap.
type curve256 struct {
	order   *modulus
	koblitz bool // secp256k1: s is in the lower half of the order, and y counts
}

var (
	curveP256      = curve256{newModulus(elliptic.P256().Params().N), false}
	curveSecp256k1 = curve256{newModulus(secp256k1.Params().N), true}
)

// multiply returns the affine coordinates of k·G, big-endian, for 0 < k < n.
//
// BUG(software): the multiplication of package secp256k1 does not take quite
// constant time: each zero byte of the nonce saves an addition of about 3 %.
func (c *curve256) multiply(k *[32]byte) (x, y [32]byte) {
	if c.koblitz {
		var s secp256k1.ModNScalar
		var p secp256k1.JacobianPoint
		s.SetBytes(k)
		secp256k1.ScalarBaseMultNonConst(&s, &p)
		p.ToAffine()
		p.X.PutBytes(&x)
		p.Y.PutBytes(&y)
		return x, y
	}
	p, err := nistec.NewP256Point().ScalarBaseMult(k[:])
	if err != nil {
		panic(err) // only for another length
	}
	b := p.Bytes()
	copy(x[:], b[1:33])
	copy(y[:], b[33:])
	return x, y
}

// signature256 is an ECDSA signature, big-endian, and the id by which the public
// key can be recovered from it.
type signature256 struct {
	r, s [32]byte
	v    byte
}

// ephemeral is what a nonce contributes: k, r, and whether y is odd.
type ephemeral struct {
	k, r scalar
	odd  byte
}

// draw takes nonces until one will do (RFC 6979, section 3.2, step h): in
// practice the first.
func (c *curve256) draw(n *nonce) (e ephemeral) {
	for {
		e.k = n.next(c.order)
		b := e.k.bytes()
		x, y := c.multiply(&b)
		point := fromBytes(&x)
		e.r = c.order.reduce(&point, 0)
		e.odd = y[31] & 1
		// Where x was above n, two bits would be needed to recover the key.
		if !e.r.isZero() && (e.r == point || !c.koblitz) {
			return e
		}
	}
}

// sum returns e + r·d mod n, where e is the digest.
func (c *curve256) sum(r *scalar, d, digest *[32]byte) (z scalar) {
	key, e := fromBytes(d), fromBytes(digest)
	e = c.order.reduce(&e, 0)
	c.order.mul(&z, r, &c.order.rr) // Montgomery's form, since mul divides by R
	c.order.mul(&z, &z, &key)
	return c.order.add(&z, &e)
}

// sign computes the signature over a digest: FIPS 186-5, section 6.4.1, with the
// nonce of RFC 6979. The letters are theirs.
func (c *curve256) sign(d, digest *[32]byte) (sig signature256) {
	n := newNonce(c.order, d, digest)
	for {
		e := c.draw(&n)
		z := c.sum(&e.r, d, digest)
		var k, s scalar
		c.order.mul(&k, &e.k, &c.order.rr)
		c.order.invert(&k, &k)
		c.order.mul(&s, &k, &z) // s = k⁻¹ (e + r·d) mod n
		if s.isZero() {
			continue
		}
		sig.v = e.odd
		if c.koblitz && c.order.half.below(&s) {
			s = c.order.negate(&s)
			sig.v ^= 1
		}
		sig.r, sig.s = e.r.bytes(), s.bytes()
		return sig
	}
}

// again computes nonce and point a second time and tells whether sig is what
// sign must have returned: whether s·k = e + r·d mod n. It costs one inversion
// less than to sign again, and misses nothing that this would find.
func (c *curve256) again(sig *signature256, d, digest *[32]byte) bool {
	n := newNonce(c.order, d, digest)
	e := c.draw(&n)
	z := c.sum(&e.r, d, digest)
	s := fromBytes(&sig.s)
	if s.isZero() || !s.below(&c.order.n) {
		return false
	}
	var product scalar
	c.order.mul(&product, &s, &c.order.rr)
	c.order.mul(&product, &product, &e.k)
	odd := e.odd
	if product != z && c.koblitz {
		product = c.order.negate(&product)
		odd ^= 1
	}
	low := !c.koblitz || !c.order.half.below(&s)
	return product == z && low && sig.r == e.r.bytes() && sig.v == odd
}

// nonce is HMAC_DRBG with SHA-256, as RFC 6979, section 3.2, runs it.
type nonce struct {
	k, v [32]byte
	used bool
}

// newNonce is steps a to g for the private scalar d and the digest.
func newNonce(order *modulus, d, digest *[32]byte) (n nonce) {
	h := fromBytes(digest)
	h = order.reduce(&h, 0) // bits2octets
	octets := h.bytes()
	for i := range n.v {
		n.v[i] = 1
	}
	n.update(0, d, &octets)
	n.update(1, d, &octets)
	return n
}

// update is K = HMAC_K(V || separator || d || h), V = HMAC_K(V).
func (n *nonce) update(separator byte, d, h *[32]byte) {
	var room [97]byte
	m := append(append(room[:0], n.v[:]...), separator)
	if d != nil {
		m = append(append(m, d[:]...), h[:]...)
	}
	n.k = hmacSHA256(&n.k, m)
	n.v = hmacSHA256(&n.k, n.v[:])
}

// next is step h: it returns the next k, 0 < k < n.
func (n *nonce) next(order *modulus) scalar {
	for {
		if n.used {
			n.update(0, nil, nil)
		}
		n.used = true
		n.v = hmacSHA256(&n.k, n.v[:])
		if k := fromBytes(&n.v); !k.isZero() && k.below(&order.n) {
			return k
		}
	}
}

// hmacSHA256 is HMAC (FIPS 198-1) over at most 97 bytes.
func hmacSHA256(key *[32]byte, message []byte) [32]byte {
	var inner [64 + 97]byte
	var outer [64 + 32]byte
	for i := range 64 {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	sum := sha256.Sum256(inner[:64+copy(inner[64:], message)])
	copy(outer[64:], sum[:])
	return sha256.Sum256(outer[:])
}
