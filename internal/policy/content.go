package policy

import "crypto/sha256"

// Content is SHA-256 over what the caller asked for, without the times and
// without the key's version: a retry of the same request has the same Content,
// whenever it comes.
func (r Request) Content() ([32]byte, error) {
	in := r.r.in
	p := in.Parsed
	s := Stored{
		Format: contentFormat, Installation: in.Installation, Verb: p.Verb(), KeyID: in.Key.ID, Domain: p.Domain(),
		Algorithm: in.Algorithm, Type: p.Type(), Hash: uint(p.Hash()), Payload: p.Payload(), Context: p.Context(),
		Path: in.Path, Subject: in.Subject, Actor: in.Actor.Name(), Network: p.Network(),
	}
	return sha256.Sum256(s.encode()), nil
}

const contentFormat = "keyward/request-content/v1"
