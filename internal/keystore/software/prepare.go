package software

import (
	"crypto/elliptic"
	"crypto/fips140"
	"errors"
	"fmt"

	"keyward/internal/key"
	"keyward/internal/secret"
)

var errScalar = errors.New("scalar is not between 0 and the order of the curve")

func errLength(material secret.Bytes, want int) error {
	return fmt.Errorf("%d bytes, want %d", material.Len(), want)
}

// prepare makes material ready for use. It copies what it needs; the caller
// keeps the material. docs/formats/material.md says what it is for each spec.
func prepare(a attributes, material secret.Bytes) (half, error) {
	switch a.Spec {
	case key.AES256:
		return newAESKey(material)
	case key.HMAC256, key.HMAC384, key.HMAC512:
		return newMACKey(a.Spec.Algorithms(key.GenerateVerifyMAC)[0], material)
	case key.P256:
		if fips140.Enabled() { // then only the validated module computes
			return newNISTKey(elliptic.P256(), key.ECDSASHA256, material)
		}
		return newScalarKey(&curveP256, material)
	case key.P384:
		return newNISTKey(elliptic.P384(), key.ECDSASHA384, material)
	case key.P521:
		return newNISTKey(elliptic.P521(), key.ECDSASHA512, material)
	case key.Secp256k1:
		return newRecoverableKey(material)
	case key.HDSeed:
		return newTree(material, a.PublicHash)
	case key.Ed25519:
		return newEdwardsKey(material)
	case key.RSA2048, key.RSA3072, key.RSA4096:
		k, err := newRSAKey(material, rsaBits(a.Spec))
		if a.Usage == key.EncryptDecrypt {
			return rsaCipher{k}, err
		}
		return rsaSigner{k}, err
	}
	return nil, fmt.Errorf("no software key of spec %q", a.Spec)
}

func rsaBits(s key.Spec) int {
	switch s {
	case key.RSA3072:
		return 3072
	case key.RSA4096:
		return 4096
	}
	return 2048
}
