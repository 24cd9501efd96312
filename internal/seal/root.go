package seal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"keyward/internal/secret"
)

// maxPlaintext bounds what the root key seals: keys, not documents.
const maxPlaintext = 64 << 10

// Root is an unsealed root key: its current version, which seals, and the older
// ones under which rows may still lie. It is safe for concurrent use and is
// never printed. After Destroy everything returns ErrSealed.
type Root struct {
	_            [0]func() // incomparable
	installation [32]byte

	mu       sync.RWMutex // Destroy waits for those who use a version
	versions map[uint64]*rootKey
	current  uint64    // 0 when sealed
	pending  *Rotation // made, and neither applied nor discarded
}

// rootKey is one version of the root key.
type rootKey struct {
	key secret.Bytes
	x   *XKey
}

func newRootKey(key secret.Bytes) (*rootKey, error) {
	x, err := NewX(key.View())
	if err != nil {
		key.Destroy()
		return nil, err
	}
	return &rootKey{key, x}, nil
}

func (k *rootKey) destroy() {
	k.x.Wipe()
	k.key.Destroy()
}

// Init makes the root key of a new installation, version 1, and its first slot.
// The caller destroys the Root, and the credential.
func Init(ctx context.Context, rand io.Reader, installation [32]byte, n NewSlot) (*Root, Slot, error) {
	key, err := secret.Random(rand, KeySize)
	if err != nil {
		return nil, Slot{}, fmt.Errorf("root key: %w", err)
	}
	first, err := newRootKey(key)
	if err != nil {
		return nil, Slot{}, err
	}
	root := newRoot(installation, 1, first)
	slot, err := root.AddSlot(ctx, rand, nil, n)
	if err != nil {
		root.Destroy()
		return nil, Slot{}, err
	}
	return root, slot, nil
}

func newRoot(installation [32]byte, version uint64, k *rootKey) *Root {
	return &Root{
		installation: installation,
		versions:     map[uint64]*rootKey{version: k},
		current:      version,
	}
}

// Installation returns the id of the installation whose root key this is.
func (r *Root) Installation() [32]byte { return r.installation }

// Version returns the current version of the root key, from 1; 0 when sealed.
func (r *Root) Version() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current
}

// Versions returns all versions held, ascending. Those below the current one
// can be dropped (Retire) when no row lies under them any more.
func (r *Root) Versions() []uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.versions))
}

// Seal seals plaintext (at most 64 KiB) under the current version, which it
// returns for the row to name. Installation and RootVersion of c are set here.
func (r *Root) Seal(rand io.Reader, c Context, plaintext []byte) (sealed []byte, version uint64, err error) {
	if !c.Label.open() {
		return nil, 0, fmt.Errorf("seal %s %q: label %q: %w", c.Table, c.ID, c.Label, ErrLabel)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.seal(rand, c, plaintext)
}

// Open opens what Seal sealed under that version, into locked memory that the
// caller destroys. The error is ErrOpen, ErrVersion or ErrSealed.
func (r *Root) Open(c Context, version uint64, sealed []byte) (secret.Bytes, error) {
	if !c.Label.open() {
		return secret.Bytes{}, fmt.Errorf("open %s %q: label %q: %w", c.Table, c.ID, c.Label, ErrLabel)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.open(c, version, sealed)
}

// seal and open are called with the lock held.
func (r *Root) seal(rand io.Reader, c Context, plaintext []byte) ([]byte, uint64, error) {
	if r.current == 0 {
		return nil, 0, ErrSealed
	}
	if len(plaintext) > maxPlaintext {
		return nil, 0, fmt.Errorf("seal %s %q: %d bytes, at most %d", c.Table, c.ID, len(plaintext), maxPlaintext)
	}
	c.Installation, c.RootVersion = r.installation, r.current
	sealed, err := r.versions[r.current].x.seal(rand, plaintext, c.AssociatedData())
	if err != nil {
		return nil, 0, fmt.Errorf("seal %s %q: %w", c.Table, c.ID, err)
	}
	return sealed, r.current, nil
}

func (r *Root) open(c Context, version uint64, sealed []byte) (secret.Bytes, error) {
	if r.current == 0 {
		return secret.Bytes{}, ErrSealed
	}
	k := r.versions[version]
	if k == nil {
		return secret.Bytes{}, fmt.Errorf("open %s %q, sealed by version %d: %w", c.Table, c.ID, version, ErrVersion)
	}
	if len(sealed) > maxPlaintext+Overhead {
		return secret.Bytes{}, fmt.Errorf("open %s %q: %w", c.Table, c.ID, ErrOpen)
	}
	c.Installation, c.RootVersion = r.installation, version
	plaintext, err := k.x.open(sealed, c.AssociatedData())
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open %s %q: %w", c.Table, c.ID, err)
	}
	return plaintext, nil
}

// Retire drops an older version of the root key: from now on no row under it
// opens. Call it when every row has been sealed anew and the deletion of its
// entry in the ring (OldRootName) is on disk.
func (r *Root) Retire(version uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current == 0:
		return ErrSealed
	case r.pending != nil:
		return ErrRotating // its ring still has this version
	case version == r.current:
		return fmt.Errorf("version %d is the current one", version)
	case r.versions[version] == nil:
		return fmt.Errorf("version %d: %w", version, ErrVersion)
	}
	r.versions[version].destroy()
	delete(r.versions, version)
	return nil
}

// Destroy wipes every version. It waits for calls under way. Destroying twice
// does no harm.
func (r *Root) Destroy() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.versions {
		k.destroy()
	}
	if r.pending != nil {
		r.pending.key.destroy()
	}
	r.versions, r.current, r.pending = nil, 0, nil
}

const redacted = "[root key]"

// Format prints nothing of the key.
func (r *Root) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue logs nothing of the key.
func (r *Root) LogValue() slog.Value { return slog.StringValue(redacted) }
