package software

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"

	"keyward/internal/key"
	"keyward/internal/secret"
)

// nistKey is an ECDSA key as the standard library makes it: P-384 and P-521, and
// P-256 too where only the validated module may compute.
type nistKey struct{ private *ecdsa.PrivateKey }

// maxDER is the longest ECDSA-Sig-Value, of P-521.
const maxDER = 139

func newNISTKey(c elliptic.Curve, alg key.Algorithm, material secret.Bytes) (k *nistKey, err error) {
	secret.Do(func() {
		var private *ecdsa.PrivateKey
		if private, err = ecdsa.ParseRawPrivateKey(c, material.View()); err != nil {
			err = errScalar
			return
		}
		k = &nistKey{private}
		// The library keeps a copy of its own from the first signature on. Made
		// here, it is erased when the key is dropped.
		_, err = private.Sign(nil, make([]byte, alg.Hash().Size()), alg.Hash())
	})
	return k, err
}

func (k *nistKey) wipe() {
	//lint:ignore SA1019 nothing else reaches the words that hold the scalar
	wipeInteger(k.private.D)
}

func (k *nistKey) sign(alg key.Algorithm, digest []byte) (key.Signature, error) {
	return twice(maxDER, func() ([]byte, error) { return k.private.Sign(nil, digest, alg.Hash()) }) // nil: RFC 6979
}

// edwardsKey is an Ed25519 key (RFC 8032).
type edwardsKey struct{ private ed25519.PrivateKey }

func newEdwardsKey(material secret.Bytes) (*edwardsKey, error) {
	if material.Len() != ed25519.SeedSize {
		return nil, errLength(material, ed25519.SeedSize)
	}
	k := new(edwardsKey)
	secret.Do(func() {
		k.private = ed25519.NewKeyFromSeed(material.View())
		ed25519.Sign(k.private, nil) // as in newNISTKey
	})
	return k, nil
}

func (k *edwardsKey) wipe() { secret.Wipe(k.private) }

func (k *edwardsKey) sign(_ key.Algorithm, message []byte) (key.Signature, error) {
	return twice(ed25519.SignatureSize, func() ([]byte, error) { return ed25519.Sign(k.private, message), nil })
}
