package key

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest is SHA-256 over all that a decision may rest on: identity, spec, usage,
// domain, origin, state, owner, tags excepted, and every version's public half.
// The journal compares it with what the store says when the key is used.
func (k Key) Digest() [32]byte {
	var room [512]byte
	b := room[:0]
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text("keyward/key/v1")
	for _, s := range []string{string(k.ID), k.Name, string(k.Spec), string(k.Usage), string(k.Domain), string(k.Origin), string(k.State), k.Owner} {
		text(s)
	}
	exportable := uint64(0)
	if k.Exportable {
		exportable = 1
	}
	b = binary.AppendUvarint(b, exportable)
	b = binary.AppendUvarint(b, uint64(k.Current))
	for _, v := range k.Versions {
		b = binary.AppendUvarint(b, uint64(v.Version))
		text(string(v.Public))
	}
	return sha256.Sum256(b)
}
