package kms_test

import (
	"context"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/kms"
)

// A pattern of key names speaks of keys, and never of keyward itself.
func TestPatternsOfKeysDoNotReadTheRest(t *testing.T) {
	b := newBed(t)
	b.key("savings", key.P256, key.Raw)
	a := b.service("glob")
	b.apply("  - {name: s, who: [\"service:glob\"], keys: [\"s*\", \"p*\", \"a*\"], do: [use], then: allow}\n")
	ctx := context.Background()
	if _, err := b.kms.Key(ctx, a, "savings", ""); err != nil {
		t.Errorf("its own key: %v", err)
	}
	for what, read := range map[string]func() error{
		"policy":   func() error { _, err := b.kms.Policy(ctx, a); return err },
		"services": func() error { _, err := b.kms.Services(ctx, a); return err },
		"seal":     func() error { _, err := b.kms.Slots(ctx, a); return err },
		"all keys": func() error { _, err := b.kms.Keys(ctx, a, "", 10); return err },
	} {
		if err := read(); kms.KindOf(err) != kms.Denied {
			t.Errorf("%s: got %v, want denied", what, err)
		}
	}
}

// Whose address a key has is not for everybody.
func TestDecodeDoesNotTellAddressesOfOthersKeys(t *testing.T) {
	b := newBed(t)
	b.key("cold", key.Secp256k1, key.Ethereum)
	a := b.service("nobody")
	if _, _, err := b.kms.Decode(context.Background(), a, kms.DecodeRequest{Payload: []byte("hello"), Type: chain.TypeMsg, Key: "cold"}); kms.KindOf(err) != kms.Denied {
		t.Errorf("got %v, want denied", err)
	}
}
