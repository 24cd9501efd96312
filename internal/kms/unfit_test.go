package kms_test

import (
	"context"
	"strings"
	"testing"

	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/passphrase"
	"keyward/internal/secret"
)

// What a key cannot do at all is told as the caller's mistake, and costs neither
// a record nor a budget.
func TestWhatNoKeyCanDoIsNeverBegun(t *testing.T) {
	b := newBed(t)
	ctx := context.Background()
	b.key("aes", key.AES256, key.Raw)
	_, _, err := b.kms.CreateKey(ctx, operator, kms.NewKey{Name: "rsa", Spec: key.RSA2048, Usage: key.EncryptDecrypt})
	b.must(err)
	before := len(b.settled())
	for name, much := range map[string]int{"rsa": 2048/8 - 2*32 - 2 + 1, "aes": 1 << 20} {
		_, err := b.kms.Encrypt(ctx, operator, kms.CryptRequest{Key: name, Input: make([]byte, much)})
		e := wantKind(t, err, kms.Invalid)
		if !strings.Contains(e.Message, "bytes to encrypt") || e.Hint == "" {
			t.Errorf("%s: got %q (%q), want what is too much and the next step", name, e.Message, e.Hint)
		}
	}
	for _, r := range b.settled()[before:] {
		if r.Action == "key.encrypt" {
			t.Errorf("got record %+v, want none", r)
		}
	}
	if _, err := b.kms.Encrypt(ctx, operator, kms.CryptRequest{Key: "rsa", Input: make([]byte, 2048/8-2*32-2)}); err != nil {
		t.Errorf("the most that fits: %v", err)
	}
}

func TestCredentialsThatNoSlotIsMadeForAreRefusedInWords(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct{ kind, secret, want string }{
		{passphrase.Kind, "short", "passphrase shorter than 8 characters"},
		{passphrase.Kind, strings.Repeat("x", 1025), "passphrase longer than 1024 bytes"},
		{keyfile.Kind, "x", "has 32 bytes, not 1"},
		{"tpm", "x", `unknown kind of slot "tpm"`},
	} {
		s := secret.Take([]byte(c.secret))
		_, _, err := b.kms.AddSlot(context.Background(), operator, "another", seal.Credential{Kind: c.kind, Secret: s}, kms.Ask{})
		s.Destroy()
		if e := wantKind(t, err, kms.Invalid); !strings.Contains(e.Message, c.want) || e.Hint == "" {
			t.Errorf("%s: got %q (%q), want %q and the next step", c.kind, e.Message, e.Hint, c.want)
		}
	}
}
