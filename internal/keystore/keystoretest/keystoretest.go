// Package keystoretest is the suite that every keystore passes before it may
// hold private halves. It brings Permits that were earned in the corridor, and
// never reaches behind the keystore's one verb.
package keystoretest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/seed"
)

// Subject is a keystore under test, with what surrounds it.
type Subject struct {
	Keystore keystore.Keystore
	Specs    []key.Spec // that it can hold; nil for all
	// Create gives a key its material and returns it with what its public half
	// is. ID, Spec, Usage, Domain, Origin and Current are set.
	Create func(t testing.TB, k key.Key) key.Key
	// Permit walks the corridor for a payload and an account below the key, or "";
	// truth says of the key what k says.
	Permit func(t testing.TB, k key.Key, path string, alg key.Algorithm, p chain.Parsed) journal.Permit
	// Account derives the public half of an account; nil where Specs leave seeds out.
	Account func(t testing.TB, k key.Key, path key.Path) seed.Account
	// Finish tells the journal that the permit was used.
	Finish func(journal.Permit)
	// Seal takes the keystore what it needs to work.
	Seal func()
}

// suite is a Subject with one key of each kind, made when first asked for.
type suite struct {
	Subject
	keys map[kind]key.Key
}

type kind struct {
	spec   key.Spec
	usage  key.Usage
	domain key.Domain
}

func (k kind) String() string { return fmt.Sprintf("%s/%s/%s", k.spec, k.usage, k.domain) }

// kinds are all that a key can be born as.
func kinds() (all []kind) {
	for _, s := range key.Specs() {
		for _, u := range []key.Usage{key.SignVerify, key.EncryptDecrypt, key.GenerateVerifyMAC} {
			for _, d := range []key.Domain{key.Raw, key.Ethereum, key.Bitcoin, key.ByPath} {
				if s.Algorithms(u) != nil && d.Check(s) == nil {
					all = append(all, kind{s, u, d})
				}
			}
		}
	}
	return all
}

// Run runs the suite on what open makes, once. RSA keys of more than 2048 bits
// are left out under -short.
func Run(t *testing.T, open func(testing.TB) Subject) {
	s := &suite{open(t), map[kind]key.Key{}}
	for _, k := range kinds() {
		if s.Specs != nil && !slices.Contains(s.Specs, k.spec) || testing.Short() && (k.spec == key.RSA3072 || k.spec == key.RSA4096) {
			continue
		}
		t.Run(k.String(), func(t *testing.T) {
			switch {
			case k.usage == key.GenerateVerifyMAC:
				s.macs(t, k)
			case k.usage == key.EncryptDecrypt:
				s.encrypts(t, k)
			case k.domain != key.Raw:
				s.signsTasks(t, k)
			default:
				s.signs(t, k)
			}
			s.refusesOtherOrders(t, k)
			s.refusesOtherPermits(t, k)
		})
	}
	if s.Specs == nil || slices.Contains(s.Specs, key.Secp256k1) {
		t.Run("recoverable signatures", s.recovers)
	}
	t.Run("unknown key", s.knowsNoStranger)
	t.Run("concurrent use", s.concurrent)
	t.Run("sealed", s.sealed) // the last
}

// key returns the suite's key of a kind.
func (s *suite) key(t testing.TB, k kind) key.Key {
	t.Helper()
	if _, ok := s.keys[k]; !ok {
		s.keys[k] = s.Create(t, newKey(t, k))
	}
	return s.keys[k]
}

