package ethereum

import (
	"errors"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"

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
	if isText(message) {
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
	var all []chain.Warning
	warn := func(code, text string) { all = append(all, chain.Warning{Code: code, Text: text}) }
	text := isText(message)
	if len(message) == 0 {
		warn("empty", "The message is empty.")
	} else if !text {
		warn("unprintable", "The message is not printable text: it cannot be shown, only signed.")
	}
	if _, ok := hexText(message); ok && text {
		warn("hex-text", "The message is hex digits: the digits themselves are signed, not the bytes that they spell.")
	}
	if raw, ok := hexText(message); len(message) == 32 || ok && len(raw) == 32 {
		warn("digest-like", "The message looks like a digest: whoever made it may mean something that cannot be seen here.")
	}
	if text && hasRune(message, isBidi) {
		warn("bidi-text", "The message has characters that turn the direction of writing: it may read differently from what it says.")
	}
	if text && hasRune(message, isInvisible) {
		warn("invisible-text", "The message has characters that cannot be seen.")
	}
	if resemblesTx(message) {
		warn("resembles-transaction", "The message resembles a transaction or typed data, and is signed as a message all the same.")
	}
	return all
}

// isText accepts valid UTF-8 without control characters except line feed and tab.
func isText(b []byte) bool {
	if len(b) == 0 || !utf8.Valid(b) {
		return false
	}
	return !hasRune(b, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

func hasRune(b []byte, is func(rune) bool) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if is(r) {
			return true
		}
		b = b[n:]
	}
	return false
}

// isBidi finds the characters that override the direction of writing (Unicode
// Standard Annex 9, table 4, and the marks).
func isBidi(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }

// isInvisible finds what a reader cannot see, except the joiners that some
// scripts and many emoji are written with.
func isInvisible(r rune) bool {
	const nonJoiner, joiner = 0x200c, 0x200d
	return !unicode.IsGraphic(r) && r != '\n' && r != '\t' && !isBidi(r) && r != nonJoiner && r != joiner
}
