package bitcoin

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"keyward/internal/chain"
)

var strictBase64 = base64.StdEncoding.Strict()

// decodeBase64 is RFC 4648, section 4, in one line, with padding, and with
// white space around at most.
func decodeBase64(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	if bytes.ContainsAny(text, "\r\n") { // encoding/base64 would skip them
		return nil, errors.New("base64: a line break inside")
	}
	b := make([]byte, strictBase64.DecodedLen(len(text)))
	n, err := strictBase64.Decode(b, text)
	if err != nil {
		return nil, errors.New("base64: not in canonical form, or not base64")
	}
	return b[:n], nil
}

func encodeBase64(b []byte) []byte { return strictBase64.AppendEncode(nil, b) }

func encodeHex(b []byte) []byte { return hex.AppendEncode(nil, b) }

// hexText decodes text that is nothing but hex digits.
var hexText = chain.HexText
