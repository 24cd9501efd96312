package software

import (
	"bytes"

	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
)

// checked returns what compute made if holds finds it right, else
// keystore.ErrCheck. A machine that computes wrongly but once could give a
// private key away with one signature: an RSA key by its remainder theorem, one
// for ECDSA or EdDSA by two signatures with the same nonce. Every signature of
// this package goes through here. Its check is the cheapest that there is: to
// compute it again where it is deterministic, for RSA to verify it.
func checked[S any](compute func() (S, error), holds func(S) bool) (S, error) {
	var none S
	made, err := compute()
	if err != nil {
		return none, err
	}
	if !holds(made) {
		return none, keystore.ErrCheck
	}
	return made, nil
}

// twice checks a deterministic signature of at most size bytes by computing it
// again. compute runs in secret.Do.
func twice(size int, compute func() ([]byte, error)) (key.Signature, error) {
	return checked(
		func() (key.Signature, error) { return guarded(size, compute) },
		func(first key.Signature) bool {
			second, err := guarded(size, compute)
			return err == nil && bytes.Equal(first, second)
		},
	)
}

// guarded runs compute in secret.Do and returns a copy of what it returned, made
// outside, so that it is not erased with everything else that compute allocates.
func guarded(size int, compute func() ([]byte, error)) (out []byte, err error) {
	out = make([]byte, 0, size)
	secret.Do(func() {
		var made []byte
		if made, err = compute(); len(made) <= size {
			out = append(out, made...)
		}
	})
	return out, err
}
