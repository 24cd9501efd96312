package main

import "strings"

// refuseSecrets stops a command line that holds what looks like a secret: the
// shell's history and every process of the machine would see it. It looks at the
// arguments as they were typed, before anything could repeat them in a message.
func refuseSecrets(args []string) error {
	words := 0
	for i, arg := range args {
		if i > 0 && args[i-1] == freeText {
			continue
		}
		value := arg
		if flag, after, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(flag, "--") {
			if value = after; flag == freeText {
				continue
			}
		}
		if words++; !isWord(arg) {
			words = 0
		}
		if looksSecret(value) || words >= mnemonicMin {
			return &failure{
				code: exitUsage, kind: "usage", message: "an argument looks like a secret, and other people can see arguments",
				hint: "put it in a file of mode 0600 and name the file, or give - and pipe it in; a file of such a name is ./NAME; if it was a secret, replace it",
			}
		}
	}
	return nil
}

// freeText is the flag whose value may well be a hash.
const freeText = "--idempotency-key"

const (
	mnemonicMin = 12 // words (BIP-39)
	mnemonicMax = 33 // words (SLIP-39)
	base58      = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

// marks begin secrets whose form is known; each with the length from which on
// it is taken for one.
var marks = []struct {
	prefix string
	length int
}{
	{"kwt_", 40}, {"keyward-key-file-v1 ", 60}, {"AGE-SECRET-KEY-", 40}, {"age-secret-key-", 40}, {"-----BEGIN", 40},
	{"xprv", 100}, {"yprv", 100}, {"zprv", 100}, {"tprv", 100}, {"uprv", 100}, {"vprv", 100},
}

// looksSecret knows tokens, key files, WIF keys, extended private keys, raw keys
// and seeds in hex, and mnemonics.
func looksSecret(arg string) bool {
	for _, m := range marks {
		if len(arg) >= m.length && strings.HasPrefix(arg, m.prefix) {
			return true
		}
	}
	bare := strings.TrimPrefix(arg, "0x")
	switch {
	case (len(bare) == 64 || len(bare) == 128) && strings.Trim(bare, "0123456789abcdefABCDEF") == "":
		return true
	case len(arg) == 51 && strings.ContainsAny(arg[:1], "59") && strings.Trim(arg, base58) == "",
		len(arg) == 52 && strings.ContainsAny(arg[:1], "KLc") && strings.Trim(arg, base58) == "":
		return true
	}
	words := strings.Fields(arg)
	if len(words) < mnemonicMin || len(words) > mnemonicMax {
		return false
	}
	for _, w := range words {
		if !isWord(w) {
			return false
		}
	}
	return true
}

func isWord(s string) bool {
	return len(s) >= 3 && len(s) <= 8 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}
