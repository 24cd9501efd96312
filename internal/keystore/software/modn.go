package software

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// scalar is an integer modulo the order of a curve, four limbs of 64 bits, the
// least significant first.
type scalar [4]uint64

// modulus is the order n of a curve, 2²⁵⁵ < n < 2²⁵⁶ and odd, with what
// Montgomery multiplication with R = 2²⁵⁶ needs. Its methods take time that
// depends on n alone.
type modulus struct {
	n      scalar
	half   scalar // (n-1)/2
	rr     scalar // R² mod n
	prime  uint64 // -n⁻¹ mod 2⁶⁴
	minus2 [32]byte
}

func newModulus(n *big.Int) *modulus {
	m := &modulus{n: fromBig(n), half: fromBig(new(big.Int).Rsh(n, 1))}
	r := new(big.Int).Lsh(big.NewInt(1), 256)
	m.rr = fromBig(new(big.Int).Mod(new(big.Int).Mul(r, r), n))
	word := new(big.Int).Lsh(big.NewInt(1), 64)
	m.prime = -new(big.Int).ModInverse(n, word).Uint64()
	new(big.Int).Sub(n, big.NewInt(2)).FillBytes(m.minus2[:])
	return m
}

func fromBig(i *big.Int) scalar {
	var b [32]byte
	i.FillBytes(b[:])
	return fromBytes(&b)
}

func fromBytes(b *[32]byte) (s scalar) {
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[24-8*i:])
	}
	return s
}

func (s *scalar) bytes() (b [32]byte) {
	for i := range s {
		binary.BigEndian.PutUint64(b[24-8*i:], s[i])
	}
	return b
}

func (s *scalar) isZero() bool { return s[0]|s[1]|s[2]|s[3] == 0 }

// below tells whether s < o.
func (s *scalar) below(o *scalar) bool {
	_, borrow := sub(s, o)
	return borrow == 1
}

func sub(x, y *scalar) (z scalar, borrow uint64) {
	for i := range z {
		z[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	return z, borrow
}

// reduce returns (carry, x) mod n, for what is below 2n.
func (m *modulus) reduce(x *scalar, carry uint64) (z scalar) {
	less, borrow := sub(x, &m.n)
	_, borrow = bits.Sub64(carry, 0, borrow)
	keep := -borrow
	for i := range z {
		z[i] = x[i]&keep | less[i]&^keep
	}
	return z
}

// add returns x + y mod n, for x and y below n.
func (m *modulus) add(x, y *scalar) scalar {
	var z scalar
	var carry uint64
	for i := range z {
		z[i], carry = bits.Add64(x[i], y[i], carry)
	}
	return m.reduce(&z, carry)
}

// negate returns n - x, for 0 < x < n.
func (m *modulus) negate(x *scalar) scalar {
	z, _ := sub(&m.n, x)
	return z
}

// mul sets z = x·y·R⁻¹ mod n, for x and y below n (Montgomery multiplication,
// coarsely integrated operand scanning). It is written out, because it is most
// of what a signature costs beside the curve.
func (m *modulus) mul(z, x, y *scalar) {
	n0, n1, n2, n3, prime := m.n[0], m.n[1], m.n[2], m.n[3], m.prime
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	var t0, t1, t2, t3, t4 uint64 // below 2n
	for i := range 4 {
		// t += x·y[i]
		var c, top uint64
		h0, l0 := bits.Mul64(x0, y[i])
		h1, l1 := bits.Mul64(x1, y[i])
		h2, l2 := bits.Mul64(x2, y[i])
		h3, l3 := bits.Mul64(x3, y[i])
		t0, c = bits.Add64(t0, l0, 0)
		t1, c = bits.Add64(t1, l1, c)
		t2, c = bits.Add64(t2, l2, c)
		t3, c = bits.Add64(t3, l3, c)
		t4, top = bits.Add64(t4, 0, c)
		t1, c = bits.Add64(t1, h0, 0)
		t2, c = bits.Add64(t2, h1, c)
		t3, c = bits.Add64(t3, h2, c)
		t4, c = bits.Add64(t4, h3, c)
		top += c

		// t = (t + q·n) / 2⁶⁴
		q := t0 * prime
		h0, l0 = bits.Mul64(q, n0)
		h1, l1 = bits.Mul64(q, n1)
		h2, l2 = bits.Mul64(q, n2)
		h3, l3 = bits.Mul64(q, n3)
		_, c = bits.Add64(t0, l0, 0)
		t1, c = bits.Add64(t1, l1, c)
		t2, c = bits.Add64(t2, l2, c)
		t3, c = bits.Add64(t3, l3, c)
		t4, c = bits.Add64(t4, 0, c)
		top += c
		t0, c = bits.Add64(t1, h0, 0)
		t1, c = bits.Add64(t2, h1, c)
		t2, c = bits.Add64(t3, h2, c)
		t3, c = bits.Add64(t4, h3, c)
		t4 = top + c
	}
	// Subtract n unless t is below it already.
	l0, b := bits.Sub64(t0, n0, 0)
	l1, b := bits.Sub64(t1, n1, b)
	l2, b := bits.Sub64(t2, n2, b)
	l3, b := bits.Sub64(t3, n3, b)
	_, b = bits.Sub64(t4, 0, b)
	keep := -b
	z[0] = l0 ^ (l0^t0)&keep
	z[1] = l1 ^ (l1^t1)&keep
	z[2] = l2 ^ (l2^t2)&keep
	z[3] = l3 ^ (l3^t3)&keep
}

// invert sets z = x⁻¹ mod n, both in Montgomery's form (x·R). By Fermat's little
// theorem x⁻¹ = xⁿ⁻²; the exponent is public.
func (m *modulus) invert(z, x *scalar) {
	var power [16]scalar // x⁰ … x¹⁵
	m.mul(&power[0], &m.rr, &scalar{1})
	for i := 1; i < len(power); i++ {
		m.mul(&power[i], &power[i-1], x)
	}
	*z = power[0]
	for _, b := range m.minus2 {
		for _, digit := range [2]byte{b >> 4, b & 15} {
			for range 4 {
				m.mul(z, z, z)
			}
			m.mul(z, z, &power[digit])
		}
	}
}
