package software

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"

	"keyward/internal/key"
	"keyward/internal/keystore"
)

// Purpose says why a key proves itself without a Permit.
type Purpose string

// The purposes: the pairwise test at birth, a drill of a backup, and a proof of
// possession.
const (
	AtBirth    Purpose = "birth"
	Drill      Purpose = "drill"
	Possession Purpose = "possession"
)

// proofLabel stands first in every challenge, so that none can be taken for a
// payload: a challenge is CBOR, and what is signed of it is its SHA-2 digest or,
// for Ed25519, itself.
const proofLabel = "keyward/proof/v1"

// challenge is what is signed to prove a private half. Nothing in it comes from
// a caller.
type challenge struct {
	_       struct{} `cbor:",toarray"`
	Label   string
	Purpose Purpose
	Key     key.ID
	Version key.Version
	Nonce   [32]byte
}

// Proof tells that the private half of a key works, and belongs to the public
// one where there is one.
type Proof struct {
	Tests     []string      // "sign and verify", "encrypt and decrypt", "compute twice", "derive in both ways"
	Algorithm key.Algorithm // of the proof
	Challenge []byte        // canonical CBOR; nil for a key that does not sign
	Signature key.Signature // over Challenge
}

// Prove lets the private half prove itself by a challenge that is made here. It
// is the one use of a key that needs no Permit. Public may be nil for a
// symmetric key. keystore.ErrCheck when the key fails.
func (k *Keystore) Prove(ctx context.Context, ref key.Ref, public key.Public, why Purpose) (Proof, error) {
	if err := k.enter(); err != nil {
		return Proof{}, err
	}
	defer k.leave()
	e, err := k.open(ctx, ref)
	if err != nil {
		return Proof{}, err
	}
	defer e.release()
	if public.Hash() != e.secret.PublicHash {
		return Proof{}, fmt.Errorf("prove %s: the public key is another key's", ref)
	}
	return prove(ref, e.secret.attributes, e.secret.half, public, why)
}

func prove(ref key.Ref, a attributes, h half, public key.Public, why Purpose) (Proof, error) {
	c := challenge{Label: proofLabel, Purpose: why, Key: ref.ID, Version: ref.Version}
	if _, err := rand.Read(c.Nonce[:]); err != nil {
		return Proof{}, err
	}
	message, err := strict.Marshal(c)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Algorithm: a.Spec.Algorithms(a.Usage)[0]}
	switch h := h.(type) {
	case signer:
		p.Tests, p.Challenge = []string{"sign and verify"}, message
		input := message
		if hash := p.Algorithm.Hash(); hash != 0 {
			digest := hash.New()
			digest.Write(message)
			input = digest.Sum(nil)
		}
		if p.Signature, err = h.sign(p.Algorithm, input); err != nil {
			return Proof{}, err
		}
		if err := keystore.Verify(public, p.Algorithm, input, p.Signature); err != nil {
			return Proof{}, keystore.ErrCheck
		}
		if t, ok := h.(*tree); ok {
			if err := t.grows(); err != nil {
				return Proof{}, err
			}
			p.Tests = append(p.Tests, "derive in both ways")
		}
	case cipher:
		p.Tests = []string{"encrypt and decrypt"}
		body, err := h.encrypt(nil, rand.Reader, c.Nonce[:], message)
		if err != nil {
			return Proof{}, err
		}
		plaintext, err := h.decrypt(body, message)
		defer plaintext.Destroy()
		if err != nil || subtle.ConstantTimeCompare(plaintext.View(), c.Nonce[:]) != 1 {
			return Proof{}, keystore.ErrCheck
		}
	case authenticator:
		p.Tests = []string{"compute twice"}
		if subtle.ConstantTimeCompare(h.mac(message), h.mac(message)) != 1 {
			return Proof{}, keystore.ErrCheck
		}
	}
	return p, nil
}
