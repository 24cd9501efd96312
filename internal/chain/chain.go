// Package chain says what a payload means before anybody judges it: who pays
// what to whom, for which fee, and what could not be understood. It is pure: no
// clock, no randomness, no I/O. Each chain is a package below this one.
package chain

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"keyward/internal/key"
)

// Type says how the bytes of a payload are to be read.
type Type string

// The types of today. Auto lets the decoder look at the payload itself; a
// digest is never guessed.
const (
	Auto      Type = ""
	TypeTx    Type = "tx"
	TypePSBT  Type = "psbt" // a transaction of Bitcoin, with what a signer must know of it (BIP-174)
	TypeMsg   Type = "message"
	TypeTyped Type = "typed-data" // EIP-712
	Digest    Type = "digest"
)

var types = []Type{TypeTx, TypePSBT, TypeMsg, TypeTyped, Digest}

const (
	// MaxPayload bounds every payload, in bytes.
	MaxPayload = 1 << 20
	// DigestSize is the length of every digest that a Decoder returns, in bytes.
	DigestSize = 32

	pointSize = 33
)

var (
	// ErrPayload is wrapped by everything that is wrong with a payload itself.
	ErrPayload = errors.New("payload refused")
	// ErrSigned is wrapped, beside ErrPayload, when the payload is signed
	// already: an Inspector can read it, nobody signs it again.
	ErrSigned = errors.New("already signed")
)

// Ask is what the caller knows beside the payload.
type Ask struct {
	Type    Type
	Public  key.Public // the key or account that shall sign; empty when only decoding
	Path    key.Path   // from the master key to Public; nil for a key that stands alone
	Network string     // "" where the payload names its own
	Own     Own        // may be nil: then nothing is ours but what Public alone signs for
}

// Own derives what is ours: an account of a seed does, or a wallet. Chain never
// asks anybody else, and believes no path that it has not gone.
type Own interface {
	// Point returns the public key (SEC 1, compressed, 33 bytes) at a path from the
	// master key of this fingerprint (BIP-32), and the way to it from the account
	// that shall sign; ok is false when that is not below the account.
	Point(master [4]byte, path key.Path) (point []byte, below key.Path, ok bool)
}

// Task is one signature that a payload asks for.
type Task struct {
	Digest []byte   // 32 bytes; of plain bytes whatever the algorithm takes
	Path   key.Path // to the key that signs, from the one that was asked; nil for itself
	Point  []byte   // of the key that must sign, where the payload names it: SEC 1, compressed
	Scheme key.Scheme
	Root   []byte // of Taproot: the Merkle root of its scripts, nil for none
}

// Decoder is the socket: one chain family's reading of payloads.
type Decoder interface {
	// Domain is the domain of the keys that sign what this decoder reads.
	Domain() key.Domain
	// Decode reads a payload strictly: canonical form only, no rest. Whatever it
	// does not fully understand it marks blind. Errors wrap ErrPayload.
	Decode(payload []byte, ask Ask) (Decoded, error)
}

// Inspector is offered by a Decoder that also reads what was signed already, so
// that people can look at it. Nothing is ever signed from it.
type Inspector interface {
	// Inspect reads a signed payload as strictly as Decode; Intent.From is the
	// signer as the signature itself names it. Errors wrap ErrPayload.
	Inspect(payload []byte) (Inspected, error)
}

// Inspected is what a signed payload does, and the name that its chain gives it.
type Inspected struct {
	Intent Intent
	Hash   string // "0x…", of the transaction
}

// Decoded is what a Decoder found out. Only Parse makes a proof of it.
type Decoded struct {
	Intent Intent
	Type   Type   // never Auto
	Tasks  []Task // in the order in which Assemble wants signatures
	// Assemble puts one signature for each task into the payload: a signed raw
	// transaction, or the signature's own encoding for a message.
	Assemble func(sigs []key.Recoverable) ([]byte, error)
	// Extract is the way back: it finds the signatures in what Assemble made, and
	// refuses what is not this very payload, signed. It verifies no signature.
	Extract func(assembled []byte) ([]key.Recoverable, error)
}

