package chain

import (
	"bytes"
	"encoding/hex"
	"unicode"
	"unicode/utf8"
)

// Printable accepts valid UTF-8 without control characters except line feed and
// tab, and not empty.
func Printable(b []byte) bool {
	if len(b) == 0 || !utf8.Valid(b) {
		return false
	}
	return !hasRune(b, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

// HexText decodes text that is nothing but hex digits, an even number and not
// none, with or without 0x, and white space around.
func HexText(payload []byte) ([]byte, bool) {
	text := bytes.TrimSpace(payload)
	if len(text) >= 2 && text[0] == '0' && text[1]|0x20 == 'x' {
		text = text[2:]
	}
	if len(text) == 0 || len(text)%2 != 0 || text[0] > 'f' || text[0] < '0' { // most binary ends here
		return nil, false
	}
	b := make([]byte, len(text)/2)
	if _, err := hex.Decode(b, text); err != nil {
		return nil, false
	}
	return b, true
}

// TextWarnings says where a message may mean something else to whoever reads it
// than to whoever made it.
func TextWarnings(message []byte) []Warning {
	var all []Warning
	warn := func(code, text string) { all = append(all, Warning{Code: code, Text: text}) }
	text := Printable(message)
	if len(message) == 0 {
		warn("empty", "The message is empty.")
	} else if !text {
		warn("unprintable", "The message is not printable text: it cannot be shown, only signed.")
	}
	raw, digits := HexText(message)
	if digits && text {
		warn("hex-text", "The message is hex digits: the digits themselves are signed, not the bytes that they spell.")
	}
	if len(message) == DigestSize || digits && len(raw) == DigestSize {
		warn("digest-like", "The message looks like a digest: whoever made it may mean something that cannot be seen here.")
	}
	if text && hasRune(message, isBidi) {
		warn("bidi-text", "The message has characters that turn the direction of writing: it may read differently from what it says.")
	}
	if text && hasRune(message, isInvisible) {
		warn("invisible-text", "The message has characters that cannot be seen.")
	}
	return all
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
