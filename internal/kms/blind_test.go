package kms_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"strings"
	"testing"

	"keyward/internal/approval"
	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/identity"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/kms"
	"keyward/internal/policy"
	"keyward/internal/seal/sealtest"
	"keyward/internal/store"
)

// The solo policy lets the operator do everything, and nothing blind.
func TestNobodySignsBlindUnlessARuleNamesIt(t *testing.T) {
	b := newBed(t)
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.key("open", key.Secp256k1, key.Ethereum)
	b.apply("  - {name: blind, who: [operator], keys: [open], do: [sign-transaction, sign-blind], then: allow}\n")
	call := []byte(strings.Replace(string(payment(payee, 1, 0)), `"gas"`, `"data":"0xdeadbeef","gas"`, 1))
	creation := []byte(strings.Replace(string(payment(payee, 0, 0)), `"to":"`+payee+`"`, `"data":"0x6000"`, 1))
	for name, r := range map[string]kms.SignRequest{
		"digest":   {Type: chain.Digest, Payload: make([]byte, 32)},
		"call":     {Type: chain.TypeTx, Payload: call},
		"creation": {Type: chain.TypeTx, Payload: creation},
	} {
		r.Key = "hot"
		_, err := b.kms.Sign(context.Background(), operator, r)
		e := wantKind(t, err, kms.Denied)
		if e.Reasons[0].Code != "blind" {
			t.Errorf("%s: got %+v, want it denied as blind", name, e.Reasons)
		}
		r.Key = "open"
		if _, err := b.kms.Sign(context.Background(), operator, r); err != nil {
			t.Errorf("%s, where a rule names it: %v", name, err)
		}
	}
}

// What one key's payload earned does nothing with another key: each proof holds
// the payload and the key that were judged together.
func TestProofsDoNotMix(t *testing.T) {
	ctx := context.Background()
	h := journaltest.New(t)
	root, _ := sealtest.Root(t, [32]byte{1})
	ks := software.New(software.Options{Reader: h.Reader, Root: root, Rand: rand.Reader})
	t.Cleanup(ks.Lock)
	made := map[string]key.Key{}
	for name, domain := range map[string]key.Domain{"chain": key.Ethereum, "raw": key.Raw} {
		k := key.Key{
			Name: name, Spec: key.Secp256k1, Usage: key.SignVerify, Domain: domain, Origin: key.Generated, State: key.Active, Current: 1,
		}
		var err error
		if k.ID, err = key.NewID(1, rand.Reader); err != nil {
			t.Fatal(err)
		}
		birth, err := ks.Generate(ctx, k, 1)
		if err != nil {
			t.Fatal(err)
		}
		k.Versions = []key.VersionInfo{birth.Info(1)}
		h.Commit(func(tx *store.Tx) error { return birth.Put(tx) })
		h.Know(k)
		made[name] = k
	}
	tx, err := chain.Parse(ethereum.Decoder{}, payment(payee, 1, 0), chain.Ask{Type: chain.TypeTx, Public: made["chain"].Versions[0].Public})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := chain.ParsePlain(key.Sign, chain.Digest, crypto.SHA256, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	// A chain's payload with a raw key is denied, whatever the rules say.
	if d := h.Decide(made["raw"], 1, key.EthereumKeccak, tx); d.Outcome() != policy.Denied {
		t.Errorf("a transaction by a raw key: got %s, want denied", d.Outcome())
	}
	for name, c := range map[string]struct {
		k   key.Key
		alg key.Algorithm
		p   chain.Parsed
		ok  bool
	}{
		"the transaction":                {made["chain"], key.EthereumKeccak, tx, true},
		"the digest":                     {made["raw"], key.ECDSASHA256, plain, true},
		"transaction, a raw algorithm":   {made["chain"], key.ECDSASHA256, tx, false},
		"digest, the chain's algorithm":  {made["raw"], key.EthereumKeccak, plain, false},
		"digest, hashed for another one": {made["raw"], key.ECDSASHA384, plain, false},
	} {
		permit, err := h.Try(c.k, 1, c.alg, c.p)
		if err != nil {
			if c.ok {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		copied := permit
		result, err := ks.Use(ctx, permit)
		if (err == nil) != c.ok || err != nil && result.Valid() {
			t.Errorf("%s: got %v, want it done: %v", name, err, c.ok)
		}
		if again, err := ks.Use(ctx, copied); err == nil || again.Valid() {
			t.Errorf("%s: a copy of its permit was good for another use", name)
		}
	}
	for name, in := range map[string]policy.Input{
		"nobody":         {Parsed: tx, Key: made["chain"], Version: 1},
		"no payload":     {Actor: operator, Key: made["chain"], Version: 1},
		"no version":     {Actor: operator, Parsed: tx, Key: made["chain"]},
		"a version more": {Actor: identity.Operator("unix"), Parsed: tx, Key: made["chain"], Version: 2},
	} {
		if r, err := policy.NewRequest(in); err == nil || r.Valid() {
			t.Errorf("a request with %s was taken", name)
		}
	}
	if _, err := policy.Decide(policy.Request{}, h.Policy, 1, nil); err == nil {
		t.Error("a decision about no request")
	}
	if _, err := approval.Tally(policy.Decision{}, 1); err == nil {
		t.Error("a grant of no decision")
	}
}
