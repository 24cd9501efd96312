package software

import (
	"crypto/sha256"

	"keyward/internal/key"
	"keyward/internal/keystore"
)

// The tags of BIP-340, hashed, and what the private key is masked with: the hash
// of 32 zero bytes, in the place of randomness (docs/design/software-keys.md).
var (
	tagNonce     = sha256.Sum256([]byte("BIP0340/nonce"))
	tagChallenge = sha256.Sum256([]byte("BIP0340/challenge"))
	auxMask      = keystore.TaggedHash("BIP0340/aux", make([]byte, 32))
)

// tagged is the tagged hash over three times 32 bytes, without the heap.
func tagged(tag, a, b, c *[32]byte) [32]byte {
	var m [5 * 32]byte
	for i, part := range [...]*[32]byte{tag, tag, a, b, c} {
		copy(m[32*i:], part[:])
	}
	return sha256.Sum256(m[:])
}

// schnorr computes the signature over a digest with the scalar d (BIP-340,
// "Default Signing", with the hash of the randomness), or for key.Taproot with the scalar of d's
// output key (BIP-341, taproot_tweak_seckey). The letters are theirs, but for p,
// which is x(P). It fails as often as SHA-256 returns zero.
func (c *curve256) schnorr(d0, digest, mask *[32]byte, scheme key.Scheme, root []byte) (sig signature256, ok bool) {
	p, y := c.multiply(d0)
	d := fromBytes(d0)
	d = c.even(&d, y[31])
	if scheme == key.Taproot {
		tweak, ok := keystore.TapTweak(p, root)
		b := tweak.Bytes()
		t := fromBytes(&b)
		d = c.order.add(&d, &t)
		if !ok || d.isZero() {
			return sig, false
		}
		b = d.bytes()
		p, y = c.multiply(&b)
		d = c.even(&d, y[31])
	}
	t := d.bytes()
	for i := range t {
		t[i] ^= mask[i]
	}
	rand := tagged(&tagNonce, &t, &p, digest)
	k := fromBytes(&rand)
	k = c.order.reduce(&k, 0)
	if k.isZero() {
		return sig, false
	}
	b := k.bytes()
	sig.r, y = c.multiply(&b)
	k = c.even(&k, y[31])
	challenge := tagged(&tagChallenge, &sig.r, &p, digest)
	e := fromBytes(&challenge)
	e = c.order.reduce(&e, 0)
	c.order.mul(&e, &e, &c.order.rr)
	c.order.mul(&e, &e, &d)
	s := c.order.add(&k, &e) // s = k + e·d mod n
	sig.s = s.bytes()
	return sig, true
}

// even negates k where its point has an odd y, in a time that does not tell.
func (c *curve256) even(k *scalar, y byte) (z scalar) {
	other, odd := c.order.negate(k), -uint64(y&1)
	for i := range z {
		z[i] = k[i] ^ (k[i]^other[i])&odd
	}
	return z
}
