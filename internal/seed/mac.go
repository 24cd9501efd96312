package seed

import "crypto/sha512"

// mac512 is HMAC-SHA512 (FIPS 198-1) that puts nothing on the heap: the padded
// key, with room behind it for what is hashed.
type mac512 struct {
	inner, outer [sha512.BlockSize + sha512.Size]byte
}

// key begins with a key of any length.
func (m *mac512) key(key []byte) {
	var sum [sha512.Size]byte
	if len(key) > sha512.BlockSize {
		sum = sha512.Sum512(key)
		key = sum[:]
	}
	for i := range sha512.BlockSize {
		m.inner[i], m.outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		m.inner[i] ^= b
		m.outer[i] ^= b
	}
}

// sum is the MAC of a message of at most 64 bytes.
func (m *mac512) sum(message []byte) [sha512.Size]byte {
	inner := sha512.Sum512(m.inner[:sha512.BlockSize+copy(m.inner[sha512.BlockSize:], message)])
	return m.finish(&inner)
}

func (m *mac512) finish(inner *[sha512.Size]byte) [sha512.Size]byte {
	copy(m.outer[sha512.BlockSize:], inner[:])
	return sha512.Sum512(m.outer[:])
}
