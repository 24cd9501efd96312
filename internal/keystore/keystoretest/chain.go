package keystoretest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
)

// decoder is a chain in which everything is understood and moves nothing: a
// payload is digests, one after the other, and the tasks are the test's.
type decoder struct {
	domain key.Domain
	kind   chain.Kind
	tasks  []chain.Task
}

func (d decoder) Domain() key.Domain { return d.domain }

func (d decoder) Decode(payload []byte, _ chain.Ask) (chain.Decoded, error) {
	typ := chain.TypeMsg
	if d.kind == chain.Transaction {
		typ = chain.TypeTx
	}
	dec := chain.Decoded{
		Type:   typ,
		Intent: chain.Intent{Kind: d.kind, Chain: "eip155:1", Sentence: "Sign digests.", Text: "digests"},
		Assemble: func([]key.Recoverable) ([]byte, error) {
			return nil, errors.New("nobody assembles digests")
		},
		Extract: func([]byte) ([]key.Recoverable, error) { return nil, errors.New("nobody assembles digests") },
	}
	if d.kind == chain.Transaction {
		dec.Intent.Fee = &chain.Fee{Asset: chain.Asset{ID: "eip155:1/slip44:60"}, Max: new(big.Int)}
	}
	for i, t := range d.tasks {
		t.Digest = payload[i*chain.DigestSize : (i+1)*chain.DigestSize]
		dec.Tasks = append(dec.Tasks, t)
	}
	return dec, nil
}

// Digests is a payload of n random digests, of the chain for which Ethereum keys
// sign in this suite.
func Digests(t testing.TB, kind chain.Kind, n int) chain.Parsed {
	t.Helper()
	return tasks(t, key.Ethereum, kind, make([]chain.Task, n)...)
}

// Tasks is a transaction of a domain that asks for these signatures, over random
// digests.
func Tasks(t testing.TB, domain key.Domain, all ...chain.Task) chain.Parsed {
	t.Helper()
	return tasks(t, domain, chain.Transaction, all...)
}

