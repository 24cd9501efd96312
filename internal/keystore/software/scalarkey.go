package software

import (
	"fmt"

	"keyward/internal/key"
	"keyward/internal/secret"
)

// scalarKey is a private key on P-256 or secp256k1: the scalar, big-endian, twice
// in locked memory. One copy signs and the other one checks, so that a bit that
// falls over in one of them is found too.
type scalarKey struct {
	curve *curve256
	twice secret.Bytes
}

func newScalarKey(c *curve256, material secret.Bytes) (*scalarKey, error) {
	if material.Len() != 32 {
		return nil, fmt.Errorf("scalar of %d bytes, want 32", material.Len())
	}
	d := fromBytes((*[32]byte)(material.View()))
	if d.isZero() || !d.below(&c.order.n) {
		return nil, errScalar
	}
	k := &scalarKey{c, secret.New(64)}
	copy(k.twice.View()[:32], material.View())
	copy(k.twice.View()[32:], material.View())
	return k, nil
}

func (k *scalarKey) wipe() { k.twice.Destroy() }

func (k *scalarKey) sign(_ key.Algorithm, digest []byte) (key.Signature, error) {
	s, err := k.curve.signed(k.twice.View(), digest)
	if err != nil {
		return nil, err
	}
	return s.der(), nil
}

// signed signs a digest of 32 bytes with the first of two copies of a scalar, and
// checks with the second.
func (c *curve256) signed(twice, digest []byte) (signature256, error) {
	if len(digest) != 32 {
		return signature256{}, errDigest(digest)
	}
	e := [32]byte(digest)
	return checked(
		func() (s signature256, err error) {
			secret.Do(func() { s = c.sign((*[32]byte)(twice[:32]), &e) })
			return s, nil
		},
		func(s signature256) (right bool) {
			secret.Do(func() { right = c.again(&s, (*[32]byte)(twice[32:]), &e) })
			return right
		},
	)
}

func errDigest(digest []byte) error { return fmt.Errorf("digest of %d bytes, want 32", len(digest)) }

// der is ECDSA-Sig-Value (RFC 3279, section 2.2.3).
func (s *signature256) der() key.Signature {
	b := make([]byte, 2, 72)
	b = appendInteger(appendInteger(b, &s.r), &s.s)
	b[0], b[1] = 0x30, byte(len(b)-2)
	return b
}

// appendInteger writes a positive INTEGER in as few bytes as it needs.
func appendInteger(b []byte, n *[32]byte) []byte {
	digits := n[:]
	for len(digits) > 1 && digits[0] == 0 {
		digits = digits[1:]
	}
	if digits[0]&0x80 != 0 {
		return append(append(b, 0x02, byte(len(digits)+1), 0), digits...)
	}
	return append(append(b, 0x02, byte(len(digits))), digits...)
}
