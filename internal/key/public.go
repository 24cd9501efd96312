package key

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
)

// Public is a public key as SubjectPublicKeyInfo, DER (RFC 5280, section
// 4.1.2.7; elliptic curves by RFC 5480, secp256k1 with the OID of SEC 2).
type Public []byte

// Signature is a finished signature; its algorithm says the encoding: ECDSA is
// ASN.1 DER (RFC 3279), for secp256k1 always low-s; Ed25519 is 64 bytes (RFC
// 8032); RSA is as long as the modulus (RFC 8017).
type Signature []byte

// Recoverable is a signature on secp256k1, 32 bytes big-endian each. Of ECDSA, S
// is in the lower half of the order, and the public key can be recovered by V, 0
// or 1. Of BIP-340, R is the nonce point's x, and V is 0.
type Recoverable struct {
	R, S [32]byte
	V    byte
}

// PEM prints the key as a PEM block "PUBLIC KEY"; "" for a symmetric key.
func (p Public) PEM() string {
	if len(p) == 0 {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p}))
}

// Hash is SHA-256 over the DER; over nothing for a symmetric key.
func (p Public) Hash() [32]byte { return sha256.Sum256(p) }

// MarshalPublic encodes a P-256, P-384, P-521, Ed25519 or RSA public key.
func MarshalPublic(pub any) (Public, error) {
	switch pub.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey, *rsa.PublicKey:
		return x509.MarshalPKIXPublicKey(pub)
	}
	return nil, fmt.Errorf("public key of type %T is not supported", pub)
}

// Parse returns *ecdsa.PublicKey, ed25519.PublicKey or *rsa.PublicKey. For
// secp256k1, which the standard library does not know, use Secp256k1.
func (p Public) Parse() (any, error) {
	pub, err := x509.ParsePKIXPublicKey(p)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if k, ok := pub.(*ecdsa.PublicKey); ok && k.Curve == elliptic.P224() {
		return nil, errors.New("public key: curve P-224 is not supported")
	}
	return pub, nil
}

type spki struct {
	Algorithm pkix.AlgorithmIdentifier
	Point     asn1.BitString
}

func secp256k1Algorithm() (pkix.AlgorithmIdentifier, error) {
	curve, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 132, 0, 10}) // SEC 2, section A.2.1
	if err != nil {
		return pkix.AlgorithmIdentifier{}, err
	}
	return pkix.AlgorithmIdentifier{
		Algorithm:  asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, // id-ecPublicKey, RFC 5480, section 2.1.1
		Parameters: asn1.RawValue{FullBytes: curve},
	}, nil
}

// MarshalSecp256k1 encodes an uncompressed point (0x04, x, y, big-endian); the
// caller vouches that it lies on the curve.
func MarshalSecp256k1(point [65]byte) (Public, error) {
	alg, err := secp256k1Algorithm()
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(spki{alg, asn1.BitString{Bytes: point[:], BitLength: 8 * len(point)}})
}

// Secp256k1 returns the uncompressed point. It checks the encoding, not that
// the point lies on the curve.
func (p Public) Secp256k1() (point [65]byte, err error) {
	var s spki
	rest, err := asn1.Unmarshal(p, &s)
	if err != nil || len(rest) != 0 {
		return point, errors.New("public key: not a SubjectPublicKeyInfo")
	}
	want, err := MarshalSecp256k1(point)
	if err != nil {
		return point, err
	}
	if len(p) != len(want) || len(s.Point.Bytes) != len(point) || s.Point.Bytes[0] != 4 {
		return point, errors.New("public key: not an uncompressed secp256k1 point")
	}
	copy(point[:], s.Point.Bytes)
	if again, err := MarshalSecp256k1(point); err != nil || string(again) != string(p) {
		return point, errors.New("public key: not secp256k1 in canonical form")
	}
	return point, nil
}
