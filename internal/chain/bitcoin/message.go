package bitcoin

import (
	"bytes"
	"errors"
	"fmt"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// decodeMessage reads any bytes, exactly as they are, as a message that is signed
// for one address of the key: by the older form for P2PKH, else by BIP-322.
func decodeMessage(message []byte, mine *keyring, ask chain.Ask) (chain.Decoded, error) {
	n, err := messageNetwork(ask)
	if err != nil {
		return chain.Decoded{}, err
	}
	in := chain.Intent{Kind: chain.Message, Sentence: fmt.Sprintf("Sign a message of %d bytes.", len(message)), Warnings: chain.TextWarnings(message)}
	if chain.Printable(message) {
		in.Text = string(message)
	}
	if mine.self == nil {
		return readOnly(in, chain.TypeMsg, legacyDigest(message)), nil
	}
	if _, ok := purposeOf(ask.Path); ok && len(ask.Path) == 3 {
		return chain.Decoded{}, fmt.Errorf("a message is signed for one address, and %s is an account: name the key of the address, as in %s/0/0", ask.Path, ask.Path)
	}
	t := TypeAt(ask.Path)
	script, err := scriptOf(mine.self, t)
	if err != nil {
		return chain.Decoded{}, err
	}
	in.From, _ = FormatAddress(script, n)
	in.Sentence = fmt.Sprintf("Sign a message of %d bytes for %s.", len(message), in.From)
	if t == P2PKH {
		return legacyMessage(in, message, mine.self), nil
	}
	return genericMessage(in, message, script, mine.self)
}

// messageNetwork only decides how the address is written: what is signed does
// not depend on it.
func messageNetwork(ask chain.Ask) (Network, error) {
	if ask.Network == "" && len(ask.Path) >= 2 && ask.Path[1] == coinTest {
		return ParseNetwork("testnet4")
	}
	return networkOf(ask.Network, ask.Path)
}

// readOnly is what was decoded for no key.
func readOnly(in chain.Intent, typ chain.Type, digest []byte) chain.Decoded {
	err := errors.New("it was only read: no key was named to sign it")
	return chain.Decoded{
		Intent: in, Type: typ, Tasks: []chain.Task{{Digest: digest}},
		Assemble: func([]key.Recoverable) ([]byte, error) { return nil, err },
		Extract:  func([]byte) ([]key.Recoverable, error) { return nil, refuse(err) },
	}
}

// decodeDigest takes a digest that somebody else computed: nobody can say what
// it means, so all of it is blind. The signature is ECDSA in DER.
func decodeDigest(digest []byte, mine *keyring, ask chain.Ask) (chain.Decoded, error) {
	if ask.Network != "" {
		return chain.Decoded{}, errors.New("a digest belongs to no chain: leave the network out")
	}
	if len(digest) != chain.DigestSize {
		return chain.Decoded{}, fmt.Errorf("digest of %d bytes, want %d", len(digest), chain.DigestSize)
	}
	in := chain.Intent{
		Kind: chain.Message, Blind: true,
		Sentence: "Sign a digest, of which nobody here knows what it stands for.",
		Warnings: []chain.Warning{{Code: "digest", Text: "A digest can stand for any transaction at all."}},
	}
	if mine.self == nil {
		return readOnly(in, chain.Digest, digest), nil
	}
	return chain.Decoded{
		Intent: in, Type: chain.Digest, Tasks: []chain.Task{{Digest: digest, Point: mine.self}},
		Assemble: func(sigs []key.Recoverable) ([]byte, error) { return oneDER(sigs, digest, mine.self) },
		Extract: func(der []byte) ([]key.Recoverable, error) {
			sig, ok := recoverable(mine.self, digest, der)
			if !ok {
				return nil, refuse(errors.New("signature: not strict DER, or not by this key over this digest"))
			}
			return []key.Recoverable{sig}, nil
		},
	}, nil
}

// oneDER is the one signature of a key over a digest, verified.
func oneDER(sigs []key.Recoverable, digest, point []byte) ([]byte, error) {
	if len(sigs) != 1 {
		return nil, fmt.Errorf("got %d signatures, want 1", len(sigs))
	}
	der, err := derOf(sigs[0])
	if err == nil && !verifyECDSA(point, digest, der) {
		err = errors.New("the signature does not verify")
	}
	return der, err
}

// VerifyMessage checks a signature over a message for an address: in the forms
// of BIP-322, simple and full (without a prefix it is taken for simple), or for an
// address of one ECDSA key in the older one (BIP-137). A proof of funds is
// refused: what it proves, only a node can tell. Errors wrap chain.ErrPayload.
func VerifyMessage(address string, message []byte, signature string, n Network) (Lock, error) {
	script, err := ParseAddress(address, n)
	if err != nil {
		return Lock{}, refuse(err)
	}
	lock, err := verifyMessage(script, message, signature)
	if err != nil {
		return Lock{}, refuse(fmt.Errorf("signature: %w", err))
	}
	return lock, nil
}

func verifyMessage(script, message []byte, signature string) (Lock, error) {
	switch text := []byte(signature); {
	case bytes.HasPrefix(text, []byte(prefixSimple)):
		return verifySimple(script, message, text[len(prefixSimple):])
	case bytes.HasPrefix(text, []byte(prefixFull)):
		return verifyFull(script, message, text[len(prefixFull):])
	case bytes.HasPrefix(text, []byte(prefixFunds)):
		return Lock{}, errors.New("a proof of funds (BIP-322) is not verified here: it needs a node")
	default:
		raw, err := decodeBase64(text)
		if err == nil && len(raw) == legacySize && raw[0] >= 27 && raw[0] <= 42 {
			return Lock{}, verifyLegacy(script, message, raw)
		}
		return verifySimple(script, message, text)
	}
}
