package software

import (
	"crypto/hmac"
	"hash"
	"io"

	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/seal"
	"keyward/internal/secret"
)

// aesKey encrypts with XAES-256-GCM. Its expanded key lies in locked memory.
type aesKey struct{ x *seal.XKey }

func newAESKey(material secret.Bytes) (k *aesKey, err error) {
	secret.Do(func() {
		var x *seal.XKey
		x, err = seal.NewX(material.View())
		k = &aesKey{x}
	})
	return k, err
}

func (k *aesKey) wipe() { k.x.Wipe() }

func (*aesKey) algorithm() key.Algorithm { return key.XAES256GCM }

func (k *aesKey) encrypt(dst []byte, rand io.Reader, plaintext, associated []byte) ([]byte, error) {
	return k.x.Seal(dst, rand, plaintext, associated)
}

func (k *aesKey) decrypt(body, associated []byte) (secret.Bytes, error) {
	plaintext := secret.New(len(body) - seal.Overhead)
	if _, err := k.x.Open(plaintext.View()[:0], body, associated); err != nil {
		plaintext.Destroy()
		return secret.Bytes{}, keystore.ErrCorrupt
	}
	return plaintext, nil
}

// macKey computes HMAC (FIPS 198-1).
type macKey struct {
	hash func() hash.Hash
	key  secret.Bytes
}

func newMACKey(alg key.Algorithm, material secret.Bytes) (*macKey, error) {
	if size := alg.Hash().Size(); material.Len() != size {
		return nil, errLength(material, size)
	}
	return &macKey{alg.Hash().New, material.Clone()}, nil
}

func (k *macKey) wipe() { k.key.Destroy() }

func (k *macKey) mac(message []byte) []byte {
	sum := make([]byte, 0, 64)
	secret.Do(func() {
		h := hmac.New(k.hash, k.key.View())
		h.Write(message)
		sum = h.Sum(sum)
	})
	return sum
}
