package store

import (
	"crypto/sha256"
	"crypto/subtle"
	"database/sql/driver"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"sync"
)

// KeySize is the length of a row key in bytes.
const KeySize = 32

// What a MAC is about, so that no row can stand for a head row.
const (
	rowLabel  = "keyward/row/v1\n"
	headLabel = "keyward/head/v1\n"
)

// Tags of the canonical encoding, docs/formats/rows.md.
const (
	tagInteger = 1
	tagText    = 2
	tagBytes   = 3
)

// keyring holds the row key for Reader and Writer.
type keyring struct {
	mu  sync.RWMutex
	key *rowKey // nil while locked
}

// rowKey is HMAC-SHA-256 (RFC 2104) with both blocks of the key hashed already:
// the states from which every MAC goes on. They are as good as the key. It is
// not crypto/hmac because that leaves them on the heap with no way to wipe.
type rowKey struct {
	inner, outer []byte
}

func newRowKey(key []byte) (*rowKey, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a row key has %d bytes, not %d", KeySize, len(key))
	}
	state := func(pad byte) []byte {
		var block [sha256.BlockSize]byte
		copy(block[:], key)
		for i := range block {
			block[i] ^= pad
		}
		h := sha256.New()
		h.Write(block[:])
		clear(block[:])
		b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			panic(err) // SHA-256 of the standard library has a state to give
		}
		h.Reset()
		return b
	}
	return &rowKey{inner: state(0x36), outer: state(0x5c)}, nil
}

func (k *rowKey) wipe() {
	clear(k.inner)
	clear(k.outer)
}

// set replaces the key, nil to lock, and wipes the one before. It waits for
// those that compute with it.
func (r *keyring) set(k *rowKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key != nil {
		r.key.wipe()
	}
	r.key = k
}

func (r *keyring) locked() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.key == nil
}

// macer computes MACs for one goroutine at a time without allocating.
type macer struct {
	hash  hash.Hash
	state encoding.BinaryUnmarshaler // the same object as hash
	buf   []byte
	inner [sha256.Size]byte
}

func newMacer() *macer {
	h := sha256.New()
	return &macer{hash: h, state: h.(encoding.BinaryUnmarshaler), buf: make([]byte, 0, 1024)}
}

// row computes the MAC of a row. ErrLocked.
func (m *macer) row(r *keyring, table string, written int64, values Row, mac *[32]byte) error {
	b, ok := appendRow(m.buf[:0], table, written, values)
	m.buf = b
	if !ok {
		return fmt.Errorf("table %q: a value is no integer, text or bytes, or too long", table)
	}
	return m.sum(r, b, mac)
}

// appendRow encodes a row, or finds a value that keyward never writes.
func appendRow[V any](b []byte, table string, written int64, values []V) ([]byte, bool) {
	b = appendText(append(b, rowLabel...), table)
	b = appendInteger(b, written)
	b = binary.BigEndian.AppendUint32(b, uint32(len(values)))
	for _, v := range values {
		switch x := any(v).(type) {
		case int64:
			b = appendInteger(b, x)
		case string:
			if len(x) > math.MaxInt32 {
				return b, false
			}
			b = appendText(b, x)
		case []byte:
			if len(x) > math.MaxInt32 {
				return b, false
			}
			b = appendBytes(b, x)
		default:
			return b, false
		}
	}
	return b, true
}

func (m *macer) sum(r *keyring, message []byte, mac *[32]byte) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.key == nil {
		return ErrLocked
	}
	if err := m.state.UnmarshalBinary(r.key.inner); err != nil {
		return err
	}
	m.hash.Write(message)
	inner := m.hash.Sum(m.inner[:0])
	if err := m.state.UnmarshalBinary(r.key.outer); err != nil {
		return err
	}
	m.hash.Write(inner)
	m.hash.Sum(mac[:0])
	m.hash.Reset() // the state came from the key
	return nil
}

func appendInteger(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, tagInteger), uint64(v))
}

func appendText(b []byte, v string) []byte {
	b = binary.BigEndian.AppendUint32(append(b, tagText), uint32(len(v)))
	return append(b, v...)
}

func appendBytes(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, tagBytes), uint32(len(v)))
	return append(b, v...)
}

// check verifies the values of a query for all columns, written and mac.
func (m *macer) check(r *keyring, t *Table, values []driver.Value) (Mark, error) {
	n := len(t.Columns)
	written, isInteger := values[n].(int64)
	stored, isBytes := values[n+1].([]byte)
	b, encoded := appendRow(m.buf[:0], t.Name, written, values[:n])
	m.buf = b
	var mac [32]byte
	if err := m.sum(r, b, &mac); err != nil {
		return Mark{}, err
	}
	if !isInteger || !isBytes || !encoded || subtle.ConstantTimeCompare(mac[:], stored) != 1 {
		return Mark{}, &TamperError{Table: t.Name, Key: keyText(values[:len(t.Key)])}
	}
	return mac, nil
}

// verify is check with the row.
func (m *macer) verify(r *keyring, t *Table, values []driver.Value) (Row, Mark, error) {
	mark, err := m.check(r, t, values)
	if err != nil {
		return nil, Mark{}, err
	}
	return plainRow(values[:len(t.Columns)]), mark, nil
}