func newKey(t testing.TB, k kind) key.Key {
	t.Helper()
	id, err := key.NewID(1_700_000_000_000, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Key{
		ID: id, Name: "test-" + string(id[4:]), Spec: k.spec, Usage: k.usage, Domain: k.domain, Origin: key.Generated, State: key.Active, Current: 1,
	}
}

// plain is the meaning of bytes that no chain knows.
func plain(t testing.TB, verb key.Verb, typ chain.Type, alg key.Algorithm, payload []byte, context ...chain.Pair) chain.Parsed {
	t.Helper()
	p, err := chain.ParsePlain(verb, typ, alg.Hash(), payload, context)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// permit is one for an order that a key of a kind carries out.
func (s *suite) permit(t testing.TB, own kind, k key.Key) journal.Permit {
	t.Helper()
	path, alg, p := own.order(t)
	if own.domain != key.Raw {
		k.Domain = p.Domain()
	}
	return s.Permit(t, k, path, alg, p)
}

func (k kind) order(t testing.TB) (path string, alg key.Algorithm, p chain.Parsed) {
	t.Helper()
	for path, domain := range k.places() {
		if domain != key.Raw {
			return path, domain.ChainAlgorithm(), Tasks(t, domain, chain.Task{})
		}
	}
	verbs := map[key.Usage]key.Verb{key.SignVerify: key.Sign, key.EncryptDecrypt: key.Encrypt, key.GenerateVerifyMAC: key.MAC}
	alg = k.spec.Algorithms(k.usage)[0]
	return "", alg, plain(t, verbs[k.usage], chain.TypeMsg, alg, []byte("once"))
}

// use earns a permit and uses it.
func (s *suite) use(t testing.TB, k key.Key, alg key.Algorithm, p chain.Parsed) (keystore.Result, error) {
	t.Helper()
	return s.useAt(t, k, "", alg, p)
}

func (s *suite) useAt(t testing.TB, k key.Key, path string, alg key.Algorithm, p chain.Parsed) (keystore.Result, error) {
	t.Helper()
	return s.spend(t, s.Permit(t, k, path, alg, p))
}

func (s *suite) spend(t testing.TB, permit journal.Permit) (keystore.Result, error) {
	t.Helper()
	r, err := s.Keystore.Use(context.Background(), permit)
	s.Finish(permit)
	switch {
	case err != nil && r.Valid():
		t.Errorf("got a result beside the error %v", err)
	case err == nil && !r.Valid():
		t.Fatal("got neither a result nor an error")
	case err == nil && r.Operation() != permit.Operation():
		t.Errorf("got a result of operation %s, want %s", r.Operation(), permit.Operation())
	}
	return r, err
}

func (s *suite) must(t testing.TB, k key.Key, alg key.Algorithm, p chain.Parsed) keystore.Result {
	t.Helper()
	return s.mustAt(t, k, "", alg, p)
}

func (s *suite) mustAt(t testing.TB, k key.Key, path string, alg key.Algorithm, p chain.Parsed) keystore.Result {
	t.Helper()
	r, err := s.useAt(t, k, path, alg, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// only fails unless a result has just what its verb brings.
func only(t testing.TB, r keystore.Result, signature, recoverable, output, secret bool) {
	t.Helper()
	got := []bool{len(r.Signature()) > 0, len(r.Recoverable()) > 0, len(r.Output()) > 0, !r.Secret().IsZero()}
	if want := []bool{signature, recoverable, output, secret}; !slices.Equal(got, want) {
		t.Errorf("got signature, recoverable, output, secret: %v, want %v", got, want)
	}
}

func (s *suite) signs(t *testing.T, kind kind) {
	k := s.key(t, kind)
	message := []byte("the message of " + kind.String())
	for _, alg := range kind.spec.Algorithms(key.SignVerify) {
		first := s.must(t, k, alg, plain(t, key.Sign, chain.TypeMsg, alg, message))
		only(t, first, true, false, false, false)
		input := message
		if h := alg.Hash(); h != 0 {
			digest := h.New()
			digest.Write(message)
			input = digest.Sum(nil)
			again := s.must(t, k, alg, plain(t, key.Sign, chain.Digest, alg, input))
			if err := keystore.Verify(k.Versions[0].Public, alg, input, again.Signature()); err != nil {
				t.Errorf("%s of a digest: %v", alg, err)
			}
		}
		if err := keystore.Verify(k.Versions[0].Public, alg, input, first.Signature()); err != nil {
			t.Errorf("%s of a message: %v", alg, err)
		}
		second := s.must(t, k, alg, plain(t, key.Sign, chain.TypeMsg, alg, message))
		if same := bytes.Equal(first.Signature(), second.Signature()); same != alg.Deterministic() {
			t.Errorf("%s twice: got the same signature %v, want %v", alg, same, alg.Deterministic())
		}
		other := s.must(t, k, alg, plain(t, key.Sign, chain.TypeMsg, alg, append([]byte("not "), message...)))
		if keystore.Verify(k.Versions[0].Public, alg, input, other.Signature()) == nil {
			t.Errorf("%s: the signature of another message verifies", alg)
		}
	}
}

func (s *suite) macs(t *testing.T, kind kind) {
	k, alg := s.key(t, kind), kind.spec.Algorithms(key.GenerateVerifyMAC)[0]
	mac := func(verb key.Verb, message string) []byte {
		r := s.must(t, k, alg, plain(t, verb, chain.TypeMsg, alg, []byte(message)))
		only(t, r, false, false, true, false)
		return r.Output()
	}
	first := mac(key.MAC, "message")
	if len(first) != alg.Hash().Size() {
		t.Errorf("got a MAC of %d bytes, want %d", len(first), alg.Hash().Size())
	}
	if !bytes.Equal(first, mac(key.MAC, "message")) || !bytes.Equal(first, mac(key.VerifyMAC, "message")) {
		t.Error("two MACs of one message differ")
	}
	if bytes.Equal(first, mac(key.MAC, "Message")) || len(mac(key.MAC, "")) != len(first) {
		t.Error("two messages have one MAC, or the empty one has none")
	}
	other := s.Create(t, newKey(t, kind))
	if bytes.Equal(first, s.must(t, other, alg, plain(t, key.MAC, chain.TypeMsg, alg, []byte("message"))).Output()) {
		t.Error("two keys make one MAC")
	}
}

// refusesOtherOrders lets truth lie about what the key was made for: the
// keystore knows better.
func (s *suite) refusesOtherOrders(t *testing.T, own kind) {
	k := s.key(t, own)
	for _, u := range []key.Usage{key.SignVerify, key.EncryptDecrypt, key.GenerateVerifyMAC} {
		if u == own.usage {
			continue
		}
		lie := k
		lie.Usage = u
		wrong := map[key.Usage][]key.Verb{
			key.SignVerify: {key.Sign}, key.EncryptDecrypt: {key.Encrypt, key.Decrypt, key.DataKey}, key.GenerateVerifyMAC: {key.MAC, key.VerifyMAC},
		}
		for _, verb := range wrong[u] {
			for _, alg := range own.spec.Algorithms(own.usage) {
				payload := []byte("payload")
				if verb == key.DataKey {
					payload = nil
				}
				if _, err := s.use(t, lie, alg, plain(t, verb, chain.TypeMsg, alg, payload)); !errors.Is(err, keystore.ErrUnfit) {
					t.Errorf("%s by a key for %s: got %v, want %v", verb, own.usage, err, keystore.ErrUnfit)
				}
			}
		}
	}
	if own.domain == key.Raw {
		lie := k
		lie.Usage, lie.Domain = key.SignVerify, key.Ethereum
		if _, err := s.use(t, lie, key.EthereumKeccak, Digests(t, chain.Transaction, 1)); !errors.Is(err, keystore.ErrUnfit) {
			t.Errorf("a transaction by a raw key: got %v, want %v", err, keystore.ErrUnfit)
		}
	}
}

// refusesOtherPermits: none, spent, copied.
func (s *suite) refusesOtherPermits(t *testing.T, own kind) {
	k, ctx := s.key(t, own), context.Background()
	if r, err := s.Keystore.Use(ctx, journal.Permit{}); !errors.Is(err, journal.ErrNoPermit) || r.Valid() {
		t.Errorf("no permit: got %v, want %v", err, journal.ErrNoPermit)
	}
	permit := s.permit(t, own, k)
	copied := permit
	if _, err := s.Keystore.Use(ctx, permit); err != nil {
		t.Fatal(err)
	}
	s.Finish(permit)
	for name, p := range map[string]journal.Permit{"spent": permit, "copied": copied} {
		if r, err := s.Keystore.Use(ctx, p); !errors.Is(err, journal.ErrSpent) || r.Valid() {
			t.Errorf("%s permit: got %v, want %v", name, err, journal.ErrSpent)
		}
	}
}

func (s *suite) knowsNoStranger(t *testing.T) {
	for own, known := range s.keys {
		stranger, second := newKey(t, own), known
		stranger.Versions = known.Versions
		second.Current++
		second.Versions = append(slices.Clone(known.Versions), key.VersionInfo{Version: second.Current, Public: known.Versions[0].Public})
		for name, k := range map[string]key.Key{"a stranger": stranger, "version 2": second} {
			if _, err := s.spend(t, s.permit(t, own, k)); !errors.Is(err, keystore.ErrNoKey) {
				t.Errorf("%s, %s: got %v, want %v", own, name, err, keystore.ErrNoKey)
			}
		}
	}
}

func (s *suite) sealed(t *testing.T) {
	var permits []journal.Permit
	for own, k := range s.keys {
		permits = append(permits, s.permit(t, own, k))
	}
	s.Seal()
	for _, p := range permits {
		if r, err := s.Keystore.Use(context.Background(), p); !errors.Is(err, keystore.ErrSealed) || r.Valid() {
			t.Errorf("got %v, want %v", err, keystore.ErrSealed)
		}
	}
}
