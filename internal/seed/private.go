package seed

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"math"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/key"
	"keyward/internal/secret"
)

var (
	// ErrChild means that no key stands at a place of the tree. BIP-32 says to take
	// the next one; the chance is below 2⁻¹²⁷.
	ErrChild = errors.New("there is no key at this place of the tree")
	// ErrFault means that a computation gave two different results: the machine is
	// not sound.
	ErrFault = errors.New("a derivation failed its check")
)

// Private is a node of the tree with its private half. All that is secret of it
// is derived and kept twice, each from the same copy of its parent, so that who
// signs with one copy can check by the other. It owns its bytes: Destroy it.
// Beside that it never changes.
type Private struct {
	secrets secret.Bytes // k, k, c, c: 32 bytes each
	point   [PointSize]byte
	depth   byte
	parent  [4]byte
	number  uint32
}

const scalarSize = 32

// k and c are one of the two copies of the private key and of the chain code.
func (p *Private) k(i int) *[scalarSize]byte {
	return (*[scalarSize]byte)(p.secrets.View()[i*scalarSize:])
}

func (p *Private) c(i int) *[scalarSize]byte {
	return (*[scalarSize]byte)(p.secrets.View()[(2+i)*scalarSize:])
}

// Master is the root of the tree of a seed, 16 to 64 bytes.
func Master(seed secret.Bytes) (*Private, error) {
	if seed.Len() < 16 || seed.Len() > Size {
		return nil, fmt.Errorf("seed of %d bytes, want 16 to %d", seed.Len(), Size)
	}
	p := &Private{secrets: secret.New(4 * scalarSize)}
	return p.grow(func(i int) bool { return p.plant(i, seed.View()) })
}

// plant is "Master key generation".
func (p *Private) plant(i int, seed []byte) bool {
	var m mac512
	m.key([]byte("Bitcoin seed"))
	sum := m.sum(seed)
	var k secp256k1.ModNScalar
	overflow := k.SetBytes((*[scalarSize]byte)(sum[:])) != 0
	k.PutBytes(p.k(i))
	copy(p.c(i)[:], sum[scalarSize:])
	return !overflow && !k.IsZero()
}

// Child is CKDpriv.
func (p *Private) Child(number uint32) (*Private, error) {
	if p.depth == math.MaxUint8 {
		return nil, fmt.Errorf("%w: it is deeper than 255 steps", ErrChild)
	}
	child := &Private{secrets: secret.New(4 * scalarSize), depth: p.depth + 1, parent: fingerprint(&p.point), number: number}
	return child.grow(func(i int) bool { return p.derive(child, i) })
}

func (p *Private) derive(child *Private, i int) bool {
	var data [PointSize + 4]byte
	copy(data[:], p.point[:])
	if child.number >= key.Hardened {
		data[0] = 0
		copy(data[1:], p.k(i)[:])
	}
	left, right := step(p.c(i), &data, child.number)
	var k, parent secp256k1.ModNScalar
	overflow := k.SetBytes(&left) != 0
	parent.SetBytes(p.k(i))
	k.Add(&parent)
	k.PutBytes(child.k(i))
	*child.c(i) = right
	return !overflow && !k.IsZero()
}

// grow fills both copies and the point, or destroys what it has begun.
func (p *Private) grow(fill func(i int) bool) (*Private, error) {
	ok := true
	secret.Do(func() {
		for i := range 2 {
			ok = fill(i) && ok
		}
		p.point = multiply(p.k(0))
	})
	switch {
	case !ok:
		p.Destroy()
		return nil, ErrChild
	case subtle.ConstantTimeCompare(p.k(0)[:], p.k(1)[:])&subtle.ConstantTimeCompare(p.c(0)[:], p.c(1)[:]) != 1:
		p.Destroy()
		return nil, ErrFault
	}
	return p, nil
}

// multiply is the compressed point k·G.
func multiply(k *[scalarSize]byte) [PointSize]byte {
	var s secp256k1.ModNScalar
	var p secp256k1.JacobianPoint
	s.SetBytes(k)
	secp256k1.ScalarBaseMultNonConst(&s, &p)
	return compress(&p)
}

// Scalars lends the private key, big-endian, twice: 64 bytes, until Destroy.
func (p *Private) Scalars() []byte { return p.secrets.View()[:2*scalarSize] }

// Point is the public key (SEC 1, compressed).
func (p *Private) Point() [PointSize]byte { return p.point }

// Public is the public half (the function N of BIP-32). The point is computed
// again: money is sent to what this says. ErrFault when it differs.
func (p *Private) Public() (Public, error) {
	var again [PointSize]byte
	secret.Do(func() { again = multiply(p.k(1)) })
	if again != p.point {
		return Public{}, ErrFault
	}
	return Public{Key: p.point, Chain: *p.c(0), Depth: p.depth, Parent: p.parent, Number: p.number}, nil
}

// Destroy wipes it.
func (p *Private) Destroy() { p.secrets.Destroy() }
