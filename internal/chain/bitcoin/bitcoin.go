// Package bitcoin says what a Bitcoin payload means: partially signed
// transactions (BIP-174, BIP-371) and signed messages (BIP-322 and the older
// form). It reads strictly, believes no amount and no path that it has not
// proved, computes the digests that are signed, and puts the signatures where
// they belong. It holds no keys, signs nothing and asks no node.
package bitcoin

import (
	"errors"
	"fmt"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Decoder implements chain.Decoder and chain.Inspector. The zero value is ready.
type Decoder struct{}

var (
	_ chain.Decoder   = Decoder{}
	_ chain.Inspector = Decoder{}
)

// Domain is key.Bitcoin.
func (Decoder) Domain() key.Domain { return key.Bitcoin }

// Decode reads a PSBT or a message; docs/formats/bitcoin.md says which forms and
// by which rules. With chain.Auto whatever begins like a PSBT, or is a
// transaction, is read as that or refused; only the rest is a message.
func (Decoder) Decode(payload []byte, ask chain.Ask) (chain.Decoded, error) {
	dec, err := decode(payload, ask)
	if err != nil {
		return chain.Decoded{}, refuse(err)
	}
	return dec, nil
}

func decode(payload []byte, ask chain.Ask) (chain.Decoded, error) {
	mine, err := keyringOf(ask)
	if err != nil {
		return chain.Decoded{}, err
	}
	switch ask.Type {
	case chain.TypePSBT:
		return decodePSBT(payload, mine, ask)
	case chain.TypeTx:
		return chain.Decoded{}, refuseTx(payload)
	case chain.TypeMsg:
		return decodeMessage(payload, mine, ask)
	case chain.Digest:
		return decodeDigest(payload, mine, ask)
	case chain.Auto:
		switch {
		case resemblesPSBT(payload):
			return decodePSBT(payload, mine, ask)
		case resemblesTx(payload):
			return chain.Decoded{}, refuseTx(payload)
		}
		return decodeMessage(payload, mine, ask)
	}
	return chain.Decoded{}, fmt.Errorf("type %q is not one of Bitcoin's: use psbt or message", ask.Type)
}

// Inspect reads a PSBT of which every input is final, or a signed transaction,
// raw or as hex. Neither names its network: addresses are those of the main one.
func (Decoder) Inspect(payload []byte) (chain.Inspected, error) {
	found, err := inspect(payload)
	if err != nil {
		return chain.Inspected{}, refuse(err)
	}
	return found, nil
}

// ResemblesPSBT tells whether a payload begins as every PSBT does, in any form.
func ResemblesPSBT(payload []byte) bool { return resemblesPSBT(payload) }

// Resembles tells whether a payload is a PSBT or a transaction of Bitcoin, whole
// or not, and nothing of another chain's.
func Resembles(payload []byte) bool { return resemblesPSBT(payload) || resemblesTx(payload) }

// refuseTx says why a transaction that is no PSBT is not signed.
func refuseTx(payload []byte) error {
	if resemblesPSBT(payload) {
		return errors.New("this is a PSBT: ask for type psbt, or leave the type out")
	}
	t, err := looseTx(payload)
	switch {
	case err != nil:
		return fmt.Errorf("transaction: %w", err)
	case t.signed():
		return fmt.Errorf("transaction: %w", chain.ErrSigned)
	}
	return errors.New("transaction: it does not say what its inputs are worth, so that nobody can tell the fee: give a PSBT (BIP-174) with the previous transactions")
}

// resemblesTx is asked about what is no PSBT: is it a transaction, so that
// signing it as a message would surprise its owner?
func resemblesTx(payload []byte) bool {
	_, err := looseTx(payload)
	return err == nil
}

// looseTx reads a transaction that stands alone, raw or as hex.
func looseTx(payload []byte) (*transaction, error) {
	if raw, ok := hexText(payload); ok {
		return parseTx(raw)
	}
	return parseTx(payload)
}

// refuse makes every error of this package one about the payload.
func refuse(err error) error {
	if errors.Is(err, chain.ErrPayload) {
		return err
	}
	return fmt.Errorf("%w: %w", chain.ErrPayload, err)
}

// form writes bytes down as the payload was; what comes of it is written the same.
type form func([]byte) []byte

func rawForm(b []byte) []byte { return b }
