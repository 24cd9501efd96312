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
