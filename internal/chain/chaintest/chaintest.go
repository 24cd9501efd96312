// Package chaintest is the suite that every chain.Decoder passes before it may
// say what a payload means.
package chaintest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Case is one payload and what the decoder must make of it.
type Case struct {
	Name    string
	Payload []byte
	Ask     chain.Ask // an empty Public becomes the Signer's
	// Refused is a part of the error; then the fields below do not matter.
	Refused string

	Type      chain.Type
	Effects   []chain.Effect // all of them, in order
	Blind     bool
	Canonical bool // no other bytes have this digest: binary payloads; not JSON, not hex
}

// Signer is a key whose private half is known to everybody.
type Signer struct{ private *secp256k1.PrivateKey }

// SignerOf holds a private key, 32 bytes big-endian.
func SignerOf(private []byte) Signer { return Signer{secp256k1.PrivKeyFromBytes(private)} }

// NewSigner makes the key that the name hashes to.
func NewSigner(name string) Signer {
	secret := sha256.Sum256([]byte(name))
	return Signer{secp256k1.PrivKeyFromBytes(secret[:])}
}

// Public is the public half.
func (s Signer) Public() key.Public {
	pub, err := key.MarshalSecp256k1([65]byte(s.private.PubKey().SerializeUncompressed()))
	if err != nil {
		panic(err) // the point is well formed
	}
	return pub
}

// Sign signs 32 bytes with the nonce of RFC 6979, low-s.
func (s Signer) Sign(digest []byte) key.Recoverable {
	compact := ecdsa.SignCompact(s.private, digest, false)
	return key.Recoverable{R: [32]byte(compact[1:33]), S: [32]byte(compact[33:]), V: compact[0] - 27}
}

// SignTask signs as a task's scheme asks for.
func (s Signer) SignTask(t chain.Task) key.Recoverable {
	private := s.private
	switch t.Scheme {
	case key.ECDSA:
		return s.Sign(t.Digest)
	case key.Taproot:
		private = txscript.TweakTaprootPrivKey(*private, t.Root)
	}
	sig, err := schnorr.Sign(private, t.Digest)
	if err != nil {
		panic(err) // the digest has 32 bytes, the key is none of the two that fail
	}
	raw := sig.Serialize()
	return key.Recoverable{R: [32]byte(raw[:32]), S: [32]byte(raw[32:])}
}

func (s Signer) signAll(tasks []chain.Task) (sigs []key.Recoverable) {
	for _, t := range tasks {
		sigs = append(sigs, s.SignTask(t))
	}
	return sigs
}