// Parsed is a payload together with its meaning and the digests that would be
// signed, in one value, so that nobody can judge one and sign another. Only this
// package makes one; the zero value is refused everywhere.
type Parsed struct{ p *parsed }

type parsed struct {
	domain   key.Domain
	network  string
	kind     Type
	payload  []byte
	intent   Intent
	verb     key.Verb
	hash     crypto.Hash
	tasks    []Task
	context  []Pair
	assemble func([]key.Recoverable) ([]byte, error)
	extract  func([]byte) ([]key.Recoverable, error)
}

// Pair is one entry of a plain request's context, sorted by name.
type Pair struct {
	Name  string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint"`
}

// Parse decodes payload by d and binds bytes, meaning and digests together. It
// keeps a copy of payload, and refuses a Decoder's answer that nobody could judge.
func Parse(d Decoder, payload []byte, ask Ask) (Parsed, error) {
	if len(payload) > MaxPayload {
		return Parsed{}, fmt.Errorf("%w: %d bytes, at most %d", ErrPayload, len(payload), MaxPayload)
	}
	payload = bytes.Clone(payload)
	dec, err := d.Decode(payload, ask)
	if err != nil {
		return Parsed{}, err
	}
	if err := dec.check(); err != nil {
		return Parsed{}, fmt.Errorf("%w: decoder of %q: %w", ErrPayload, d.Domain(), err)
	}
	return Parsed{&parsed{
		domain: d.Domain(), network: ask.Network, kind: dec.Type, payload: payload, intent: dec.Intent, verb: dec.Intent.verb(),
		tasks: dec.Tasks, assemble: dec.Assemble, extract: dec.Extract,
	}}, nil
}

// check holds a Decoder to its contract, so that a careless one fails closed.
func (d Decoded) check() error {
	switch {
	case len(d.Tasks) == 0 || d.Assemble == nil || d.Extract == nil:
		return errors.New("nothing to sign")
	case !slices.Contains(types, d.Type):
		return fmt.Errorf("type %q was left open", d.Type)
	case d.Type == Digest && !d.Intent.Blind:
		return errors.New("a digest that claims to be understood")
	}
	for n, t := range d.Tasks {
		if err := t.check(); err != nil {
			return fmt.Errorf("signature %d: %w", n, err)
		}
	}
	return d.Intent.check()
}

func (t Task) check() error {
	switch {
	case len(t.Digest) != DigestSize:
		return fmt.Errorf("digest of %d bytes, want %d", len(t.Digest), DigestSize)
	case len(t.Path) > 0 && len(t.Point) == 0:
		return errors.New("a path to a key that is not named")
	case len(t.Point) != 0 && len(t.Point) != pointSize:
		return fmt.Errorf("point of %d bytes, want %d", len(t.Point), pointSize)
	case len(t.Root) != 0 && (t.Scheme != key.Taproot || len(t.Root) != DigestSize):
		return errors.New("a Merkle root where none belongs")
	}
	return nil
}

// ParsePlain is the meaning of bytes that no chain knows: what a raw key signs,
// encrypts, decrypts or authenticates. For Sign with kind Digest the payload is
// the digest itself and must be as long as hash says; with TypeMsg the digest is
// computed here by hash (0: the algorithm takes the message whole). Context is
// the caller's, sorted by name, names unique. It keeps copies.
func ParsePlain(verb key.Verb, kind Type, hash crypto.Hash, payload []byte, context []Pair) (Parsed, error) {
	if len(payload) > MaxPayload {
		return Parsed{}, fmt.Errorf("%w: %d bytes, at most %d", ErrPayload, len(payload), MaxPayload)
	}
	if err := checkContext(context); err != nil {
		return Parsed{}, err
	}
	p := &parsed{
		domain: key.Raw, kind: kind, payload: bytes.Clone(payload), verb: verb, hash: hash, context: slices.Clone(context),
		intent: plainIntent(verb, kind, len(payload), context),
	}
	switch {
	case verb != key.Sign:
	case kind == Digest && hash == 0:
		return Parsed{}, fmt.Errorf("%w: this algorithm signs whole messages, not digests", ErrPayload)
	case kind == Digest && len(payload) != hash.Size():
		return Parsed{}, fmt.Errorf("%w: digest has %d bytes, %s has %d", ErrPayload, len(payload), hash, hash.Size())
	case kind == Digest || hash == 0:
		p.tasks = []Task{{Digest: p.payload}}
	default:
		h := hash.New()
		h.Write(payload)
		p.tasks = []Task{{Digest: h.Sum(nil)}}
	}
	return Parsed{p}, nil
}

