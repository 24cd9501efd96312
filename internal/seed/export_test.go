package seed

// What the tests of this room look at behind its back.

// Stretch is the work of Seed; out takes 64 bytes.
func Stretch(out, password, passphrase, room []byte) {
	stretch(out, password, passphrase, "mnemonic", room)
}

// Derive is the work of Child and Master on one copy, and the point of a node.
func Derive(p, child *Private, seed []byte) {
	p.plant(0, seed)
	p.derive(child, 0)
	child.point = multiply(child.k(0))
}

// Remembered counts the keys below an account that it knows without deriving.
func Remembered(a Account) (n int) {
	a.branches.mu.Lock()
	defer a.branches.mu.Unlock()
	for _, b := range a.branches.nodes {
		b.mu.Lock()
		n += len(b.leaves)
		b.mu.Unlock()
	}
	return n
}
