package software

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"slices"

	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
)

// rsaKey signs or decrypts, whichever its usage is.
type rsaKey struct{ private *rsa.PrivateKey }

type (
	rsaSigner struct{ *rsaKey }
	rsaCipher struct{ *rsaKey }
)

// newRSAKey reads an RSAPrivateKey of RFC 8017, appendix A.1.2.
func newRSAKey(material secret.Bytes, bits int) (k *rsaKey, err error) {
	secret.Do(func() {
		var private *rsa.PrivateKey
		if private, err = x509.ParsePKCS1PrivateKey(material.View()); err != nil {
			err = errors.New("not an RSA private key") // the library's error may say what it read
			return
		}
		k = &rsaKey{private}
	})
	if err == nil && k.private.N.BitLen() != bits {
		return nil, errors.New("an RSA key of another size")
	}
	return k, err
}

func (k *rsaKey) wipe() {
	p := k.private
	for _, i := range append(slices.Clone(p.Primes), p.D, p.Precomputed.Dp, p.Precomputed.Dq, p.Precomputed.Qinv) {
		wipeInteger(i)
	}
}

func wipeInteger(i *big.Int) {
	if i != nil {
		clear(i.Bits()[:cap(i.Bits())])
	}
}

func (k rsaSigner) sign(alg key.Algorithm, digest []byte) (key.Signature, error) {
	hash, public := alg.Hash(), &k.private.PublicKey
	if keystore.IsPSS(alg) {
		return checked(
			func() (key.Signature, error) {
				return guarded(public.Size(), func() ([]byte, error) {
					return rsa.SignPSS(rand.Reader, k.private, hash, digest, keystore.PSSOptions)
				})
			},
			func(sig key.Signature) bool {
				return rsa.VerifyPSS(public, hash, digest, sig, keystore.PSSOptions) == nil
			},
		)
	}
	return checked(
		func() (key.Signature, error) {
			return guarded(public.Size(), func() ([]byte, error) { return rsa.SignPKCS1v15(nil, k.private, hash, digest) })
		},
		func(sig key.Signature) bool { return rsa.VerifyPKCS1v15(public, hash, digest, sig) == nil },
	)
}

func (rsaCipher) algorithm() key.Algorithm { return key.RSAOAEPSHA256 }

// encrypt is RSAES-OAEP (RFC 8017, section 7.1) with SHA-256, and the associated
// data as its label L.
func (k rsaCipher) encrypt(dst []byte, _ io.Reader, plaintext, associated []byte) ([]byte, error) {
	body, err := guarded(k.private.Size(), func() ([]byte, error) {
		return rsa.EncryptOAEP(sha256.New(), rand.Reader, &k.private.PublicKey, plaintext, associated)
	})
	return append(dst, body...), err
}

func (k rsaCipher) decrypt(body, associated []byte) (plaintext secret.Bytes, err error) {
	room := secret.New(k.private.Size())
	defer room.Destroy()
	n := 0
	secret.Do(func() {
		var made []byte
		if made, err = rsa.DecryptOAEP(sha256.New(), nil, k.private, body, associated); err == nil {
			n = copy(room.View(), made)
			secret.Wipe(made)
		}
	})
	if err != nil {
		return secret.Bytes{}, keystore.ErrCorrupt
	}
	plaintext = secret.New(n)
	copy(plaintext.View(), room.View())
	return plaintext, nil
}
