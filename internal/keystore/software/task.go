package software

import (
	"bytes"
	"fmt"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

// signTask signs what a chain's payload asks of the key at point, whose private
// half twice holds two copies of: one signs, the other one checks.
func signTask(twice []byte, point [seed.PointSize]byte, t chain.Task) (key.Recoverable, error) {
	if len(t.Point) > 0 && !bytes.Equal(t.Point, point[:]) {
		return key.Recoverable{}, fmt.Errorf("%w: the payload says that the key at %s below it is %x, and it is %x", keystore.ErrUnfit, t.Path, t.Point, point)
	}
	var s signature256
	var err error
	switch c := &curveSecp256k1; t.Scheme {
	case key.ECDSA:
		s, err = c.signed(twice, t.Digest)
	case key.Schnorr, key.Taproot:
		s, err = c.signedSchnorr(twice, t)
	default:
		err = fmt.Errorf("%w: no signature has scheme %d", keystore.ErrUnfit, t.Scheme)
	}
	return key.Recoverable{R: s.r, S: s.s, V: s.v}, err
}

// signedSchnorr is signed for the other two schemes. It checks by computing all
// of it again, also the public key: with a wrong one in the challenge, two
// signatures would give the private key away.
func (c *curve256) signedSchnorr(twice []byte, t chain.Task) (signature256, error) {
	if len(t.Digest) != 32 {
		return signature256{}, errDigest(t.Digest)
	}
	digest := [32]byte(t.Digest)
	compute := func(i int) (s signature256, ok bool) {
		secret.Do(func() { s, ok = c.schnorr((*[32]byte)(twice[32*i:]), &digest, &auxMask, t.Scheme, t.Root) })
		return s, ok
	}
	return checked(
		func() (signature256, error) {
			s, ok := compute(0)
			if !ok {
				return s, keystore.ErrCheck
			}
			return s, nil
		},
		func(first signature256) bool {
			second, ok := compute(1)
			return ok && first == second
		},
	)
}

// recoverableKey is a scalarKey on secp256k1, which may be a chain's.
type recoverableKey struct {
	*scalarKey
	point [seed.PointSize]byte
}

func newRecoverableKey(material secret.Bytes) (recoverableKey, error) {
	k, err := newScalarKey(&curveSecp256k1, material)
	if err != nil {
		return recoverableKey{}, err
	}
	r := recoverableKey{scalarKey: k}
	secret.Do(func() {
		x, y := k.curve.multiply((*[32]byte)(k.twice.View()))
		r.point[0] = 2 + y[31]&1 // SEC 1, section 2.3.3
		copy(r.point[1:], x[:])
	})
	return r, nil
}

func (k recoverableKey) task(_ key.Path, t chain.Task) (key.Recoverable, error) {
	return signTask(k.twice.View(), k.point, t)
}
