package ethereum

import (
	"errors"
	"fmt"
	"strconv"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// EIP-191, version 0x45 ("E"): the prefix keeps a message from being anything
// else that a chain would accept.
const messagePrefix = "\x19Ethereum Signed Message:\n"

func messageDigest(message []byte) [32]byte {
	return keccak([]byte(messagePrefix), strconv.AppendInt(nil, int64(len(message)), 10), message)
}

// decodeMessage reads any bytes, exactly as they are, as an EIP-191 message.
func decodeMessage(message []byte, from sender, network string) (chain.Decoded, error) {
	if network != "" {
		return chain.Decoded{}, refuse(errors.New("a message belongs to no chain: leave the network out"))
	}
	digest := messageDigest(message)
	in := chain.Intent{
		Kind: chain.Message, From: from.String(),
		Sentence: fmt.Sprintf("Sign a message of %d bytes.", len(message)),
	}
	if chain.Printable(message) {
		in.Text = string(message)
	}
	in.Warnings = messageWarnings(message)
	return loose(in, chain.TypeMsg, digest[:]), nil
}

// decodeDigest takes a digest that somebody else computed: nobody can say what
// it means, so all of it is blind.
func decodeDigest(digest []byte, from sender, network string) (chain.Decoded, error) {
	if network != "" {
		return chain.Decoded{}, refuse(errors.New("a digest belongs to no chain: leave the network out"))
	}
	if len(digest) != chain.DigestSize {
		return chain.Decoded{}, refuse(fmt.Errorf("digest of %d bytes, want %d", len(digest), chain.DigestSize))
	}
	in := chain.Intent{
		Kind: chain.Message, From: from.String(), Blind: true,
		Sentence: "Sign a digest, of which nobody here knows what it stands for.",
		Warnings: []chain.Warning{{Code: "digest", Text: "A digest can stand for any transaction at all."}},
	}
	return loose(in, chain.Digest, digest), nil
}

// loose is what is signed without becoming part of a transaction: its signature
// stands alone, 65 bytes r, s, v with v 27 or 28.
func loose(in chain.Intent, typ chain.Type, digest []byte) chain.Decoded {
	return chain.Decoded{
		Intent: in, Type: typ, Tasks: []chain.Task{{Digest: digest}},
		Assemble: func(sigs []key.Recoverable) ([]byte, error) {
			if len(sigs) != 1 {
				return nil, fmt.Errorf("got %d signatures, want 1", len(sigs))
			}
			if err := checkSignature(sigs[0]); err != nil {
				return nil, err
			}
			return formatSignature(sigs[0]), nil
		},
		Extract: func(signature []byte) ([]key.Recoverable, error) {
			sig, err := ParseSignature(signature)
			if err != nil {
				return nil, err
			}
			return []key.Recoverable{sig}, nil
		},
	}
}

func messageWarnings(message []byte) []chain.Warning {
	all := chain.TextWarnings(message)
	if resemblesTx(message) {
		all = append(all, chain.Warning{Code: "resembles-transaction", Text: "The message resembles a transaction or typed data, and is signed as a message all the same."})
	}
	return all
}
