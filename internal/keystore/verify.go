package keystore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// ErrSignature means that a signature does not hold: not by this key, not over
// this input, or not in the one encoding that keyward makes.
var ErrSignature = errors.New("signature does not verify")

// Verify checks sig over input by alg under pub. Input is the digest, as long
// as alg.Hash says, or for Ed25519 the message. ECDSA signatures are strict DER,
// and on secp256k1 s is in the lower half of the order, as keyward makes them:
// of a signature with the other s it says so. A signature that does not hold is
// ErrSignature; other errors are about pub, alg or input.
func Verify(pub key.Public, alg key.Algorithm, input []byte, sig key.Signature) error {
	spec, public, err := parsePublic(pub)
	if err != nil {
		return err
	}
	if !slices.Contains(spec.Algorithms(key.SignVerify), alg) {
		return fmt.Errorf("a public key of %s does not verify %q", spec, alg)
	}
	hash := alg.Hash()
	if hash != 0 && len(input) != hash.Size() {
		return fmt.Errorf("digest of %d bytes, %s has %d", len(input), hash, hash.Size())
	}
	holds := false
	switch public := public.(type) {
	case *secp256k1.PublicKey:
		return verifySecp256k1(public, input, sig)
	case *ecdsa.PublicKey:
		holds = ecdsa.VerifyASN1(public, input, sig)
	case ed25519.PublicKey:
		holds = ed25519.Verify(public, input, sig)
	case *rsa.PublicKey:
		if IsPSS(alg) {
			holds = rsa.VerifyPSS(public, hash, input, sig, PSSOptions) == nil
		} else {
			holds = rsa.VerifyPKCS1v15(public, hash, input, sig) == nil
		}
	}
	if !holds {
		return ErrSignature
	}
	return nil
}

// PSSOptions are those of every RSASSA-PSS signature here: a salt as long as the
// digest, and MGF1 with the same hash.
var PSSOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

// IsPSS tells RSASSA-PSS from RSASSA-PKCS1-v1_5.
func IsPSS(alg key.Algorithm) bool {
	return alg == key.RSAPSSSHA256 || alg == key.RSAPSSSHA384 || alg == key.RSAPSSSHA512
}

// VerifyRecoverable checks that the key recovered from sig over digest (32 bytes)
// is pub. Errors as Verify.
func VerifyRecoverable(pub key.Public, digest []byte, sig key.Recoverable) error {
	point, err := pub.Secp256k1()
	if err != nil {
		return err
	}
	if len(digest) != 32 {
		return fmt.Errorf("digest of %d bytes, want 32", len(digest))
	}
	var s secp256k1.ModNScalar
	if overflow := s.SetByteSlice(sig.S[:]); overflow || sig.V > 1 {
		return ErrSignature
	}
	if s.IsOverHalfOrder() {
		return errHighS()
	}
	compact := append([]byte{27 + sig.V}, sig.R[:]...) // SEC 1, section 4.1.6
	recovered, _, err := secp256k1ecdsa.RecoverCompact(append(compact, sig.S[:]...), digest)
	if err != nil || !bytes.Equal(recovered.SerializeUncompressed(), point[:]) {
		return ErrSignature
	}
	return nil
}

// VerifyTask checks one signature of a chain's payload: by pub itself, or by the
// key that the task names below pub, for which its decoder vouches. Errors as
// Verify.
func VerifyTask(pub key.Public, t chain.Task, sig key.Recoverable) error {
	public, err := taskKey(pub, t)
	if err != nil {
		return err
	}
	switch t.Scheme {
	case key.ECDSA:
		point, err := key.MarshalSecp256k1([65]byte(public.SerializeUncompressed()))
		if err != nil {
			return err
		}
		return VerifyRecoverable(point, t.Digest, sig)
	case key.Schnorr, key.Taproot:
		return verifySchnorr(public, t, sig)
	}
	return fmt.Errorf("no signature has scheme %d", t.Scheme)
}

// taskKey never takes another's word for what the key itself is.
func taskKey(pub key.Public, t chain.Task) (*secp256k1.PublicKey, error) {
	if len(t.Path) > 0 {
		return secp256k1.ParsePubKey(t.Point)
	}
	point, err := pub.Secp256k1()
	if err != nil {
		return nil, err
	}
	public, err := secp256k1.ParsePubKey(point[:])
	if err != nil {
		return nil, errors.New("public key: not a point of secp256k1")
	}
	if len(t.Point) > 0 && !bytes.Equal(t.Point, public.SerializeCompressed()) {
		return nil, fmt.Errorf("%w: the payload asks another key, %x, to sign", ErrSignature, t.Point)
	}
	return public, nil
}

func verifySecp256k1(public *secp256k1.PublicKey, digest, sig []byte) error {
	parsed, err := secp256k1ecdsa.ParseDERSignature(sig)
	if err != nil || !parsed.Verify(digest, public) {
		return ErrSignature
	}
	if s := parsed.S(); s.IsOverHalfOrder() {
		return errHighS()
	}
	return nil
}

func errHighS() error {
	return fmt.Errorf("%w: s is in the upper half of the order; keyward makes and accepts the lower one alone", ErrSignature)
}

// parsePublic also tells the spec, and refuses a point that is not on its curve
// or a size that no key here has.
func parsePublic(pub key.Public) (key.Spec, any, error) {
	if point, err := pub.Secp256k1(); err == nil {
		public, err := secp256k1.ParsePubKey(point[:])
		if err != nil {
			return "", nil, errors.New("public key: not a point of secp256k1")
		}
		return key.Secp256k1, public, nil
	}
	public, err := pub.Parse()
	if err != nil {
		return "", nil, err
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return key.P256, public, nil
		case elliptic.P384():
			return key.P384, public, nil
		case elliptic.P521():
			return key.P521, public, nil
		}
	case ed25519.PublicKey:
		return key.Ed25519, public, nil
	case *rsa.PublicKey:
		switch public.N.BitLen() {
		case 2048:
			return key.RSA2048, public, nil
		case 3072:
			return key.RSA3072, public, nil
		case 4096:
			return key.RSA4096, public, nil
		}
		return "", nil, fmt.Errorf("public key: RSA of %d bits", public.N.BitLen())
	}
	return "", nil, fmt.Errorf("public key: %T is not supported", public)
}
