// Package keystore is the socket for whatever holds private halves. A keystore
// acts on a journal.Permit and on nothing else: it takes the payload out of the
// permit, so that it cannot be handed another.
package keystore

import (
	"context"
	"errors"

	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/secret"
)

// Sentinel errors of every keystore.
var (
	ErrNoKey   = errors.New("no such key material")
	ErrSealed  = errors.New("keyward is sealed")
	ErrCorrupt = errors.New("ciphertext refused: wrong key, wrong context or altered")
	ErrCheck   = errors.New("a signature failed its check and was withheld")
)

// Keystore is the one verb that must hold.
type Keystore interface {
	// Use spends the permit and does what it permits, once. Every signature has
	// been checked (verified, or computed twice where the algorithm is
	// deterministic) before Use returns it.
	Use(ctx context.Context, p journal.Permit) (Result, error)
}

// Result is what a keystore made under one Permit. Only this package's
// constructors make one; the zero value is refused.
type Result struct{ r *result }

type result struct {
	operation   string
	signature   key.Signature
	recoverable []key.Recoverable
	output      []byte
	plaintext   secret.Bytes
}

// NewResult is for keystores: the outcome of the operation that p permitted.
// Only a Permit that was spent has one.
func NewResult(p journal.Permit, m Made) (Result, error) {
	if !p.Valid() || !p.Spent() {
		return Result{}, journal.ErrNoPermit
	}
	return Result{&result{p.Operation(), m.Signature, m.Recoverable, m.Output, m.Secret}}, nil
}

// Made is what a keystore hands to NewResult; which fields are set follows from
// the verb. Secret passes into the Result's ownership.
type Made struct {
	Signature   key.Signature     // Sign
	Recoverable []key.Recoverable // the signatures of a decoded payload, one for each digest
	Output      []byte            // Encrypt and DataKey: the envelope; MAC and VerifyMAC: the MAC
	Secret      secret.Bytes      // Decrypt: the plaintext; DataKey: the key
}

// Valid is false for the zero value.
func (r Result) Valid() bool { return r.r != nil }

// Operation is the id of the operation that made it.
func (r Result) Operation() string { return r.r.operation }

// Signature is the result of Sign.
func (r Result) Signature() key.Signature { return r.r.signature }

// Recoverable is the result of signing a decoded payload: one signature for
// each of its digests.
func (r Result) Recoverable() []key.Recoverable { return r.r.recoverable }

// Output is the public result of Encrypt, DataKey (the envelope) and MAC.
func (r Result) Output() []byte { return r.r.output }

// Secret is the plaintext or data key, which the caller must Destroy.
func (r Result) Secret() secret.Bytes { return r.r.plaintext }
