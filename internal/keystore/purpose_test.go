package keystore_test

import (
	"errors"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
)

func plain(t *testing.T, verb key.Verb, alg key.Algorithm, payload []byte, context ...chain.Pair) chain.Parsed {
	t.Helper()
	p, err := chain.ParsePlain(verb, chain.TypeMsg, alg.Hash(), payload, context)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What each purpose does: every verb of every spec, by every algorithm.
func TestPurposeFitsItsOwnOrdersAlone(t *testing.T) {
	verbs := map[key.Verb]key.Usage{
		key.Sign: key.SignVerify, key.Encrypt: key.EncryptDecrypt, key.Decrypt: key.EncryptDecrypt, key.DataKey: key.EncryptDecrypt,
		key.MAC: key.GenerateVerifyMAC, key.VerifyMAC: key.GenerateVerifyMAC,
	}
	all := map[key.Algorithm]bool{key.EthereumKeccak: true}
	usages := []key.Usage{key.SignVerify, key.EncryptDecrypt, key.GenerateVerifyMAC}
	for _, s := range key.Specs() {
		for _, u := range usages {
			for _, alg := range s.Algorithms(u) {
				all[alg] = true
			}
		}
	}
	fits := 0
	for _, s := range key.Specs() {
		if s == key.HDSeed {
			continue // never raw
		}
		for _, u := range usages {
			p := keystore.Purpose{Spec: s, Usage: u, Domain: key.Raw}
			for verb, want := range verbs {
				for alg := range all {
					err := p.Fits(journal.Order{Verb: verb, Algorithm: alg, Parsed: plain(t, verb, alg, nil)})
					can := false
					for _, own := range s.Algorithms(u) {
						can = can || own == alg
					}
					if (err == nil) != (can && u == want) || err != nil && !errors.Is(err, keystore.ErrUnfit) {
						t.Errorf("%s for %s, %s by %s: got %v", s, u, verb, alg, err)
					}
					if err == nil {
						fits++
					}
				}
			}
		}
	}
	if fits != 6*3+3+5+3*3+3*2 { // RSA and the curves sign; AES and RSA encrypt in three ways; HMAC computes and verifies
		t.Errorf("got %d fits", fits)
	}
}

func TestPurposeRefusesOddOrders(t *testing.T) {
	p256 := keystore.Purpose{Spec: key.P256, Usage: key.SignVerify, Domain: key.Raw}
	aes := keystore.Purpose{Spec: key.AES256, Usage: key.EncryptDecrypt, Domain: key.Raw}
	pair := chain.Pair{Name: "a", Value: "b"}
	for name, c := range map[string]struct {
		p keystore.Purpose
		o journal.Order
	}{
		"no payload":                    {p256, journal.Order{Verb: key.Sign, Algorithm: key.ECDSASHA256}},
		"administration":                {p256, journal.Order{Verb: key.CreateKey, Parsed: chain.ParseAdministration(key.CreateKey, nil, "")}},
		"administration as a signature": {p256, journal.Order{Verb: key.Sign, Algorithm: key.ECDSASHA256, Parsed: chain.ParseAdministration(key.CreateKey, nil, "")}},
		"an account below the key":      {p256, journal.Order{Verb: key.Sign, Algorithm: key.ECDSASHA256, Parsed: plain(t, key.Sign, key.ECDSASHA256, nil), Path: "m/0"}},
		"nothing to sign":               {p256, journal.Order{Verb: key.Sign, Algorithm: key.ECDSASHA256, Parsed: plain(t, key.MAC, key.ECDSASHA256, nil)}},
		"hashed for another algorithm":  {p256, journal.Order{Verb: key.Sign, Algorithm: key.ECDSASHA256, Parsed: plain(t, key.Sign, key.ECDSASHA384, nil)}},
		"a context to sign":             {p256, journal.Order{Verb: key.Sign, Algorithm: key.ECDSASHA256, Parsed: plain(t, key.Sign, key.ECDSASHA256, nil, pair)}},
		"a data key of something":       {aes, journal.Order{Verb: key.DataKey, Algorithm: key.XAES256GCM, Parsed: plain(t, key.DataKey, key.XAES256GCM, []byte{1})}},
		"more than fits an envelope":    {aes, journal.Order{Verb: key.Encrypt, Algorithm: key.XAES256GCM, Parsed: plain(t, key.Encrypt, key.XAES256GCM, make([]byte, keystore.MaxPlaintext+1))}},
		"bytes as a transaction":        {p256, journal.Order{Verb: key.SignTransaction, Algorithm: key.EthereumKeccak, Parsed: plain(t, key.Sign, key.ECDSASHA256, nil)}},
	} {
		if err := c.p.Fits(c.o); !errors.Is(err, keystore.ErrUnfit) {
			t.Errorf("%s: got %v, want %v", name, err, keystore.ErrUnfit)
		}
	}
	most := journal.Order{Verb: key.Encrypt, Algorithm: key.XAES256GCM, Parsed: plain(t, key.Encrypt, key.XAES256GCM, make([]byte, keystore.MaxPlaintext), pair)}
	if err := aes.Fits(most); err != nil {
		t.Errorf("the most that fits: %v", err)
	}
}

// family is a chain in which a payload is whatever tasks the test says.
type family struct {
	domain key.Domain
	tasks  []chain.Task
}

func (f family) Domain() key.Domain { return f.domain }

func (f family) Decode([]byte, chain.Ask) (chain.Decoded, error) {
	return chain.Decoded{
		Type: chain.TypeMsg, Tasks: f.tasks, Intent: chain.Intent{Kind: chain.Message, Chain: "eip155:1", Sentence: "Sign.", Text: "text"},
		Assemble: func([]key.Recoverable) ([]byte, error) { return nil, nil }, Extract: func([]byte) ([]key.Recoverable, error) { return nil, nil },
	}, nil
}

func decoded(t *testing.T, domain key.Domain, tasks ...chain.Task) chain.Parsed {
	t.Helper()
	for i := range tasks {
		tasks[i].Digest = make([]byte, 32)
		if len(tasks[i].Path) > 0 {
			tasks[i].Point = make([]byte, 33)
		}
	}
	p, err := chain.Parse(family{domain, tasks}, []byte("payload"), chain.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPurposeOfChainKeys(t *testing.T) {
	plainTask, child, hard := chain.Task{}, chain.Task{Path: key.Path{0, 1}}, chain.Task{Path: key.Path{0, 1 + key.Hardened}}
	schnorr, taproot, deep := chain.Task{Scheme: key.Schnorr}, chain.Task{Scheme: key.Taproot}, chain.Task{Path: make(key.Path, key.MaxDepth+1)}
	purpose := func(s key.Spec, d key.Domain) keystore.Purpose {
		return keystore.Purpose{Spec: s, Usage: key.SignVerify, Domain: d}
	}
	for name, c := range map[string]struct {
		p     keystore.Purpose
		path  string
		of    key.Domain
		tasks []chain.Task
		fits  bool
	}{
		"ethereum":                      {purpose(key.Secp256k1, key.Ethereum), "", key.Ethereum, []chain.Task{plainTask}, true},
		"bitcoin":                       {purpose(key.Secp256k1, key.Bitcoin), "", key.Bitcoin, []chain.Task{plainTask, schnorr, taproot}, true},
		"another chain":                 {purpose(key.Secp256k1, key.Bitcoin), "", key.Ethereum, []chain.Task{plainTask}, false},
		"a raw key":                     {purpose(key.Secp256k1, key.Raw), "", key.Ethereum, []chain.Task{plainTask}, false},
		"another curve":                 {purpose(key.P256, key.Ethereum), "", key.Ethereum, []chain.Task{plainTask}, false},
		"another usage":                 {keystore.Purpose{Spec: key.Secp256k1, Usage: key.EncryptDecrypt, Domain: key.Ethereum}, "", key.Ethereum, []chain.Task{plainTask}, false},
		"schnorr on ethereum":           {purpose(key.Secp256k1, key.Ethereum), "", key.Ethereum, []chain.Task{plainTask, schnorr}, false},
		"a scheme that is none":         {purpose(key.Secp256k1, key.Bitcoin), "", key.Bitcoin, []chain.Task{{Scheme: key.Taproot + 1}}, false},
		"a child of a plain key":        {purpose(key.Secp256k1, key.Bitcoin), "", key.Bitcoin, []chain.Task{child}, false},
		"an account of a plain key":     {purpose(key.Secp256k1, key.Bitcoin), "m/0h", key.Bitcoin, []chain.Task{plainTask}, false},
		"an account":                    {purpose(key.HDSeed, key.Bitcoin), "m/84h/0h/0h", key.Bitcoin, []chain.Task{child, taproot}, true},
		"a seed itself":                 {purpose(key.HDSeed, key.Ethereum), "", key.Ethereum, []chain.Task{plainTask}, true},
		"a hardened step below":         {purpose(key.HDSeed, key.Bitcoin), "m/84h/0h/0h", key.Bitcoin, []chain.Task{child, hard}, false},
		"a very long path":              {purpose(key.HDSeed, key.Bitcoin), "m/84h/0h/0h", key.Bitcoin, []chain.Task{deep}, false},
		"by path, bitcoin":              {purpose(key.HDSeed, key.ByPath), "m/84h/0h/0h", key.Bitcoin, []chain.Task{child}, true},
		"by path, a test network":       {purpose(key.HDSeed, key.ByPath), "m/84h/1h/0h", key.Bitcoin, []chain.Task{child}, true},
		"by path, ethereum":             {purpose(key.HDSeed, key.ByPath), "m/44h/60h/0h/0/0", key.Ethereum, []chain.Task{plainTask}, true},
		"by path, the other chain":      {purpose(key.HDSeed, key.ByPath), "m/84h/0h/0h", key.Ethereum, []chain.Task{plainTask}, false},
		"by path, the other chain, too": {purpose(key.HDSeed, key.ByPath), "m/44h/60h/0h", key.Bitcoin, []chain.Task{plainTask}, false},
		"by path, an unknown coin":      {purpose(key.HDSeed, key.ByPath), "m/44h/61h/0h", key.Ethereum, []chain.Task{plainTask}, false},
		"by path, above the coin":       {purpose(key.HDSeed, key.ByPath), "m/44h", key.Ethereum, []chain.Task{plainTask}, false},
		"by path, the master key":       {purpose(key.HDSeed, key.ByPath), "", key.Ethereum, []chain.Task{plainTask}, false},
		"a domain of the wrong path":    {purpose(key.HDSeed, key.Bitcoin), "m/44h/60h/0h", key.Ethereum, []chain.Task{plainTask}, false},
		"another form":                  {purpose(key.HDSeed, key.Bitcoin), "m/84'/0'/0'", key.Bitcoin, []chain.Task{plainTask}, false},
		"the master key by its name":    {purpose(key.HDSeed, key.Bitcoin), "m", key.Bitcoin, []chain.Task{plainTask}, false},
		"no path":                       {purpose(key.HDSeed, key.Bitcoin), "84h", key.Bitcoin, []chain.Task{plainTask}, false},
	} {
		o := journal.Order{Verb: key.SignMessage, Path: c.path, Algorithm: c.of.ChainAlgorithm(), Parsed: decoded(t, c.of, c.tasks...)}
		if err := c.p.Fits(o); (err == nil) != c.fits || err != nil && !errors.Is(err, keystore.ErrUnfit) {
			t.Errorf("%s: got %v, want it to fit: %v", name, err, c.fits)
		}
		for _, alg := range []key.Algorithm{key.ECDSASHA256, ""} {
			o.Algorithm = alg
			if err := c.p.Fits(o); !errors.Is(err, keystore.ErrUnfit) {
				t.Errorf("%s by %q: got %v, want %v", name, alg, err, keystore.ErrUnfit)
			}
		}
		raw := journal.Order{Verb: key.Sign, Path: c.path, Algorithm: key.ECDSASHA256, Parsed: plain(t, key.Sign, key.ECDSASHA256, nil)}
		if err := c.p.Fits(raw); c.p.Domain != key.Raw && !errors.Is(err, keystore.ErrUnfit) {
			t.Errorf("%s, raw: got %v, want %v", name, err, keystore.ErrUnfit)
		}
	}
}
