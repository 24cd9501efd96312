package key_test

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyward/internal/key"
)

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestWhatEachSpecCanDo(t *testing.T) {
	var b strings.Builder
	for _, s := range key.Specs() {
		own, err := s.Usage("")
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []key.Usage{key.SignVerify, key.EncryptDecrypt, key.GenerateVerifyMAC} {
			algorithms := s.Algorithms(u)
			got, err := s.Usage(u)
			if (err == nil) != (algorithms != nil) || err == nil && got != u {
				t.Errorf("%s for %s: got %s, %v, and algorithms %v", s, u, got, err, algorithms)
			}
			if algorithms == nil {
				continue
			}
			mark := ""
			if u == own {
				mark = " (default)"
			}
			fmt.Fprintf(&b, "%s %s%s: %v\n", s, u, mark, algorithms)
			if first, err := s.Algorithm(u, ""); err != nil || first != algorithms[0] {
				t.Errorf("%s for %s: got default %s, %v, want %s", s, u, first, err, algorithms[0])
			}
			for _, alg := range algorithms {
				if picked, err := s.Algorithm(u, alg); err != nil || picked != alg {
					t.Errorf("%s for %s by %s: got %s, %v", s, u, alg, picked, err)
				}
			}
		}
		if _, err := s.Algorithm(own, "SM2DSA"); err == nil {
			t.Errorf("%s: an unknown algorithm is taken", s)
		}
		if symmetric := strings.HasPrefix(string(s), "AES") || strings.HasPrefix(string(s), "HMAC"); s.Symmetric() != symmetric {
			t.Errorf("%s: got symmetric %v", s, s.Symmetric())
		}
	}
	golden(t, "specs.txt", b.String())
	for _, s := range []key.Spec{"", "aes_256", "ECC_NIST_P224", key.Spec(strings.Repeat("x", 10_000))} {
		if _, err := s.Usage(""); err == nil || len(err.Error()) > 500 {
			t.Errorf("unknown spec: got %v", err)
		}
		if s.Algorithms(key.SignVerify) != nil {
			t.Errorf("%.20q has algorithms", s)
		}
		if _, err := s.Algorithm(key.SignVerify, ""); err == nil {
			t.Errorf("%.20q has an algorithm", s)
		}
	}
	if _, err := key.P256.Usage("VERIFY"); err == nil {
		t.Error("an unknown usage is taken")
	}
}

func TestWhatEachAlgorithmIs(t *testing.T) {
	for alg, want := range map[key.Algorithm]struct {
		hash          crypto.Hash
		deterministic bool
	}{
		key.ECDSASHA256: {crypto.SHA256, true}, key.ECDSASHA384: {crypto.SHA384, true}, key.ECDSASHA512: {crypto.SHA512, true},
		key.ED25519SHA512: {0, true}, key.RSAPSSSHA256: {crypto.SHA256, false}, key.RSAPSSSHA384: {crypto.SHA384, false},
		key.RSAPSSSHA512: {crypto.SHA512, false}, key.RSAPKCS1SHA256: {crypto.SHA256, true}, key.RSAPKCS1SHA384: {crypto.SHA384, true},
		key.RSAPKCS1SHA512: {crypto.SHA512, true}, key.RSAOAEPSHA256: {crypto.SHA256, false}, key.XAES256GCM: {0, false},
		key.HMACSHA256: {crypto.SHA256, true}, key.HMACSHA384: {crypto.SHA384, true}, key.HMACSHA512: {crypto.SHA512, true},
		key.EthereumKeccak: {0, true}, key.BitcoinSighash: {0, true}, "": {0, false},
	} {
		if alg.Hash() != want.hash || alg.Deterministic() != want.deterministic {
			t.Errorf("%q: got %v, %v, want %v, %v", alg, alg.Hash(), alg.Deterministic(), want.hash, want.deterministic)
		}
	}
	for _, s := range key.Specs() {
		for _, u := range []key.Usage{key.SignVerify, key.EncryptDecrypt, key.GenerateVerifyMAC} {
			for _, alg := range s.Algorithms(u) {
				if h := alg.Hash(); h != 0 && !h.Available() {
					t.Errorf("%s: its hash is not linked", alg)
				}
				if slices.Contains([]key.Algorithm{"", key.EthereumKeccak, key.BitcoinSighash}, alg) {
					t.Errorf("%s offers %q", s, alg)
				}
			}
		}
	}
}

var states = []key.State{key.Pending, key.Active, key.Suspended, key.Deactivated, key.Compromised, key.PendingDestruction, key.Destroyed}

// The table of NIST SP 800-57 part 1, section 7, as this product reads it.
func TestWhatEachStatePermits(t *testing.T) {
	var b strings.Builder
	for _, s := range states {
		var verbs, next []string
		for _, v := range key.Verbs() {
			if s.Permits(v) {
				verbs = append(verbs, string(v))
			}
		}
		for _, to := range states {
			if s.To(to) == nil {
				next = append(next, string(to))
			}
		}
		if next == nil {
			next = []string{"nothing else"}
		}
		fmt.Fprintf(&b, "%s\n\tpermits %s\n\tbecomes %s\n", s, strings.Join(verbs, ", "), strings.Join(next, ", "))
	}
	golden(t, "states.txt", b.String())
}

func TestLawsOfStates(t *testing.T) {
	protecting := []key.Verb{key.Sign, key.SignTransaction, key.SignMessage, key.SignTypedData, key.SignBlind, key.Encrypt, key.DataKey, key.MAC}
	for _, s := range states {
		for _, v := range protecting {
			if s.Permits(v) != (s == key.Active) {
				t.Errorf("%s permits %s: %v", s, v, s.Permits(v))
			}
		}
		if s.Permits(key.DisableKey) && s != key.Active {
			t.Errorf("%s permits disable-key, which would cancel a destruction or undo a compromise", s)
		}
		for _, v := range []key.Verb{key.Decrypt, key.VerifyMAC} {
			if s.Permits(v) && (s == key.Pending || s == key.Suspended || s == key.PendingDestruction || s == key.Destroyed) {
				t.Errorf("%s permits %s", s, v)
			}
		}
		if s.To(s) == nil {
			t.Errorf("%s becomes itself", s)
		}
		for _, to := range states {
			switch {
			case s == key.Destroyed && s.To(to) == nil:
				t.Errorf("a destroyed key becomes %s", to)
			case s == key.Compromised && to != key.PendingDestruction && s.To(to) == nil:
				t.Errorf("a compromised key becomes %s", to)
			case s == key.Deactivated && to == key.Active && s.To(to) == nil:
				t.Error("a deactivated key becomes active")
			case to == key.Destroyed && s != key.PendingDestruction && s.To(to) == nil:
				t.Errorf("%s: destroyed without its waiting time", s)
			}
		}
	}
	for _, s := range []key.State{"", "ACTIVE", "unknown"} {
		for _, v := range key.Verbs() {
			if s.Permits(v) && v != key.Read && v != key.Verify {
				t.Errorf("state %q permits %s", s, v)
			}
		}
		if s.To(key.Active) == nil {
			t.Errorf("state %q becomes active", s)
		}
	}
	if key.Active.Permits("fly") {
		t.Error("an unknown verb is permitted")
	}
}
