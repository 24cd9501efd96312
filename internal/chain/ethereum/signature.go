package ethereum

import (
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/key"
)

// checkSignature wants r and s in [1, n-1], s in the lower half (EIP-2), and a
// recovery id of 0 or 1.
func checkSignature(sig key.Recoverable) error {
	var r, s secp256k1.ModNScalar
	switch {
	case sig.V > 1:
		return errors.New("signature: recovery id is neither 0 nor 1")
	case r.SetBytes(&sig.R) != 0 || r.IsZero():
		return errors.New("signature: r is out of range")
	case s.SetBytes(&sig.S) != 0 || s.IsZero():
		return errors.New("signature: s is out of range")
	case s.IsOverHalfOrder():
		return errors.New("signature: s is in the upper half of the order (EIP-2)")
	}
	return nil
}

// Recover finds the public key under which sig is a signature of the 32-byte
// digest (SEC 1, section 4.1.6). Errors wrap chain.ErrPayload.
func Recover(digest []byte, sig key.Recoverable) (key.Public, error) {
	if len(digest) != 32 {
		return nil, refuse(fmt.Errorf("digest of %d bytes, want 32", len(digest)))
	}
	if err := checkSignature(sig); err != nil {
		return nil, refuse(err)
	}
	var compact [65]byte
	compact[0] = 27 + sig.V
	copy(compact[1:33], sig.R[:])
	copy(compact[33:], sig.S[:])
	pub, _, err := ecdsa.RecoverCompact(compact[:], digest)
	if err != nil {
		return nil, refuse(errors.New("signature: no public key can be recovered from it"))
	}
	return key.MarshalSecp256k1([65]byte(pub.SerializeUncompressed()))
}

// ParseSignature reads a message's signature: r, s, v in 65 bytes, v 27 or 28
// (some programs write 0 or 1), s in the lower half. Errors wrap chain.ErrPayload.
func ParseSignature(b []byte) (sig key.Recoverable, err error) {
	if len(b) != 65 {
		return sig, refuse(fmt.Errorf("signature of %d bytes, want 65: r, s, v", len(b)))
	}
	sig.R, sig.S, sig.V = [32]byte(b[:32]), [32]byte(b[32:64]), b[64]
	if sig.V >= 27 {
		sig.V -= 27
	}
	if err := checkSignature(sig); err != nil {
		return key.Recoverable{}, refuse(err)
	}
	return sig, nil
}

// formatSignature is ParseSignature's way back, with v 27 or 28.
func formatSignature(sig key.Recoverable) []byte {
	out := make([]byte, 0, 65)
	out = append(out, sig.R[:]...)
	out = append(out, sig.S[:]...)
	return append(out, 27+sig.V)
}
