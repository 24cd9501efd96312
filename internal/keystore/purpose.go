package keystore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"keyward/internal/journal"
	"keyward/internal/key"
)

// ErrUnfit means that a key was not made for what a Permit asks of it.
var ErrUnfit = errors.New("the key was not made for this")

// Purpose is what a key was made for, sealed with its material at birth. A
// keystore believes it, and not the row that describes the key.
type Purpose struct {
	Spec   key.Spec
	Usage  key.Usage
	Domain key.Domain
}

// Fits refuses, with ErrUnfit, an order that a key of this purpose must not or
// cannot carry out. Whether it may is the policy's business, and was before.
func (p Purpose) Fits(o journal.Order) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrUnfit, fmt.Sprintf(format, args...))
	}
	switch {
	case !o.Parsed.Valid():
		return refuse("no payload")
	case o.Path != "" && p.Spec != key.HDSeed:
		return refuse("%s has no account %q below it", p.Spec, o.Path)
	}
	n := len(o.Parsed.Payload())
	switch o.Verb {
	case key.SignTransaction, key.SignMessage, key.SignTypedData, key.SignBlind:
		return p.fitsChain(o)
	case key.Sign:
		if len(o.Parsed.Tasks()) != 1 {
			return refuse("%d digests, want one", len(o.Parsed.Tasks()))
		}
	case key.Encrypt:
		if most := p.plaintextMax(); n > most {
			return refuse("%d bytes to encrypt, a key of spec %s takes at most %d: encrypt longer data with a data key", n, p.Spec, most)
		}
	case key.DataKey:
		if n != 0 {
			return refuse("a data key is made of nothing, not of %d bytes", n)
		}
	case key.Decrypt, key.MAC, key.VerifyMAC:
	default:
		return refuse("no keystore does %s", o.Verb)
	}
	usage := usageFor(o.Verb)
	switch {
	case o.Parsed.Domain() != key.Raw || p.Domain != key.Raw:
		return refuse("%s is for plain bytes and raw keys; the payload is of domain %s, the key of %s", o.Verb, o.Parsed.Domain(), p.Domain)
	case p.Usage != usage || !slices.Contains(p.Spec.Algorithms(usage), o.Algorithm):
		return refuse("%s for %s does not %s by %s", p.Spec, p.Usage, o.Verb, o.Algorithm)
	case o.Parsed.Hash() != o.Algorithm.Hash():
		return refuse("the payload was hashed for another algorithm than %s", o.Algorithm)
	case len(o.Parsed.Context()) > 0 && usage != key.EncryptDecrypt:
		return refuse("%s knows no context", o.Verb)
	}
	return nil
}

// plaintextMax is how many bytes a key encrypts at once: for RSA what RSAES-OAEP
// leaves of the modulus (RFC 8017, section 7.1.1, step 1b).
func (p Purpose) plaintextMax() int {
	switch p.Spec {
	case key.RSA2048:
		return 2048/8 - 2*sha256.Size - 2
	case key.RSA3072:
		return 3072/8 - 2*sha256.Size - 2
	case key.RSA4096:
		return 4096/8 - 2*sha256.Size - 2
	}
	return MaxPlaintext
}

// fitsChain is Fits for payloads that a chain's decoder read.
func (p Purpose) fitsChain(o journal.Order) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrUnfit, fmt.Sprintf(format, args...))
	}
	path, err := account(o.Path)
	if err != nil {
		return refuse("%v", err)
	}
	domain, err := p.Domain.At(path)
	switch {
	case err != nil:
		return refuse("%v", err)
	case p.Spec != key.Secp256k1 && p.Spec != key.HDSeed || p.Usage != key.SignVerify || domain == key.Raw ||
		o.Parsed.Domain() != domain || o.Algorithm != domain.ChainAlgorithm():
		return refuse("%s, domain %s, does not sign a payload of domain %s by %s", p.Spec, domain, o.Parsed.Domain(), o.Algorithm)
	}
	for _, t := range o.Parsed.Tasks() {
		switch {
		case len(t.Path) > 0 && p.Spec != key.HDSeed:
			return refuse("%s has no key at %s below it", p.Spec, t.Path)
		case !t.Path.Public() || len(t.Path) > key.MaxDepth:
			return refuse("%s is a hardened or a very long path, which no payload may choose", t.Path)
		case t.Scheme != key.ECDSA && domain != key.Bitcoin || t.Scheme > key.Taproot:
			return refuse("domain %s has no signature of scheme %d", domain, t.Scheme)
		}
	}
	return nil
}

// account reads the path of an order, which has one form only: rules and budgets
// go by it. The master key is "", not "m".
func account(text string) (key.Path, error) {
	if text == "" {
		return nil, nil
	}
	path, err := key.ParsePath(text)
	if err != nil {
		return nil, err
	}
	if len(path) == 0 || path.String() != text {
		return nil, fmt.Errorf("path %q is not in canonical form: want %s, and nothing for the master key", text, path)
	}
	return path, nil
}

func usageFor(v key.Verb) key.Usage {
	switch v {
	case key.Sign:
		return key.SignVerify
	case key.MAC, key.VerifyMAC:
		return key.GenerateVerifyMAC
	}
	return key.EncryptDecrypt
}
