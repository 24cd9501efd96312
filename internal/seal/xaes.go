package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"keyward/internal/secret"
)

// Sizes of XAES-256-GCM, in bytes.
const (
	KeySize   = 32
	NonceSize = 24
	TagSize   = 16
	Overhead  = NonceSize + TagSize // what Seal adds to a plaintext
)

// ErrWiped: the XKey was wiped.
var ErrWiped = errors.New("key was wiped")

// XKey is a key of XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM with
// random nonces of 192 bits, so that no number of messages reaches a limit. The
// key schedule and K1 are made once and lie in locked memory. An XKey is safe
// for concurrent use and is never printed.
//
// BUG(seal): without runtime/secret in the build, a preemption at the wrong
// moment may leave 16 bytes of a key or a plaintext, out of a register, on the
// stack of a thread. With it, that holds only for what Seal and Open are called
// with outside secret.Do, and for the one-time key of that one message.
type XKey struct {
	_ [0]func() // incomparable

	mu    sync.RWMutex // Wipe waits for those who use the key
	block cipher.Block // AES-256 under K; nil when wiped
	k1    []byte       // the CMAC subkey K1, 16 bytes
	home  secret.Bytes // the memory of block (where it could be moved) and of k1
}

// NewX prepares a key of 32 bytes. It copies the key; the caller wipes its own.
func NewX(key []byte) (*XKey, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("XAES-256-GCM key of %d bytes, want %d", len(key), KeySize)
	}
	x := new(XKey)
	var err error
	secret.Do(func() { err = x.expand(key) })
	if err != nil {
		return nil, err
	}
	return x, nil
}

func (x *XKey) expand(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	x.block, x.k1, x.home = park(block, aes.BlockSize)

	// Step 1: L = AES-256ₖ(0x00, ..., 0x00)
	l := x.k1
	x.block.Encrypt(l, l)
	// Step 2: K1 = L << 1, and ⊕ 0b10000111 if MSB₁(L) = 1, without a branch.
	var msb byte
	for i := len(l) - 1; i >= 0; i-- {
		l[i], msb = l[i]<<1|msb, l[i]>>7
	}
	l[len(l)-1] ^= msb * 0b10000111
	return nil
}

// Seal appends nonce ‖ ciphertext ‖ tag to dst and returns the longer slice.
// The nonce of 24 bytes is read from rand. dst must not overlap the plaintext.
func (x *XKey) Seal(dst []byte, rand io.Reader, plaintext, additional []byte) ([]byte, error) {
	n := len(dst)
	dst = slices.Grow(dst, len(plaintext)+Overhead)[:n+NonceSize]
	nonce := dst[n:]
	if _, err := io.ReadFull(rand, nonce); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	sub, err := x.derive(nonce)
	if err != nil {
		return nil, err
	}
	defer sub.wipe()
	return sub.aead.Seal(dst, nonce[12:], plaintext, additional), nil
}

// Open appends the plaintext to dst and returns the longer slice; ErrOpen when
// the bytes were not sealed by this key with this additional data. Give dst
// the capacity, and the plaintext stays out of other memory.
func (x *XKey) Open(dst, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrOpen
	}
	nonce, body := sealed[:NonceSize], sealed[NonceSize:]
	sub, err := x.derive(nonce)
	if err != nil {
		return nil, err
	}
	defer sub.wipe()
	out, err := sub.aead.Open(dst, nonce[12:], body, additional)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// seal and open are for plaintexts that are keys: nothing of those stays in
// registers or on the stack either. They cost twice as much.
func (x *XKey) seal(rand io.Reader, plaintext, additional []byte) (sealed []byte, err error) {
	dst := make([]byte, 0, len(plaintext)+Overhead)
	secret.Do(func() { sealed, err = x.Seal(dst, rand, plaintext, additional) })
	return sealed, err
}

func (x *XKey) open(sealed, additional []byte) (secret.Bytes, error) {
	if len(sealed) < Overhead {
		return secret.Bytes{}, ErrOpen
	}
	out := secret.New(len(sealed) - Overhead)
	var err error
	secret.Do(func() { _, err = x.Open(out.View()[:0], sealed, additional) })
	if err != nil {
		out.Destroy()
		return secret.Bytes{}, err
	}
	return out, nil
}

// Wipe makes the key unusable and overwrites its schedule. It waits for calls
// under way; later ones return ErrWiped. Wiping twice does no harm.
func (x *XKey) Wipe() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.block == nil {
		return
	}
	zero(x.block)
	x.home.Destroy()
	x.block, x.k1 = nil, nil
}

// Format prints nothing of the key.
func (x *XKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[XAES-256-GCM key]") }

// A subkey is made for one nonce and wiped after one use.
type subkey struct {
	kx    [KeySize]byte
	block cipher.Block
	aead  cipher.AEAD
}

// derive makes Kₓ of the nonce's first half and K.
func (x *XKey) derive(nonce []byte) (*subkey, error) {
	sub := new(subkey)
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.block == nil {
		return nil, ErrWiped
	}
	// Steps 3 and 4: M1 and M2 = 0x00 || i || 0x58 || 0x00 || N[:12]
	m1, m2 := sub.kx[:16], sub.kx[16:]
	m1[1], m2[1] = 0x01, 0x02
	m1[2], m2[2] = 0x58, 0x58
	copy(m1[4:], nonce[:12])
	copy(m2[4:], nonce[:12])
	// Step 5: Kₓ = AES-256ₖ(M1 ⊕ K1) || AES-256ₖ(M2 ⊕ K1)
	secret.Do(func() {
		for i, k := range x.k1 {
			m1[i] ^= k
			m2[i] ^= k
		}
		x.block.Encrypt(m1, m1)
		x.block.Encrypt(m2, m2)
	})

	if err := sub.expand(); err != nil {
		sub.wipe()
		return nil, err
	}
	return sub, nil
}

// expand prepares AES-256-GCM under Kₓ.
func (s *subkey) expand() (err error) {
	if s.block, err = aes.NewCipher(s.kx[:]); err != nil {
		return err
	}
	s.aead, err = cipher.NewGCM(s.block)
	return err
}

func (s *subkey) wipe() {
	secret.Wipe(s.kx[:])
	zero(s.block)
	zero(s.aead)
}

// XSeal seals one message under a key of 32 bytes: nonce ‖ ciphertext ‖ tag.
// For more than one message under the same key prepare an XKey.
func XSeal(key []byte, rand io.Reader, plaintext, additional []byte) ([]byte, error) {
	x, err := NewX(key)
	if err != nil {
		return nil, err
	}
	defer x.Wipe()
	return x.seal(rand, plaintext, additional)
}

// XOpen opens what XSeal sealed, into locked memory that the caller destroys.
func XOpen(key, sealed, additional []byte) (secret.Bytes, error) {
	x, err := NewX(key)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer x.Wipe()
	return x.open(sealed, additional)
}
