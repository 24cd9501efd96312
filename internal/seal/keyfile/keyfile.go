// Package keyfile opens a seal slot with 32 random bytes in a file. It is the
// first-run default, because nobody has to be there when the server starts, and
// plainly the weakest method: whoever can read the file and the database has
// every key. It protects a copied database or backup, nothing more. The file
// never lies inside the data directory, where one copy would take both.
package keyfile

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"keyward/internal/seal"
	"keyward/internal/secret"
)

// Kind is the method's name in slots and credentials.
const Kind = "keyfile"

var (
	// ErrMalformed: the file is not a whole key file.
	ErrMalformed = errors.New("not a key file, or damaged")
	// ErrExposed: others than the file's owner may read or write it.
	ErrExposed = errors.New("key file open to others")
	// ErrInside: the file is inside the data directory.
	ErrInside = errors.New("key file inside the data directory")
)

// Method is the seal.Method. Its slots have no parameters, and the 32 bytes are
// themselves the key-encryption key: they are random and used for nothing else,
// and the associated data of the slot tells slots and installations apart.
type Method struct{}

// Kind returns "keyfile".
func (Method) Kind() string { return Kind }

// Create makes no parameters; the key is the credential's.
func (m Method) Create(ctx context.Context, _ io.Reader, cred seal.Credential) ([]byte, secret.Bytes, error) {
	if cred.Kind == Kind && cred.Secret.Len() != seal.KeySize {
		return nil, secret.Bytes{}, fmt.Errorf("%w: the key in a key file has %d bytes, not %d", seal.ErrUnfit, seal.KeySize, cred.Secret.Len())
	}
	kek, err := m.KEK(ctx, nil, cred)
	return nil, kek, err
}

// KEK returns a copy of the credential's key.
func (Method) KEK(ctx context.Context, params []byte, cred seal.Credential) (kek secret.Bytes, err error) {
	switch {
	case ctx.Err() != nil:
		return secret.Bytes{}, ctx.Err()
	case len(params) != 0:
		return secret.Bytes{}, fmt.Errorf("key file: %w", seal.ErrParams)
	case cred.Kind != Kind || cred.Secret.Len() != seal.KeySize:
		return secret.Bytes{}, seal.ErrWrongCredential
	}
	secret.Do(func() { kek = cred.Secret.Clone() })
	return kek, nil
}

// A key file is one line of 69 bytes: the header, a space, 48 characters of
// base64 (RFC 4648, section 4) for key ‖ checksum, and a line feed. The checksum
// is the first 4 bytes of SHA-256 over the label, filled up with zero bytes to 32,
// and the key: it finds damage, nothing else.
const (
	header   = "keyward-key-file-v1"
	sumSize  = 4
	bodySize = (seal.KeySize + sumSize) / 3 * 4
	fileSize = len(header) + 1 + bodySize + 1
)

var encoding = base64.StdEncoding.Strict()

// Parse reads the bytes of a key file, which it leaves to the caller to wipe.
func Parse(file []byte) (c seal.Credential, err error) {
	secret.Do(func() { c, err = parse(file) })
	return c, err
}

func parse(file []byte) (seal.Credential, error) {
	if len(file) != fileSize || string(file[:len(header)+1]) != header+" " || file[fileSize-1] != '\n' {
		return seal.Credential{}, ErrMalformed
	}
	body := secret.New(encoding.DecodedLen(bodySize))
	defer body.Destroy()
	// The decoder skips line breaks; with one inside, the length falls short.
	n, err := encoding.Decode(body.View(), file[len(header)+1:fileSize-1])
	if err != nil || n != seal.KeySize+sumSize {
		return seal.Credential{}, ErrMalformed
	}
	key := body.View()[:seal.KeySize]
	sum := checksum(key)
	if subtle.ConstantTimeCompare(sum[:], body.View()[seal.KeySize:n]) != 1 {
		return seal.Credential{}, ErrMalformed
	}
	kept := secret.New(seal.KeySize)
	copy(kept.View(), key)
	return seal.Credential{Kind: Kind, Secret: kept}, nil
}

// format is Parse backwards.
func format(key secret.Bytes) (file secret.Bytes) {
	file = secret.New(fileSize)
	secret.Do(func() { fill(file.View(), key) })
	return file
}

func fill(file []byte, key secret.Bytes) {
	body := secret.New(seal.KeySize + sumSize)
	defer body.Destroy()
	copy(body.View(), key.View())
	sum := checksum(key.View())
	copy(body.View()[seal.KeySize:], sum[:])

	n := copy(file, header+" ")
	encoding.Encode(file[n:], body.View())
	file[fileSize-1] = '\n'
}

// checksum hashes one whole block of 64 bytes, which the hash reads in place: a
// shorter input it would keep in a buffer of its own.
func checksum(key []byte) (sum [sumSize]byte) {
	block := secret.New(sha256.BlockSize)
	defer block.Destroy()
	copy(block.View(), seal.KeyFile)
	copy(block.View()[sha256.BlockSize-seal.KeySize:], key)
	h := sha256.Sum256(block.View())
	copy(sum[:], h[:])
	return sum
}
