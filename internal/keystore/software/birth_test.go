package software_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/software"
)

func TestWhatCannotBeMadeIsRefused(t *testing.T) {
	w := newWorld(t, 0)
	good := key.Key{ID: w.create(t, key.Key{Spec: key.P256}).ID, Spec: key.P256, Usage: key.SignVerify, Domain: key.Raw, Origin: key.Generated}
	for name, change := range map[string]func(*key.Key) key.Version{
		"no version":            func(k *key.Key) key.Version { return 0 },
		"no id":                 func(k *key.Key) key.Version { k.ID = ""; return 2 },
		"no usage":              func(k *key.Key) key.Version { k.Usage = ""; return 2 },
		"another usage":         func(k *key.Key) key.Version { k.Usage = key.EncryptDecrypt; return 2 },
		"no such spec":          func(k *key.Key) key.Version { k.Spec = "ECC_NIST_P224"; return 2 },
		"a domain of one chain": func(k *key.Key) key.Version { k.Domain = key.Ethereum; return 2 },
		"no domain":             func(k *key.Key) key.Version { k.Domain = ""; return 2 },
		"another origin":        func(k *key.Key) key.Version { k.Origin = key.Imported; return 2 },
		"a raw seed":            func(k *key.Key) key.Version { k.Spec = key.HDSeed; return 2 },
	} {
		k := good
		v := change(&k)
		if _, err := w.Generate(t.Context(), k, v); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Generate(ctx, good, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: got %v, want %v", err, context.Canceled)
	}
}

func TestAKeyProvesItself(t *testing.T) {
	w := newWorld(t, 0)
	for _, k := range []key.Key{
		{Spec: key.AES256}, {Spec: key.HMAC384}, {Spec: key.RSA2048}, {Spec: key.RSA2048, Usage: key.EncryptDecrypt}, {Spec: key.P256},
		{Spec: key.P384}, {Spec: key.P521}, {Spec: key.Secp256k1, Domain: key.Ethereum}, {Spec: key.Ed25519}, {Spec: key.HDSeed},
	} {
		k = w.create(t, k)
		ref, public := key.Ref{ID: k.ID, Version: 1}, k.Versions[0].Public
		p, err := w.Prove(t.Context(), ref, public, software.Possession)
		if err != nil {
			t.Errorf("%s: %v", k.Spec, err)
			continue
		}
		if k.Usage == key.SignVerify {
			var c []any
			if err := cbor.Unmarshal(p.Challenge, &c); err != nil || len(c) != 5 || fmt.Sprint(c[:4]) != fmt.Sprintf("[keyward/proof/v1 possession %s 1]", k.ID) {
				t.Errorf("%s: got challenge %v, %v", k.Spec, c, err)
			}
			input := p.Challenge
			if h := p.Algorithm.Hash(); h != 0 {
				digest := h.New()
				digest.Write(input)
				input = digest.Sum(nil)
			}
			if err := keystore.Verify(public, p.Algorithm, input, p.Signature); err != nil {
				t.Errorf("%s: %v", k.Spec, err)
			}
			again, err := w.Prove(t.Context(), ref, public, software.Possession)
			if err != nil || bytes.Equal(again.Challenge, p.Challenge) {
				t.Errorf("%s: got the same challenge twice, %v", k.Spec, err)
			}
		}
		other := append(key.Public{1}, public...)
		if _, err := w.Prove(t.Context(), ref, other, software.Drill); err == nil {
			t.Errorf("%s: it proves itself under another public key", k.Spec)
		}
	}
}

func TestABirthHasItsEvidence(t *testing.T) {
	w := newWorld(t, 0)
	tests := map[key.Usage]string{key.SignVerify: "sign and verify", key.EncryptDecrypt: "encrypt and decrypt", key.GenerateVerifyMAC: "compute twice"}
	for _, spec := range []key.Spec{key.AES256, key.HMAC256, key.P256, key.P521, key.Secp256k1, key.Ed25519, key.RSA2048, key.HDSeed} {
		before := time.Now().UnixMilli()
		k := w.create(t, key.Key{Spec: spec})
		var got struct {
			Format    uint     `cbor:"1,keyasint"`
			Spec      key.Spec `cbor:"2,keyasint"`
			Made      int64    `cbor:"3,keyasint"`
			Sources   []string `cbor:"4,keyasint"`
			Procedure string   `cbor:"5,keyasint"`
			Program   string   `cbor:"6,keyasint"`
			Module    string   `cbor:"7,keyasint"`
			Tests     []string `cbor:"8,keyasint"`
		}
		if err := cbor.Unmarshal(k.Versions[0].Birth, &got); err != nil {
			t.Fatal(err)
		}
		var entries map[int]any
		if err := cbor.Unmarshal(k.Versions[0].Birth, &entries); err != nil || len(entries) != 8 {
			t.Errorf("%s: got %d entries, %v, want 8", spec, len(entries), err)
		}
		if got.Format != 1 || got.Spec != spec || got.Made < before || got.Made > time.Now().UnixMilli() || len(got.Sources) != 1 ||
			got.Procedure == "" || got.Program == "" || got.Tests[0] != tests[k.Usage] || len(got.Tests) != 1 && spec != key.HDSeed {
			t.Errorf("%s: got %+v", spec, got)
		}
		if spec == key.HDSeed && !slices.Equal(got.Tests, []string{"sign and verify", "derive in both ways"}) {
			t.Errorf("%s: got tests %v", spec, got.Tests)
		}
	}
}
