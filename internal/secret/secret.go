// Package secret holds bytes that must die: keys, passphrases, plaintexts. They
// lie outside the Go heap, in memory that is not swapped, not dumped and not
// inherited by a fork, and are wiped when done. A handle on them prints as
// "[secret]", cannot be encoded and cannot be compared by mistake. The package
// encrypts nothing and makes no randomness of its own.
//
// BUG(secret): what a library computes from a View (a key schedule, a big
// integer) lies on the ordinary heap and stack. Do erases that only in a build
// with runtime/secret.
//
// BUG(secret): a suspend to disk writes locked memory too.
package secret

import (
	"crypto/subtle"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// ErrTooLong is what Read returns for input longer than its bound.
var ErrTooLong = errors.New("secret is too long")

// Bytes is a handle on secret bytes of a fixed length. Copies of a handle share
// the same bytes, and Destroy by one is Destroy for all. The zero value is
// empty. Safe for concurrent use, except that the bytes themselves are as safe
// as those of any slice.
type Bytes struct {
	_ [0]func() // incomparable: == would be neither constant-time nor about the content
	h *handle
}

// handle is what all copies of a Bytes point to. The garbage collector watches
// it, because it cannot watch the memory. It has no slice, which fmt finds by
// reflection: a handle in an unexported field, printed by a wrong verb, would
// show the bytes.
type handle struct {
	slot    unsafe.Pointer // never changes
	len     int            // asked for
	cap     int            // of the slot
	gone    atomic.Bool
	once    sync.Once
	cleanup runtime.Cleanup
}

// own makes the handle of a slot. Should the last copy be dropped without
// Destroy, the slot is wiped all the same, some time later.
func own(mem []byte) Bytes {
	h := &handle{slot: unsafe.Pointer(unsafe.SliceData(mem)), len: len(mem), cap: cap(mem)}
	h.cleanup = runtime.AddCleanup(h, memory.give, mem)
	return Bytes{h: h}
}

// New returns n zero bytes. It panics when n is negative and never fails
// otherwise: memory that cannot be locked is used unlocked, and Status says so.
func New(n int) Bytes {
	if n == 0 {
		return Bytes{}
	}
	return own(memory.take(n))
}

// Take moves b: it returns a copy and wipes b, up to its length.
func Take(b []byte) Bytes {
	s := New(len(b))
	copy(s.View(), b)
	Wipe(b)
	return s
}

// Random returns n bytes read from rand.
func Random(rand io.Reader, n int) (Bytes, error) {
	s := New(n)
	if _, err := io.ReadFull(rand, s.View()); err != nil {
		s.Destroy()
		return Bytes{}, err
	}
	return s, nil
}

// Read returns everything that r holds, at most max bytes, and never lets it
// touch other memory. Longer input is ErrTooLong; nothing at all is an empty
// Bytes without error.
func Read(r io.Reader, max int) (Bytes, error) {
	limit := max + 1 // one more than allowed shows that it is too long
	mem, n := memory.take(min(512, limit)), 0
	for {
		m, err := io.ReadFull(r, mem[n:])
		n += m
		switch {
		case n > max:
			memory.give(mem)
			return Bytes{}, ErrTooLong
		case (err == io.EOF || err == io.ErrUnexpectedEOF) && n > 0:
			return own(mem[:n]), nil
		case err == io.EOF:
			memory.give(mem)
			return Bytes{}, nil
		case err != nil:
			memory.give(mem)
			return Bytes{}, err
		}
		more := memory.take(min(2*n, limit))
		copy(more, mem)
		memory.give(mem)
		mem = more
	}
}

// View lends the bytes themselves, until Destroy; nil when there are none.
// Some copy of b must stay reachable for as long as the view is used, or the
// garbage collector may take b for leaked and wipe it: a deferred Destroy sees
// to that.
func (b Bytes) View() []byte {
	if b.IsZero() {
		return nil
	}
	return unsafe.Slice((*byte)(b.h.slot), b.h.len)
}

// Len returns the number of bytes, 0 after Destroy.
func (b Bytes) Len() int { return len(b.View()) }

// IsZero reports whether b has no bytes: it is empty or destroyed. It does not
// look at what the bytes are.
func (b Bytes) IsZero() bool { return b.h == nil || b.h.gone.Load() }

// Equal reports whether b and c have the same bytes, in time that depends on
// the lengths alone. An empty or destroyed Bytes equals nothing, so that two
// missing secrets never match.
func (b Bytes) Equal(c Bytes) bool {
	equal := !b.IsZero() && subtle.ConstantTimeCompare(b.View(), c.View()) == 1
	runtime.KeepAlive(b.h)
	runtime.KeepAlive(c.h)
	return equal
}

// Clone returns a copy with a life of its own.
func (b Bytes) Clone() Bytes {
	c := New(b.Len())
	copy(c.View(), b.View())
	runtime.KeepAlive(b.h)
	return c
}

// Destroy wipes the bytes and gives the memory back. When it returns, they are
// gone, also when another goroutine destroys them at the same time. A view that
// is still held must not be used any more: its memory may be another secret's.
func (b Bytes) Destroy() {
	if b.h != nil {
		b.h.once.Do(b.h.destroy)
	}
}

func (h *handle) destroy() {
	h.gone.Store(true)
	h.cleanup.Stop()
	memory.give(unsafe.Slice((*byte)(h.slot), h.cap))
}

// Wipe overwrites b with zeros, up to its length. For memory that cannot be a
// Bytes, such as a buffer that a library returned.
//
//go:noinline
func Wipe(b []byte) {
	clear(b)
	runtime.KeepAlive(b)
}