// Run holds d to the contract of chain.Decoder.
func Run(t *testing.T, d chain.Decoder, cases []Case) {
	t.Helper()
	signer := NewSigner("keyward/chaintest")
	t.Run("zero Parsed is refused", func(t *testing.T) { refusesZero(t, signer) })
	for _, c := range cases {
		if len(c.Ask.Public) == 0 {
			c.Ask.Public = signer.Public()
		}
		t.Run(c.Name, func(t *testing.T) {
			parsed, err := chain.Parse(d, c.Payload, c.Ask)
			survivesMutations(t, d, c, parsed)
			if c.Refused != "" {
				refuses(t, c, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			meansWhatItShould(t, d, c, parsed)
			isDeterministic(t, d, c, parsed)
			keepsItsBytes(t, d, c)
			assembles(t, d, parsed, signer)
		})
	}
}

func refusesZero(t *testing.T, signer Signer) {
	var zero chain.Parsed
	if zero.Valid() {
		t.Error("the zero Parsed is valid")
	}
	if _, err := zero.Assemble([]key.Recoverable{signer.Sign(make([]byte, 32))}); err == nil {
		t.Error("the zero Parsed assembles")
	}
	if _, err := zero.Extract(nil); err == nil {
		t.Error("the zero Parsed extracts")
	}
}

func refuses(t *testing.T, c Case, err error) {
	switch {
	case err == nil:
		t.Fatalf("accepted, want an error with %q", c.Refused)
	case !errors.Is(err, chain.ErrPayload):
		t.Errorf("error %q does not wrap ErrPayload", err)
	case !strings.Contains(err.Error(), c.Refused):
		t.Errorf("got error %q, want one with %q", err, c.Refused)
	case len(err.Error()) > 600:
		t.Errorf("error of %d bytes: it must not carry a payload", len(err.Error()))
	}
}

func meansWhatItShould(t *testing.T, d chain.Decoder, c Case, p chain.Parsed) {
	in := p.Intent()
	if p.Type() != c.Type {
		t.Errorf("got type %q, want %q", p.Type(), c.Type)
	}
	if diff := cmp.Diff(c.Effects, in.Effects(), bigInts, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	if in.Blind != c.Blind {
		t.Errorf("got blind %v, want %v", in.Blind, c.Blind)
	}
	blind := slices.ContainsFunc(in.Effects(), func(e chain.Effect) bool { return e.Verb == key.SignBlind })
	if blind != in.Blind {
		t.Errorf("got a blind effect: %v, intent blind: %v", blind, in.Blind)
	}
	if in.Sentence == "" || !strings.HasSuffix(in.Sentence, ".") {
		t.Errorf("got sentence %q", in.Sentence)
	}
	if p.Domain() != d.Domain() {
		t.Errorf("got domain %q, want %q", p.Domain(), d.Domain())
	}
	for _, w := range in.Warnings {
		if w.Code == "" || w.Text == "" {
			t.Errorf("got warning %+v, want code and text", w)
		}
	}
}

func isDeterministic(t *testing.T, d chain.Decoder, c Case, first chain.Parsed) {
	again, err := chain.Parse(d, c.Payload, c.Ask)
	if err != nil {
		t.Fatalf("parsed once, then: %v", err)
	}
	if diff := cmp.Diff(first.Intent(), again.Intent(), bigInts, intents); diff != "" {
		t.Errorf("two readings of one payload differ:\n%s", diff)
	}
	if !sameTasks(first, again) {
		t.Error("two readings of one payload have different tasks")
	}
}

// keepsItsBytes changes the caller's slice after Parse, as a careless caller may.
func keepsItsBytes(t *testing.T, d chain.Decoder, c Case) {
	mine := bytes.Clone(c.Payload)
	p, err := chain.Parse(d, mine, c.Ask)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v %x", p.Intent().Effects(), p.Tasks())
	for i := range mine {
		mine[i] ^= 0xff
	}
	if !bytes.Equal(p.Payload(), c.Payload) {
		t.Error("the payload inside Parsed changed with the caller's slice")
	}
	if after := fmt.Sprintf("%+v %x", p.Intent().Effects(), p.Tasks()); before != after {
		t.Errorf("the meaning changed with the caller's slice:\n%s\n%s", before, after)
	}
}

// assembles signs, assembles, and reads the result back.
func assembles(t *testing.T, d chain.Decoder, p chain.Parsed, signer Signer) {
	sigs := signer.signAll(p.Tasks())
	out, err := p.Assemble(sigs)
	if err != nil {
		t.Fatalf("assemble: %v", err)
	}
	back, err := p.Extract(out)
	if err != nil || !slices.Equal(back, sigs) {
		t.Errorf("extract: got %x, %v, want the signatures that were assembled", back, err)
	}
	if _, err := p.Assemble(append(sigs, sigs...)); err == nil {
		t.Error("assembled with too many signatures")
	}
	if _, err := p.Assemble(nil); err == nil {
		t.Error("assembled with no signature")
	}
	for name, spoil := range map[string]func(*key.Recoverable){
		"r of zero": func(s *key.Recoverable) { s.R = [32]byte{} },
		"s of zero": func(s *key.Recoverable) { s.S = [32]byte{} },
		"r too big": func(s *key.Recoverable) { s.R = [32]byte(bytes.Repeat([]byte{0xff}, 32)) },
		"high s":    func(s *key.Recoverable) { s.S = [32]byte(negate(s.S)) },
	} {
		bad := slices.Clone(sigs)
		spoil(&bad[0])
		if _, err := p.Assemble(bad); err == nil {
			t.Errorf("assembled a signature with %s", name)
		}
	}
	if p.Type() == chain.TypeTx {
		agreesWithInspect(t, d, p, out)
	}
}

func agreesWithInspect(t *testing.T, d chain.Decoder, p chain.Parsed, out []byte) {
	inspector, ok := d.(chain.Inspector)
	if !ok {
		return
	}
	found, err := inspector.Inspect(out)
	if err != nil {
		t.Fatalf("inspect: %v", err)
	}
	if diff := cmp.Diff(p.Intent(), found.Intent, bigInts, intents); diff != "" {
		t.Errorf("the signed payload means something else (-judged +signed):\n%s", diff)
	}
	if _, err := chain.Parse(d, out, chain.Ask{}); !errors.Is(err, chain.ErrSigned) {
		t.Errorf("signed payload given to sign: got %v, want ErrSigned", err)
	}
}

// survivesMutations: no input makes a decoder panic, and no two payloads with
// one digest have two meanings.
func survivesMutations(t *testing.T, d chain.Decoder, c Case, original chain.Parsed) {
	try := func(what string, payload []byte) {
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("%s: panic: %v", what, r)
			}
		}()
		p, err := chain.Parse(d, payload, c.Ask)
		switch {
		case err != nil && !errors.Is(err, chain.ErrPayload):
			t.Errorf("%s: error %q does not wrap ErrPayload", what, err)
		case err != nil || !original.Valid() || !sameTasks(original, p):
		case c.Canonical:
			t.Errorf("%s: another payload has the same digest", what)
		case cmp.Diff(original.Intent().Effects(), p.Intent().Effects(), bigInts) != "":
			t.Errorf("%s: another meaning has the same digest", what)
		}
	}
	size := min(len(c.Payload), 600)
	for i := range size {
		for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
			b := bytes.Clone(c.Payload)
			b[i] ^= mask
			try(fmt.Sprintf("byte %d xor %#x", i, mask), b)
		}
		try(fmt.Sprintf("cut at %d", i), c.Payload[:i])
		try(fmt.Sprintf("without byte %d", i), slices.Delete(bytes.Clone(c.Payload), i, i+1))
		try(fmt.Sprintf("byte %d twice", i), slices.Insert(bytes.Clone(c.Payload), i, c.Payload[i]))
	}
	try("zero appended", append(bytes.Clone(c.Payload), 0))
	try("line feed appended", append(bytes.Clone(c.Payload), '\n'))
	try("twice", append(bytes.Clone(c.Payload), c.Payload...))
}

var (
	bigInts = cmp.Comparer(func(a, b *big.Int) bool {
		return a == nil && b == nil || a != nil && b != nil && a.Cmp(b) == 0
	})
	intents = cmpopts.IgnoreUnexported(chain.Intent{})
)

func sameTasks(a, b chain.Parsed) bool {
	return reflect.DeepEqual(a.Tasks(), b.Tasks())
}

func negate(s [32]byte) []byte {
	var n secp256k1.ModNScalar
	n.SetBytes(&s)
	b := n.Negate().Bytes()
	return b[:]
}
