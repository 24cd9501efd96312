// Package seed knows the words of BIP-39 and the tree of BIP-32 that grows from
// them. Words, entropy, passphrases, seeds and private nodes lie in locked memory
// alone, never in a string, and are computed with on the stack, inside
// secret.Do. The room keeps nothing, signs nothing and makes no randomness.
//
// BUG(seed): the multiplication of package secp256k1 does not take quite constant
// time: each zero byte of a private key saves an addition of about 3 %.
package seed

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"keyward/internal/secret"
)

const (
	// MaxPassphrase bounds a passphrase, in bytes after normalisation.
	MaxPassphrase = 1024
	// Size is the length of a seed, in bytes.
	Size = 64

	rounds = 2048 // of PBKDF2
)

// ErrWords is wrapped by everything that is wrong with words or a passphrase. No
// error of this room shows any of them.
var ErrWords = errors.New("not a seed")

// Mnemonic is a seed as people keep it. It owns its bytes: Destroy it.
type Mnemonic struct {
	Language   *Language
	Entropy    secret.Bytes // 16, 20, 24, 28 or 32 bytes
	Passphrase secret.Bytes // in NFKD; empty for none
}

// New draws a Mnemonic of 128, 160, 192, 224 or 256 bits from rand.
func New(l *Language, bits int, rand io.Reader) (Mnemonic, error) {
	if err := checkEntropy(bits / 8); err != nil || bits%8 != 0 {
		return Mnemonic{}, fmt.Errorf("%w: %d bits of entropy, want 128, 160, 192, 224 or 256", ErrWords, bits)
	}
	entropy, err := secret.Random(rand, bits/8)
	return Mnemonic{Language: l, Entropy: entropy}, err
}

// Read understands words, in any letter case and with any white space between
// them, and a passphrase (UTF-8), which may be empty. It lends both.
func Read(l *Language, words, passphrase secret.Bytes) (Mnemonic, error) {
	normal, err := normalize(passphrase, MaxPassphrase)
	if err != nil {
		return Mnemonic{}, fmt.Errorf("%w: passphrase: %w", ErrWords, err)
	}
	entropy, err := l.entropy(words)
	if err != nil {
		normal.Destroy()
		return Mnemonic{}, fmt.Errorf("%w: %w", ErrWords, err)
	}
	return Mnemonic{l, entropy, normal}, nil
}

// Check refuses a Mnemonic that New and Read would not have made.
func (m Mnemonic) Check() error {
	switch {
	case m.Language == nil:
		return fmt.Errorf("%w: no language", ErrWords)
	case !norm.NFKD.IsNormal(m.Passphrase.View()) || !utf8.Valid(m.Passphrase.View()) || m.Passphrase.Len() > MaxPassphrase:
		return fmt.Errorf("%w: the passphrase is not in normal form", ErrWords)
	}
	return checkEntropy(m.Entropy.Len())
}

// Destroy wipes it.
func (m Mnemonic) Destroy() {
	m.Entropy.Destroy()
	m.Passphrase.Destroy()
}

// Words writes the words, as its language separates them. They do not say the
// passphrase.
func (m Mnemonic) Words() secret.Bytes { return m.Language.words(m.Entropy, m.Language.separator) }

// Seed stretches words and passphrase to a seed of 64 bytes: PBKDF2 with
// HMAC-SHA512 (RFC 8018, section 5.2).
func (m Mnemonic) Seed() secret.Bytes {
	words := m.Language.words(m.Entropy, " ") // what NFKD makes of every separator
	defer words.Destroy()
	const salt = "mnemonic"
	first := secret.New(sha512.BlockSize + len(salt) + m.Passphrase.Len() + 4)
	defer first.Destroy()
	seed := secret.New(Size)
	secret.Do(func() { stretch(seed.View(), words.View(), m.Passphrase.View(), salt, first.View()) })
	return seed
}

// stretch is PBKDF2 for one block. Room takes the padded key, the salt and the
// number of the block.
func stretch(out, password, passphrase []byte, salt string, room []byte) {
	var m mac512
	m.key(password)
	tail := room[copy(room, m.inner[:sha512.BlockSize]):]
	tail = tail[copy(tail, salt):]
	tail = tail[copy(tail, passphrase):]
	tail[3] = 1
	inner := sha512.Sum512(room)
	u := m.finish(&inner)
	copy(out, u[:])
	for range rounds - 1 {
		u = m.sum(u[:])
		for i := range out {
			out[i] ^= u[i]
		}
	}
}

// normalize returns b in Unicode's form NFKD.
func normalize(b secret.Bytes, max int) (secret.Bytes, error) {
	if !utf8.Valid(b.View()) {
		return secret.Bytes{}, errors.New("not UTF-8")
	}
	if b.Len() > max {
		return secret.Bytes{}, fmt.Errorf("%d bytes, at most %d", b.Len(), max)
	}
	room := secret.New(max)
	defer room.Destroy()
	n, err := 0, error(nil)
	secret.Do(func() { n, _, err = norm.NFKD.Transform(room.View(), b.View(), true) })
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("more than %d bytes in normal form", max)
	}
	normal := secret.New(n)
	copy(normal.View(), room.View())
	return normal, nil
}

// sizes of entropy, in bytes.
var sizes = []int{16, 20, 24, 28, 32}

func checkEntropy(size int) error {
	if !slices.Contains(sizes, size) {
		return fmt.Errorf("%w: entropy of %d bytes", ErrWords, size)
	}
	return nil
}

// checksum is the byte of which as many bits follow the entropy as it has groups
// of 32.
func checksum(entropy []byte) byte {
	sum := sha256.Sum256(entropy)
	return sum[0]
}
