package keystore

import (
	"crypto/sha256"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// TaggedHash is SHA-256 over the parts, behind a tag that says what they are for
// (BIP-340).
func TaggedHash(tag string, parts ...[]byte) (sum [32]byte) {
	label := sha256.Sum256([]byte(tag))
	h := sha256.New()
	h.Write(label[:])
	h.Write(label[:])
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// TapTweak is the scalar by which BIP-341 moves the internal key of this x to the
// output key that commits to a Merkle root, or with a nil root to none.
func TapTweak(x [32]byte, root []byte) (t secp256k1.ModNScalar, ok bool) {
	sum := TaggedHash("TapTweak", x[:], root)
	return t, t.SetBytes(&sum) == 0
}

// verifySchnorr is BIP-340 over a digest of 32 bytes, by the key itself or, for
// Taproot, by its output key.
func verifySchnorr(public *secp256k1.PublicKey, t chain.Task, sig key.Recoverable) error {
	x := [32]byte(public.SerializeCompressed()[1:])
	var p secp256k1.JacobianPoint
	public.AsJacobian(&p)
	if p.Y.IsOdd() { // lift_x
		p.Y.Negate(1).Normalize()
	}
	if t.Scheme == key.Taproot {
		tweak, ok := TapTweak(x, t.Root)
		if !ok {
			return ErrSignature
		}
		var add, output secp256k1.JacobianPoint
		secp256k1.ScalarBaseMultNonConst(&tweak, &add)
		secp256k1.AddNonConst(&p, &add, &output)
		if output.Z.IsZero() {
			return ErrSignature
		}
		output.ToAffine()
		if output.Y.IsOdd() {
			output.Y.Negate(1).Normalize()
		}
		p = output
		output.X.PutBytes(&x)
	}
	var s, e secp256k1.ModNScalar
	var r secp256k1.FieldVal
	if s.SetBytes(&sig.S) != 0 || r.SetBytes(&sig.R) != 0 || sig.V != 0 {
		return ErrSignature
	}
	challenge := TaggedHash("BIP0340/challenge", sig.R[:], x[:], t.Digest)
	e.SetBytes(&challenge)
	e.Negate()
	var sG, eP, point secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&s, &sG)
	secp256k1.ScalarMultNonConst(&e, &p, &eP)
	secp256k1.AddNonConst(&sG, &eP, &point)
	if point.X.IsZero() && point.Y.IsZero() || point.Z.IsZero() { // both are ways to write infinity
		return ErrSignature
	}
	point.ToAffine()
	if point.Y.IsOdd() || !point.X.Equals(&r) {
		return ErrSignature
	}
	return nil
}
