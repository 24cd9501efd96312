package server

import (
	"errors"
	"io"
	"os"
	"sync"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/secret"
)

// buffer holds a request's body or an answer, and is wiped after use: either may
// be a plaintext.
type buffer struct {
	b     []byte
	large *Server // counts it among the large ones; nil for the others
}

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 4096)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	secret.Wipe(b.b)
	if b.large != nil {
		b.large.large.Add(-1)
		b.large = nil
	}
	if b.b = b.b[:0]; cap(b.b) <= largeAt {
		buffers.Put(b)
	}
}

// grow makes room for n more bytes and wipes what it moves away from.
func (b *buffer) grow(n int) {
	if cap(b.b)-len(b.b) >= n {
		return
	}
	old := b.b
	b.b = append(make([]byte, 0, max(2*cap(old), len(old)+n)), old...)
	secret.Wipe(old)
}

// Body is the request's whole body, at most api.MaxBody bytes. It is lent until
// the call ends, and then wiped. While it arrives, the call is not counted among
// those in flight: a body that comes slowly takes no place away from others. What
// bounds such calls is their caller's share.
func (c *Call) Body() ([]byte, error) {
	c.leave()
	b, err := c.arrive()
	if err != nil {
		return nil, err
	}
	return b, c.enter()
}

func (c *Call) arrive() ([]byte, error) {
	r := c.Request
	if r.Header["Content-Encoding"] != nil {
		return nil, c.Invalid("body", "it must not be compressed")
	}
	if r.ContentLength > api.MaxBody {
		return nil, tooLarge(c)
	}
	if c.body == nil {
		c.body = newBuffer()
	}
	b := c.body
	if r.ContentLength > 0 {
		b.grow(min(int(r.ContentLength), largeAt))
	}
	for {
		if len(b.b) == cap(b.b) && len(b.b) >= largeAt && !c.admitLarge() {
			return nil, &kms.Error{Kind: kms.Busy, Message: "too many large requests at once", Hint: "try again"}
		}
		b.grow(1)
		n, err := r.Body.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		switch {
		case len(b.b) > api.MaxBody:
			return nil, tooLarge(c)
		case err == io.EOF:
			return b.b, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, c.Invalid("body", "it took too long to arrive")
		case err != nil:
			return nil, c.Invalid("body", "it did not arrive")
		}
	}
}

// admitLarge lets a body grow beyond largeAt: only few at once, so that no crowd
// of them takes the memory.
func (c *Call) admitLarge() bool {
	if c.body.large != nil {
		return true
	}
	if !c.share(share{large: 1}) {
		return false
	}
	if c.server.large.Add(1) > largeMax {
		c.server.large.Add(-1)
		return false
	}
	c.body.large = c.server
	return true
}

// Secret is the request's whole body, straight into locked memory. The caller
// destroys it.
func (c *Call) Secret(most int) (secret.Bytes, error) {
	s, err := secret.Read(c.Request.Body, most)
	switch {
	case errors.Is(err, secret.ErrTooLong):
		return secret.Bytes{}, tooLarge(c)
	case err != nil:
		return secret.Bytes{}, c.Invalid("body", "it did not arrive")
	case s.IsZero():
		return secret.Bytes{}, c.Invalid("body", "it is empty")
	}
	return s, nil
}

// tooLarge reads on for a while: a caller that is still sending would otherwise
// see a broken connection instead of the answer.
func tooLarge(c *Call) error {
	_, _ = io.CopyN(io.Discard, c.Request.Body, 2*api.MaxBody)
	return &kms.Error{Kind: kms.TooLarge, Message: c.Name + ": body: too large", Hint: "see /openapi.json"}
}
