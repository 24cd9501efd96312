package store

// What the tests look at from within.

// RowMAC is the MAC of a row.
func RowMAC(key []byte, table string, written int64, values Row) (mac [32]byte, err error) {
	k, err := newRowKey(key)
	if err != nil {
		return mac, err
	}
	err = newMacer().row(&keyring{key: k}, table, written, values, &mac)
	return mac, err
}

// EncodeRow is what RowMAC authenticates.
func EncodeRow(table string, written int64, values Row) ([]byte, bool) {
	return appendRow(nil, table, written, values)
}

// RecodeSums decodes sums and encodes them again.
func RecodeSums(b []byte) ([]byte, error) {
	s, err := decodeSums(b)
	if err != nil {
		return nil, err
	}
	return s.encode(), nil
}

// AddAndSubtract moves a sum by the MACs and back again, and returns it after
// each half.
func AddAndSubtract(macs [][32]byte) (there, back [4]uint64) {
	var s sum
	for i := range macs {
		s.add(&macs[i])
	}
	there = s
	for i := range macs {
		s.subtract(&macs[len(macs)-1-i])
	}
	return there, s
}

// SignAllocations is how often signing a row allocates, once warm.
func SignAllocations(measure func(func()) float64, values Row) float64 {
	k, err := newRowKey(make([]byte, KeySize))
	if err != nil {
		panic(err)
	}
	m, ring := newMacer(), &keyring{key: k}
	var mac [32]byte
	return measure(func() {
		if err := m.row(ring, "spend", 1, values, &mac); err != nil {
			panic(err)
		}
	})
}

// WipedState returns what is left of a row key after it was locked.
func WipedState(key []byte) []byte {
	k, err := newRowKey(key)
	if err != nil {
		panic(err)
	}
	ring := &keyring{key: k}
	ring.set(nil)
	return append(append([]byte(nil), k.inner...), k.outer...)
}

// PlanErr is the error of a table's description.
func PlanErr(t Table) error {
	_, err := newPlan(t)
	return err
}
