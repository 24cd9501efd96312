package seal

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"keyward/internal/secret"
)

// SealSystem seals a key of keyward's own for its owner to store. The purpose
// in the name must be one of the listed ones.
func (r *Root) SealSystem(rand io.Reader, name string, public, private []byte) (SystemKey, error) {
	k := SystemKey{Name: name, Public: append([]byte{}, public...)}
	var err error
	k.Sealed, k.RootVersion, err = r.Seal(rand, systemContext(k), private)
	return k, err
}

// OpenSystem returns the private half of a system key, in locked memory that
// the caller destroys.
func (r *Root) OpenSystem(k SystemKey) (secret.Bytes, error) {
	return r.Open(systemContext(k), k.RootVersion, k.Sealed)
}

// ResealSystem seals a system key under the current version of the root key.
func (r *Root) ResealSystem(rand io.Reader, k SystemKey) (SystemKey, error) {
	private, err := r.OpenSystem(k)
	if err != nil {
		return SystemKey{}, err
	}
	defer private.Destroy()
	return r.SealSystem(rand, k.Name, k.Public, private.View())
}

// NewRowKey makes the key of the store's row MACs: 32 random bytes, so that a
// rotation of the root key touches no row's MAC. The caller stores the one and
// destroys the other.
func (r *Root) NewRowKey(rand io.Reader) (SystemKey, secret.Bytes, error) {
	key, err := secret.Random(rand, KeySize)
	if err != nil {
		return SystemKey{}, secret.Bytes{}, fmt.Errorf("row key: %w", err)
	}
	k, err := r.SealSystem(rand, PurposeRow, nil, key.View())
	if err != nil {
		key.Destroy()
		return SystemKey{}, secret.Bytes{}, err
	}
	return k, key, nil
}

// RowKey opens the key of the store's row MACs, 32 bytes that the caller
// destroys.
func (r *Root) RowKey(k SystemKey) (secret.Bytes, error) {
	if k.Name != PurposeRow {
		return secret.Bytes{}, fmt.Errorf("system key %q is not the row key: %w", k.Name, ErrLabel)
	}
	key, err := r.OpenSystem(k)
	if err != nil {
		return secret.Bytes{}, err
	}
	if key.Len() != KeySize {
		key.Destroy()
		return secret.Bytes{}, fmt.Errorf("row key: %w", ErrDamaged)
	}
	return key, nil
}

// OldRootName is the system key's name under which the ring holds an older
// version of the root key.
func OldRootName(version uint64) string {
	return purposeRoot + "/" + strconv.FormatUint(version, 10)
}

// oldRootVersion reads the version out of such a name; 0 when it is none.
func oldRootVersion(name string) uint64 {
	_, number, _ := strings.Cut(name, "/")
	version, err := strconv.ParseUint(number, 10, 64)
	if err != nil || OldRootName(version) != name {
		return 0
	}
	return version
}