func tasks(t testing.TB, domain key.Domain, kind chain.Kind, all ...chain.Task) chain.Parsed {
	t.Helper()
	payload := make([]byte, len(all)*chain.DigestSize)
	if _, err := rand.Read(payload); err != nil {
		t.Fatal(err)
	}
	p, err := chain.Parse(decoder{domain, kind, all}, payload, chain.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// accounts are paths at which a seed of each domain signs, and whose chain.
var accounts = map[key.Domain]map[string]key.Domain{
	key.Bitcoin:  {"": key.Bitcoin, "m/84h/0h/0h": key.Bitcoin, "m/7": key.Bitcoin},
	key.Ethereum: {"": key.Ethereum, "m/44h/60h/0h/0/0": key.Ethereum},
	key.ByPath:   {"m/86h/0h/0h": key.Bitcoin, "m/84h/1h/3h": key.Bitcoin, "m/44h/60h/0h": key.Ethereum, "m/44h/60h/0h/0/9": key.Ethereum},
}

// places are where keys of a kind sign, and whose chain.
func (k kind) places() map[string]key.Domain {
	if k.spec == key.HDSeed {
		return accounts[k.domain]
	}
	return map[string]key.Domain{"": k.domain}
}

// signsTasks covers keys of a chain's domain: every scheme, at every place.
func (s *suite) signsTasks(t *testing.T, kind kind) {
	k := s.key(t, kind)
	for path, domain := range kind.places() {
		points := s.points(t, k, path)
		public := points.public(t)
		schemes := []chain.Task{{Scheme: key.ECDSA}}
		if domain == key.Bitcoin {
			schemes = append(schemes, chain.Task{Scheme: key.Schnorr}, chain.Task{Scheme: key.Taproot}, chain.Task{Scheme: key.Taproot, Root: bytes.Repeat([]byte{7}, 32)})
		}
		all := slices.Clone(schemes)
		for _, below := range []key.Path{nil, {0}, {0, 5}, {1, 0}, {2, 1, key.Hardened - 1}} {
			if len(below) > 0 && kind.spec != key.HDSeed {
				continue
			}
			for _, task := range schemes {
				task.Path, task.Point = below, points.at(t, below)
				all = append(all, task)
			}
		}
		parsed, lie := Tasks(t, domain, all...), k
		lie.Domain = domain
		r, again := s.mustAt(t, lie, path, domain.ChainAlgorithm(), parsed), s.mustAt(t, lie, path, domain.ChainAlgorithm(), parsed)
		only(t, r, false, true, false, false)
		if !slices.Equal(r.Recoverable(), again.Recoverable()) {
			t.Errorf("%q: two signatures of one payload differ", path)
		}
		for i, sig := range r.Recoverable() {
			task := parsed.Tasks()[i]
			if err := keystore.VerifyTask(public, task, sig); err != nil {
				t.Errorf("%q, %s, scheme %d: %v", path, task.Path, task.Scheme, err)
			}
			task.Scheme = (task.Scheme + 1) % 3
			if keystore.VerifyTask(public, task, sig) == nil {
				t.Errorf("%q: a signature of one scheme holds for another", path)
			}
		}
		s.refusesTasks(t, k, path, domain, points)
	}
}

// refusesTasks lets payloads lie about the key that signs.
func (s *suite) refusesTasks(t *testing.T, k key.Key, path string, domain key.Domain, points points) {
	own, sibling := points.at(t, nil), bytes.Clone(points.at(t, nil))
	sibling[0] ^= 1 // the same x
	other := map[key.Domain]key.Domain{key.Bitcoin: key.Ethereum, key.Ethereum: key.Bitcoin}[domain]
	below := key.Path{0, 1}
	named := own
	if k.Spec == key.HDSeed {
		named = points.at(t, below)
	}
	for name, c := range map[string]struct {
		path   string
		domain key.Domain
		tasks  []chain.Task
	}{
		"another point":                    {path, domain, []chain.Task{{Point: own}, {Point: sibling}}},
		"another point below":              {path, domain, []chain.Task{{Point: own}, {Path: below, Point: own}}},
		"a point of its sibling":           {path, domain, []chain.Task{{Path: key.Path{0, 2}, Point: named}}},
		"a hardened step":                  {path, domain, []chain.Task{{Path: key.Path{0, 1 + key.Hardened}, Point: named}}},
		"another chain":                    {path, other, []chain.Task{{}}},
		"a path that is none":              {"m/", domain, []chain.Task{{}}},
		"a path in another form":           {"m/84'/0'/0'", domain, []chain.Task{{}}},
		"the master key by a name":         {"m", domain, []chain.Task{{}}},
		"a coin that is unknown":           {"m/44h/61h/0h", map[bool]key.Domain{true: domain, false: other}[k.Domain == key.ByPath], []chain.Task{{}}},
		"a scheme that its chain has not":  {path, key.Ethereum, []chain.Task{{Scheme: key.Schnorr}}},
		"no scheme":                        {path, domain, []chain.Task{{Scheme: key.Taproot + 1}}},
		"a path that is longer than it is": {path, domain, []chain.Task{{Path: make(key.Path, 200), Point: own}}},
	} {
		lie := k
		lie.Domain = c.domain // a policy would refuse what is not the key's domain
		if _, err := s.useAt(t, lie, c.path, c.domain.ChainAlgorithm(), Tasks(t, c.domain, c.tasks...)); !errors.Is(err, keystore.ErrUnfit) {
			t.Errorf("%q, %s: got %v, want %v", path, name, err, keystore.ErrUnfit)
		}
	}
	raw := k
	raw.Domain = key.Raw
	for _, k := range []key.Key{k, raw} { // the truth, and a lie
		if _, err := s.useAt(t, k, path, key.ECDSASHA256, plain(t, key.Sign, chain.TypeMsg, key.ECDSASHA256, []byte("raw"))); !errors.Is(err, keystore.ErrUnfit) {
			t.Errorf("%q, raw: got %v, want %v", path, err, keystore.ErrUnfit)
		}
	}
}
