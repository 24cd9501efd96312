package main

import (
	"strings"
	"testing"
)

const mnemonic = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

func TestSecretsAreKnownByTheirForm(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	for name, c := range map[string]struct {
		arg  string
		want bool
	}{
		"mnemonic of 12":      {mnemonic, true},
		"mnemonic of 24":      {mnemonic + " " + mnemonic, true},
		"mnemonic, tabs":      {strings.ReplaceAll(mnemonic, " ", "\t "), true},
		"eleven words":        {strings.TrimPrefix(mnemonic, "abandon "), false},
		"a sentence":          {"The quick brown fox jumps over the lazy dog and then it sleeps well.", false},
		"64 digits":           {digits, true},
		"64 digits, 0x":       {"0x" + strings.ToUpper(digits), true},
		"a seed of 64 bytes":  {digits + digits, true},
		"63 digits":           {digits[1:], false},
		"an address":          {"0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", false},
		"a hash in a path":    {"./" + digits, false},
		"a marked signature":  {"hex:" + digits, false},
		"WIF":                 {"5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", true},
		"WIF, compressed":     {"KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617", true},
		"WIF, testnet":        {"cMzLdeGd5vEqxB8B6VFQoRopQ3sLAAvEzDAoQgvX54xwofSWj1fx", true},
		"52 other characters": {"KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP9861-", false},
		"a token":             {"kwt_qTGpcwhiyghwtFvbpemlYmydpRrp_YSSrkLNJ--Ddss", true},
		"a file of tokens":    {"kwt_notes.txt", false},
		"a key file's line":   {"keyward-key-file-v1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true},
		"xprv":                {"xprv" + strings.Repeat("9", 107), true},
		"xpub":                {"xpub" + strings.Repeat("9", 107), false},
		"an age identity":     {"AGE-SECRET-KEY-1" + strings.Repeat("Q", 58), true},
		"a PEM key":           {"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG", true},
		"a log key":           {"keyward/e9c5937b787af98b+a4ea12e7+AQova8mmvQ0tKrZ35rxFo835d8xn08sbnbfp/lxDDRg/", false},
		"an id":               {"op_01m82whgqpaq6nbgk0g6kck1wj", false},
		"a name":              {"payments", false},
		"stdin":               {"-", false},
		"nothing":             {"", false},
	} {
		if got := looksSecret(c.arg); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestNoSecretPassesTheCommandLine(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		args []string
		want bool
	}{
		"as an argument":                {[]string{"key", "show", hash}, true},
		"as a flag's value":             {[]string{"sign", "--key", hash, "f"}, true},
		"after =":                       {[]string{"sign", "--key=" + hash, "f"}, true},
		"before a command":              {[]string{hash}, true},
		"words one by one":              {append([]string{"seed"}, strings.Fields(mnemonic)...), true},
		"words with a flag":             {append([]string{"--json", "seed"}, strings.Fields(mnemonic)...), true},
		"an idempotency key":            {[]string{"sign", "--idempotency-key", hash, "f"}, false},
		"an idempotency key, =":         {[]string{"sign", "--idempotency-key=" + hash, "f"}, false},
		"beside an idempotency key":     {[]string{"sign", "--idempotency-key", "a", hash}, true},
		"context bound to a ciphertext": {[]string{"encrypt", "--context", "file=" + hash, "f"}, false},
		"ordinary":                      {[]string{"--dir", "d", "key", "create", "payments", "--spec", "AES_256"}, false},
	} {
		if got := refuseSecrets(c.args) != nil; got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
