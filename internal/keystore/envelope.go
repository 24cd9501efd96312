package keystore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// ErrEnvelope is wrapped by everything that is wrong with an envelope's form.
var ErrEnvelope = errors.New("not a ciphertext of keyward")

// Sizes of an envelope, in bytes. docs/formats/ciphertext.md is the format.
const (
	EnvelopeHeader = 24
	minXAES        = 24 + 16 // nonce and tag
	// MaxPlaintext is the most that Encrypt takes, so that Decrypt can be asked
	// for it again.
	MaxPlaintext = chain.MaxPayload - EnvelopeHeader - minXAES
)

const (
	envelopeMagic = "kw\x01"
	// ciphertextLabel is seal.Ciphertext in that room's list of labels.
	ciphertextLabel = "keyward/ciphertext/v1"
)

// Envelope is a ciphertext together with what is needed to find its key. The
// caller's context is not in it: whoever decrypts must know it.
type Envelope struct {
	Key       key.Ref
	Algorithm key.Algorithm
	Body      []byte // nonce, ciphertext and tag, or an RSA block
}

// envelopeAlgorithms are the algorithm bytes, counted from 1.
var envelopeAlgorithms = []key.Algorithm{key.XAES256GCM, key.RSAOAEPSHA256}

// Header is the fixed part in front of the body. Make associated data of it, and
// append the body to it.
func (e Envelope) Header() (h [EnvelopeHeader]byte, err error) {
	id, err := e.Key.ID.Bytes()
	if err != nil {
		return h, err
	}
	i := slices.Index(envelopeAlgorithms, e.Algorithm)
	if i < 0 || e.Key.Version == 0 {
		return h, fmt.Errorf("no envelope is made by %s of %s", e.Algorithm, e.Key)
	}
	copy(h[:], envelopeMagic)
	copy(h[3:], id[:])
	binary.BigEndian.PutUint32(h[19:], uint32(e.Key.Version))
	h[23] = byte(i + 1)
	return h, nil
}

// ParseEnvelope reads an envelope strictly. Body lends the end of b. Errors wrap
// ErrEnvelope and name the field.
func ParseEnvelope(b []byte) (Envelope, error) {
	refuse := func(format string, args ...any) (Envelope, error) {
		return Envelope{}, fmt.Errorf("%w: %s", ErrEnvelope, fmt.Sprintf(format, args...))
	}
	switch {
	case len(b) < EnvelopeHeader:
		return refuse("%d bytes, fewer than a header has", len(b))
	case len(b) > chain.MaxPayload:
		return refuse("%d bytes, more than %d", len(b), chain.MaxPayload)
	case string(b[:2]) != envelopeMagic[:2]:
		return refuse("magic: it does not begin with \"kw\"")
	case b[2] != envelopeMagic[2]:
		return refuse("format: version %d, this keyward reads version 1", b[2])
	}
	e := Envelope{
		Key:  key.Ref{ID: key.IDOf([16]byte(b[3:19])), Version: key.Version(binary.BigEndian.Uint32(b[19:23]))},
		Body: b[EnvelopeHeader:],
	}
	if e.Key.Version == 0 {
		return refuse("key version: 0")
	}
	if n := int(b[23]); n < 1 || n > len(envelopeAlgorithms) {
		return refuse("algorithm: unknown number %d", n)
	}
	e.Algorithm = envelopeAlgorithms[b[23]-1]
	switch n := len(e.Body); e.Algorithm {
	case key.XAES256GCM:
		if n < minXAES {
			return refuse("body: %d bytes, fewer than nonce and tag have", n)
		}
	case key.RSAOAEPSHA256:
		if n != 256 && n != 384 && n != 512 {
			return refuse("body: %d bytes, no block of RSA", n)
		}
	}
	return e, nil
}

// AssociatedData is what a ciphertext is bound to beside its key: label, header
// and the caller's context (names unique), in canonical CBOR. It is the
// additional data of XAES-256-GCM and the label L of RSAES-OAEP.
func AssociatedData(header [EnvelopeHeader]byte, context []chain.Pair) []byte {
	size := len(ciphertextLabel) + len(header) + 16
	for _, p := range context {
		size += len(p.Name) + len(p.Value) + 6
	}
	// RFC 8949, section 4.2.1: keys in the bytewise order of their encodings,
	// which is by length first. Callers sort by name alone.
	if len(context) > 1 {
		context = slices.Clone(context)
		slices.SortFunc(context, func(a, b chain.Pair) int {
			return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), strings.Compare(a.Name, b.Name))
		})
	}
	b := make([]byte, 0, size)
	b = append(b, 0x80|3) // an array of three
	b = appendText(b, ciphertextLabel)
	b = append(appendHead(b, 0x40, len(header)), header[:]...)
	b = appendHead(b, 0xa0, len(context))
	for _, p := range context {
		b = appendText(appendText(b, p.Name), p.Value)
	}
	return b
}

func appendText(b []byte, s string) []byte { return append(appendHead(b, 0x60, len(s)), s...) }

// appendHead writes the shortest head of a CBOR item of up to 65,535 bytes or
// entries (RFC 8949, section 3).
func appendHead(b []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	}
	return append(b, major|25, byte(n>>8), byte(n))
}
