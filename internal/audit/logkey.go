package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"

	"keyward/internal/secret"
)

// LogKey is the Ed25519 key that signs checkpoints, and nothing else. It is a
// system key: no permit, no policy, and no caller ever reaches it.
type LogKey struct {
	seed     secret.Bytes
	public   ed25519.PublicKey
	verifier string
	name     string
	hash     uint32
}

// GenerateLogKey makes the key of a log from 32 bytes of rand.
func GenerateLogKey(origin string, rand io.Reader) (*LogKey, error) {
	seed, err := secret.Random(rand, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	return TakeLogKey(origin, seed)
}

// TakeLogKey makes a key of its seed (RFC 8032, section 5.1.5) and owns the seed
// from then on, also when it fails.
func TakeLogKey(origin string, seed secret.Bytes) (*LogKey, error) {
	k := &LogKey{seed: seed}
	if err := k.derive(origin); err != nil {
		k.Destroy()
		return nil, fmt.Errorf("log key: %w", err)
	}
	return k, nil
}

func (k *LogKey) derive(origin string) error {
	if n := k.seed.Len(); n != ed25519.SeedSize {
		return fmt.Errorf("seed of %d bytes, want %d", n, ed25519.SeedSize)
	}
	k.use(func(private ed25519.PrivateKey) {
		k.public = append(k.public, private[ed25519.SeedSize:]...)
	})
	var err error
	if k.verifier, err = note.NewEd25519VerifierKey(origin, k.public); err != nil {
		return err
	}
	v, err := note.NewVerifier(k.verifier)
	if err != nil {
		return fmt.Errorf("bad origin %q", clip(origin)) // a space or a plus in it
	}
	k.name, k.hash = v.Name(), v.KeyHash()
	return nil
}

// use lends the private key, which dies with the call.
func (k *LogKey) use(f func(ed25519.PrivateKey)) {
	secret.Do(func() {
		private := ed25519.NewKeyFromSeed(k.seed.View())
		f(private)
		secret.Wipe(private)
	})
}

// Verifier is the public half as C2SP signed-note writes it:
// origin+hash+base64. It is all that anybody needs to check the log.
func (k *LogKey) Verifier() string { return k.verifier }

// Public is the bare Ed25519 public key, 32 bytes.
func (k *LogKey) Public() []byte { return bytes.Clone(k.public) }

// View lends the seed, to be sealed.
func (k *LogKey) View() []byte { return k.seed.View() }

// Name is the origin. With KeyHash and Sign it makes a LogKey a note.Signer.
func (k *LogKey) Name() string { return k.name }

// KeyHash is the short name of the key in signature lines.
func (k *LogKey) KeyHash() uint32 { return k.hash }

// Sign signs the text of a note.
func (k *LogKey) Sign(text []byte) (signature []byte, err error) {
	if k.seed.IsZero() {
		return nil, ErrLocked
	}
	k.use(func(private ed25519.PrivateKey) { signature = ed25519.Sign(private, text) })
	if !ed25519.Verify(k.public, text, signature) {
		return nil, errors.New("log key: its signature does not verify")
	}
	return signature, nil
}

// Destroy wipes the seed.
func (k *LogKey) Destroy() { k.seed.Destroy() }
