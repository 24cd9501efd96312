package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// The older form of signed messages, before BIP-322: base64 of a header, r and s.
// BIP-137 gives each type of address its own range of headers.

const (
	legacyPrefix = "\x18Bitcoin Signed Message:\n"
	legacySize   = 65
	// The first headers of BIP-137; the recovery id, 0 to 3, is added.
	headerUncompressed = 27
	headerCompressed   = 31
	headerNested       = 35
	headerSegwit       = 39
)

// legacyDigest is the double SHA-256 behind a prefix that keeps a message from
// being a transaction.
func legacyDigest(message []byte) []byte {
	first := sha256.Sum256(appendChunk([]byte(legacyPrefix), message))
	second := sha256.Sum256(first[:])
	return second[:]
}

// legacyMessage is a message for a P2PKH address.
func legacyMessage(in chain.Intent, message, point []byte) chain.Decoded {
	digest := legacyDigest(message)
	return chain.Decoded{
		Intent: in, Type: chain.TypeMsg, Tasks: []chain.Task{{Digest: digest, Point: point}},
		Assemble: func(sigs []key.Recoverable) ([]byte, error) {
			if _, err := oneDER(sigs, digest, point); err != nil {
				return nil, err
			}
			raw := append([]byte{headerCompressed + sigs[0].V}, sigs[0].R[:]...)
			return encodeBase64(append(raw, sigs[0].S[:]...)), nil
		},
		Extract: func(text []byte) ([]key.Recoverable, error) {
			raw, err := decodeBase64(text)
			if err != nil || len(raw) != legacySize || raw[0]-headerCompressed > 1 {
				return nil, refuse(errors.New("signature: not base64 of the 65 bytes that sign for a compressed P2PKH key"))
			}
			return []key.Recoverable{{R: [32]byte(raw[1:33]), S: [32]byte(raw[33:]), V: raw[0] - headerCompressed}}, nil
		},
	}
}

// verifyLegacy recovers the key, and wants it to be the one of the script by the
// type that the header names. Many programs write the header of P2PKH for segwit
// addresses too; that is taken as well.
func verifyLegacy(script, message, raw []byte) error {
	id := (raw[0] - headerUncompressed) % 4
	compact := append([]byte{headerUncompressed + id}, raw[1:]...)
	var s secp256k1.ModNScalar
	if s.SetByteSlice(raw[33:]) || s.IsOverHalfOrder() {
		return errors.New("s is not in the lower half of the order")
	}
	public, _, err := ecdsa.RecoverCompact(compact, legacyDigest(message))
	if err != nil {
		return errors.New("no key can be recovered from it")
	}
	point := public.SerializeCompressed()
	if raw[0] < headerCompressed {
		if !bytes.Equal(script, payKeyHash(hash160(public.SerializeUncompressed()))) {
			return errNotByAddress
		}
		return nil
	}
	t, ok := typeOfKey(script, point)
	plain := raw[0] < headerNested
	switch {
	case !ok:
	case t == P2PKH && plain, t == P2SHP2WPKH && (plain || raw[0] < headerSegwit), t == P2WPKH && (plain || raw[0] >= headerSegwit):
		return nil
	}
	return errNotByAddress
}

var errNotByAddress = errors.New("it is not one of this address over this message")
