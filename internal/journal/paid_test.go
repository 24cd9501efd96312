package journal_test

import (
	"context"
	"math/big"
	"testing"
	"time"

	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// TestPaidOnceIsPaidForEver: what a key, or an account of it, was charged for is
// known also after the longest window; what moved nothing is no payment.
func TestPaidOnceIsPaidForEver(t *testing.T) {
	h := journaltest.New(t)
	now := time.UnixMilli(h.Journal.Now())
	h.Now = func() time.Time { return now }
	begin := func(name, path string, amount int64) {
		k := newKey(t, name)
		k.Spec, k.Domain = key.Secp256k1, key.Ethereum
		h.Know(k)
		at := h.Journal.Now()
		r, err := policy.NewRequest(policy.Input{
			Actor: identity.Operator("offline"), Parsed: payment(t, big.NewInt(amount)), Key: k, Version: 1, Algorithm: key.EthereumKeccak,
			Path: path, Epoch: h.Journal.Epoch(), Created: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		d, err := policy.Decide(r, h.Policy, at, h.Journal.Facts(context.Background()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{}); err != nil {
			t.Fatal(err)
		}
	}
	begin("account", "m/84h/0h/0h", 5)
	begin("itself", "", 5)
	begin("nothing", "", 0)
	begin("a-b", "", 5)
	now = now.Add(3 * 366 * 24 * time.Hour)
	h.Reopen()
	for _, c := range []struct {
		key, chain, to string
		want           bool
	}{
		{"account", "eip155:1", payee, true}, {"itself", "eip155:1", payee, true}, {"a-b", "eip155:1", payee, true},
		{"nothing", "eip155:1", payee, false}, {"a_b", "eip155:1", payee, false}, {"acc", "eip155:1", payee, false}, {"%", "eip155:1", payee, false},
		{"itself", "eip155:10", payee, false}, {"itself", "eip155:*", payee, false}, {"itself", "eip155", payee, false}, {"itself", "eip155:1", "0x", false},
	} {
		got, err := h.Journal.Facts(context.Background()).Paid(c.key, c.chain, c.to)
		if err != nil || got != c.want {
			t.Errorf("key %s on %s to %s: got %v, %v, want %v", c.key, c.chain, c.to, got, err, c.want)
		}
	}
}