// ParseAdministration is the meaning of a change of keyward's own state: verb,
// the subject's name, the parameters in canonical CBOR, and one sentence.
func ParseAdministration(verb key.Verb, parameters []byte, sentence string) Parsed {
	return Parsed{&parsed{
		kind: TypeMsg, payload: bytes.Clone(parameters), verb: verb,
		intent: Intent{Kind: Administration, Sentence: sentence, plain: verb},
	}}
}

func checkContext(context []Pair) error {
	size := 0
	for i, c := range context {
		size += len(c.Name) + len(c.Value)
		if c.Name == "" {
			return fmt.Errorf("%w: context: empty name", ErrPayload)
		}
		if i > 0 && context[i-1].Name >= c.Name {
			return fmt.Errorf("%w: context: names must be sorted and unique, see %q", ErrPayload, c.Name)
		}
	}
	if len(context) > 16 || size > 8192 {
		return fmt.Errorf("%w: context: at most 16 entries and 8,192 bytes", ErrPayload)
	}
	return nil
}

// Valid is false for the zero value.
func (p Parsed) Valid() bool { return p.p != nil }

// Payload lends the exact bytes; they must not be changed.
func (p Parsed) Payload() []byte { return p.p.payload }

// Intent lends the meaning; it must not be changed.
func (p Parsed) Intent() Intent { return p.p.intent }

// Tasks lends what is to be signed, one entry a signature. For algorithms
// without a hash the digest is the whole message.
func (p Parsed) Tasks() []Task { return p.p.tasks }

// Type says how the payload was read.
func (p Parsed) Type() Type { return p.p.kind }

// Verb is what the payload asks of a key. The blind parts of a payload ask for
// SignBlind beside it: see Intent.Effects.
func (p Parsed) Verb() key.Verb { return p.p.verb }

// Domain is the domain of the keys that may sign it; "" for administration.
func (p Parsed) Domain() key.Domain { return p.p.domain }

// Network is what the caller named beside the payload, or "".
func (p Parsed) Network() string { return p.p.network }

// Hash is the digest function of a plain signature, else 0.
func (p Parsed) Hash() crypto.Hash { return p.p.hash }

// Context lends the caller's context of a plain request, sorted by name.
func (p Parsed) Context() []Pair { return p.p.context }

// Assemble puts the signatures, one for each task, where the payload wants
// them. It fails for plain payloads, which have no such place.
func (p Parsed) Assemble(sigs []key.Recoverable) ([]byte, error) {
	if p.p == nil || p.p.assemble == nil {
		return nil, errors.New("this payload has no place for a signature")
	}
	if len(sigs) != len(p.p.tasks) {
		return nil, fmt.Errorf("got %d signatures, want %d", len(sigs), len(p.p.tasks))
	}
	return p.p.assemble(sigs)
}

// Extract finds the signatures in what Assemble made, one for each task, and
// refuses what is not this very payload, signed. It verifies no signature.
func (p Parsed) Extract(assembled []byte) ([]key.Recoverable, error) {
	if p.p == nil || p.p.extract == nil {
		return nil, errors.New("this payload has no place for a signature")
	}
	return p.p.extract(assembled)
}

// Outflow sums, for each asset id, what leaves: every move that is not proved
// change, and the most that the fee can be.
func (i Intent) Outflow() map[string]*big.Int {
	sum := map[string]*big.Int{}
	add := func(a Asset, n *big.Int) {
		if sum[a.ID] == nil {
			sum[a.ID] = new(big.Int)
		}
		sum[a.ID].Add(sum[a.ID], n)
	}
	for _, m := range i.Moves {
		if !m.Change {
			add(m.Asset, m.Amount)
		}
	}
	if i.Fee != nil {
		add(i.Fee.Asset, i.Fee.Max)
	}
	return sum
}
