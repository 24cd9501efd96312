package seal

import (
	"fmt"
	"io"

	"keyward/internal/secret"
)

// wrappedSize is a sealed wrapping key: 72 bytes.
const wrappedSize = KeySize + Overhead

// wrapping and material are the two contexts of a user key. Only the first
// names the root-key version, so that a rotation rewrites the wrapping key and
// never touches the material.
func wrapping(c Context) Context {
	c.Label = WrappingKey
	return c
}

func (r *Root) material(c Context) []byte {
	c.Label, c.Installation, c.RootVersion = Material, r.installation, 0
	return c.AssociatedData()
}

// Wrap seals the material of a user key under a new wrapping key of its own,
// and that one under the root key. Label, Installation and RootVersion of c are
// set here. To destroy the key for ever, delete wrapped.
func (r *Root) Wrap(rand io.Reader, c Context, material []byte) (wrapped, sealed []byte, rootVersion uint64, err error) {
	if len(material) > maxPlaintext {
		return nil, nil, 0, fmt.Errorf("wrap %s %q: %d bytes, at most %d", c.Table, c.ID, len(material), maxPlaintext)
	}
	key, err := secret.Random(rand, KeySize)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("wrapping key: %w", err)
	}
	defer key.Destroy()

	r.mu.RLock()
	defer r.mu.RUnlock()
	wrapped, rootVersion, err = r.seal(rand, wrapping(c), key.View())
	if err != nil {
		return nil, nil, 0, err
	}
	sealed, err = XSeal(key.View(), rand, material, r.material(c))
	if err != nil {
		return nil, nil, 0, fmt.Errorf("wrap %s %q: %w", c.Table, c.ID, err)
	}
	return wrapped, sealed, rootVersion, nil
}

// Unwrap returns the material of a user key, in locked memory that the caller
// destroys. The error is ErrOpen, ErrVersion or ErrSealed.
func (r *Root) Unwrap(c Context, rootVersion uint64, wrapped, sealed []byte) (secret.Bytes, error) {
	if len(sealed) > maxPlaintext+Overhead {
		return secret.Bytes{}, fmt.Errorf("open %s %q: %w", c.Table, c.ID, ErrOpen)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	key, err := r.unwrap(c, rootVersion, wrapped)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer key.Destroy()
	material, err := XOpen(key.View(), sealed, r.material(c))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open %s %q: %w", c.Table, c.ID, err)
	}
	return material, nil
}

// Rewrap seals the wrapping key of a user key under the current version of the
// root key. The material is not needed, and stays as it is.
func (r *Root) Rewrap(rand io.Reader, c Context, oldVersion uint64, wrapped []byte) (rewrapped []byte, version uint64, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	key, err := r.unwrap(c, oldVersion, wrapped)
	if err != nil {
		return nil, 0, err
	}
	defer key.Destroy()
	return r.seal(rand, wrapping(c), key.View())
}

// unwrap opens a wrapping key; the lock is held.
func (r *Root) unwrap(c Context, version uint64, wrapped []byte) (secret.Bytes, error) {
	if r.current != 0 && len(wrapped) != wrappedSize {
		return secret.Bytes{}, fmt.Errorf("open %s %q: wrapping key of %d bytes: %w", c.Table, c.ID, len(wrapped), ErrOpen)
	}
	return r.open(wrapping(c), version, wrapped)
}
