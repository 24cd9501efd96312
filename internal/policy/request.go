package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
)

// Request is one question: may this actor do this with this key? The payload
// travels inside as chain.Parsed, so that what is judged and what is signed
// cannot differ. The zero value is refused.
type Request struct{ r *request }

type request struct {
	in     Input
	actor  string
	bytes  []byte
	digest [32]byte
}

// Input is what a Request is made of.
type Input struct {
	Installation [32]byte
	Actor        identity.Actor
	Parsed       chain.Parsed
	Key          key.Key       // zero when the request is about no key that exists
	Version      key.Version   // of Key; 0 when there is no key
	Algorithm    key.Algorithm // "" when nothing is computed
	Path         string        // of an account below Key, canonical ("m/84h/0h/0h"); "" for the key itself
	Subject      string        // what is acted on, when it is not Key: a new key's name, a service, "policy"
	Charter      uint64        // version of the charter that Key and rules were read under
	Epoch        uint64        // store's epoch, read before Key and rules were
	Created      int64         // log time, ms: when it was first asked
	Expires      int64         // log time, ms; 0 never
}

// NewRequest checks that the parts are proofs and fit together.
func NewRequest(in Input) (Request, error) {
	switch {
	case !in.Actor.Valid():
		return Request{}, errors.New("request without an authenticated actor")
	case !in.Parsed.Valid():
		return Request{}, errors.New("request without a parsed payload")
	case in.Key.ID != "" && in.Version == 0:
		return Request{}, errors.New("request without a key version")
	case !utf8.ValidString(in.Subject) || !utf8.ValidString(in.Path) || slices.ContainsFunc(in.Parsed.Context(), badPair):
		return Request{}, errors.New("request with a text that is not UTF-8")
	}
	s := Stored{
		Format: requestFormat, Installation: in.Installation, Verb: in.Parsed.Verb(), KeyID: in.Key.ID, KeyVersion: in.Version,
		Domain: in.Parsed.Domain(), Algorithm: in.Algorithm, Type: in.Parsed.Type(), Hash: uint(in.Parsed.Hash()),
		Payload: in.Parsed.Payload(), Context: in.Parsed.Context(), Path: in.Path, Subject: in.Subject,
		Actor: in.Actor.Name(), Created: in.Created, Expires: in.Expires, Network: in.Parsed.Network(),
	}
	if in.Key.ID != "" {
		v, ok := in.Key.Version(in.Version)
		if !ok {
			return Request{}, fmt.Errorf("key %q has no version %d", in.Key.Name, in.Version)
		}
		hash := v.Public.Hash()
		s.Public = hash[:]
	}
	b := s.encode()
	return Request{&request{in, s.Actor, b, sha256.Sum256(b)}}, nil
}

func badPair(p chain.Pair) bool { return !utf8.ValidString(p.Name) || !utf8.ValidString(p.Value) }

// Valid is false for the zero value.
func (r Request) Valid() bool { return r.r != nil }

// Bytes lends the canonical form (docs/formats/request.md).
func (r Request) Bytes() []byte { return r.r.bytes }

// Digest is SHA-256 over Bytes.
func (r Request) Digest() [32]byte { return r.r.digest }

// Actor is who asks.
func (r Request) Actor() identity.Actor { return r.r.in.Actor }

// Key is the key as it was read; ID is "" when the request is about none.
func (r Request) Key() key.Key { return r.r.in.Key }

// Version is the version of the key that shall be used.
func (r Request) Version() key.Version { return r.r.in.Version }

// Algorithm is what shall be computed.
func (r Request) Algorithm() key.Algorithm { return r.r.in.Algorithm }

// Path names an account below the key; "" for the key itself.
func (r Request) Path() string { return r.r.in.Path }

// domain is that of the key, or of the account below it.
func (r Request) domain() key.Domain {
	in := &r.r.in
	if in.Key.Domain != key.ByPath {
		return in.Key.Domain
	}
	path, err := key.ParsePath(in.Path)
	if err != nil {
		return ""
	}
	domain, err := in.Key.Domain.At(path)
	if err != nil {
		return ""
	}
	return domain
}

// Verb is what the payload asks for.
func (r Request) Verb() key.Verb { return r.r.in.Parsed.Verb() }

// Parsed is the payload with its meaning.
func (r Request) Parsed() chain.Parsed { return r.r.in.Parsed }

// Subject names what is acted on: the key's name, with the path of an account
// below it where one is used ("treasury/m/84h/0h/0h"), or what Input said.
func (r Request) Subject() string {
	in := &r.r.in
	if in.Path != "" {
		return in.name() + "/" + in.Path
	}
	return in.name()
}

// name is the Subject without a path.
func (in *Input) name() string {
	if in.Key.ID != "" {
		return in.Key.Name
	}
	return in.Subject
}

// Created is the log time, in ms, at which it was first asked.
func (r Request) Created() int64 { return r.r.in.Created }

// Expires is the log time, in ms, after which it is void; 0 never.
func (r Request) Expires() int64 { return r.r.in.Expires }

// Charter is the version of the charter it is judged under.
func (r Request) Charter() uint64 { return r.r.in.Charter }

// Epoch is the epoch that its key was read under.
func (r Request) Epoch() uint64 { return r.r.in.Epoch }
