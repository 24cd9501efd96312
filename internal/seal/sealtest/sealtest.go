// Package sealtest has the suite that every seal.Method runs (Run), and a
// method that costs nothing, so that other rooms' tests have a Root at once.
// Nothing of it belongs in a product.
package sealtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"sync/atomic"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/secret"
)

// Kind is the kind of Method.
const Kind = "sealtest"

// Method derives its KEK by one SHA-256 over a salt and the credential. It counts
// the derivations.
type Method struct{ derived atomic.Int64 }

// Derived returns how often a KEK was derived.
func (m *Method) Derived() int { return int(m.derived.Load()) }

// Kind returns "sealtest".
func (m *Method) Kind() string { return Kind }

// Create draws a salt of 16 bytes, which is the parameters.
func (m *Method) Create(ctx context.Context, rand io.Reader, cred seal.Credential) ([]byte, secret.Bytes, error) {
	salt := make([]byte, 16)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, secret.Bytes{}, err
	}
	kek, err := m.KEK(ctx, salt, cred)
	return salt, kek, err
}

// KEK derives.
func (m *Method) KEK(ctx context.Context, params []byte, cred seal.Credential) (secret.Bytes, error) {
	switch {
	case ctx.Err() != nil:
		return secret.Bytes{}, ctx.Err()
	case len(params) != 16:
		return secret.Bytes{}, seal.ErrParams
	case cred.Kind != Kind || cred.Secret.IsZero():
		return secret.Bytes{}, seal.ErrWrongCredential
	}
	m.derived.Add(1)
	block := secret.New(sha256.BlockSize) // a whole block: the hash keeps no copy
	defer block.Destroy()
	copy(block.View(), params)
	copy(block.View()[16:], cred.Secret.View())
	sum := sha256.Sum256(block.View())
	return secret.Take(sum[:]), nil
}

// Credential returns a credential of Method's kind. The test destroys it.
func Credential(t testing.TB, word string) seal.Credential {
	c := seal.Credential{Kind: Kind, Secret: secret.Take([]byte(word))}
	t.Cleanup(c.Destroy)
	return c
}

// Root returns an unsealed root key, destroyed when the test ends, and the slot
// that opens it with Credential(t, "correct horse").
func Root(t testing.TB, installation [32]byte) (*seal.Root, seal.Slot) {
	t.Helper()
	root, slot, err := seal.Init(t.Context(), rand.Reader, installation, seal.NewSlot{
		Method:     new(Method),
		Credential: Credential(t, "correct horse"),
		Name:       "first",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Destroy)
	return root, slot
}
