// Package ethereum says what an Ethereum payload means: transactions of types 0
// to 4 as JSON or RLP, EIP-712 typed data, and EIP-191 messages. It reads strictly, computes the
// digest that is signed, and puts the signature where it belongs. It holds no
// keys, signs nothing and asks no node.
package ethereum

import (
	"bytes"
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

// Domain is key.Ethereum.
func (Decoder) Domain() key.Domain { return key.Ethereum }

// Decode reads a transaction or a message; docs/formats/ethereum.md says which
// forms. With chain.Auto whatever resembles a transaction or typed data is read
// as that or refused; only the rest is a message.
func (Decoder) Decode(payload []byte, ask chain.Ask) (chain.Decoded, error) {
	from, err := senderOf(ask.Public)
	if err != nil {
		return chain.Decoded{}, refuse(err)
	}
	switch ask.Type {
	case chain.TypeTx:
		return decodeTx(payload, from, ask.Network)
	case chain.TypeMsg:
		return decodeMessage(payload, from, ask.Network)
	case chain.TypeTyped:
		return decodeTyped(payload, from, ask.Network)
	case chain.Auto:
		if looksTyped(payload) {
			return decodeTyped(payload, from, ask.Network)
		}
		dec, err := decodeTx(payload, from, ask.Network)
		switch {
		case err == nil || errors.Is(err, chain.ErrSigned):
			return dec, err
		case resemblesTx(payload):
			return dec, fmt.Errorf("%w (it resembles a transaction; to have it signed as a message, ask for type %q)", err, chain.TypeMsg)
		}
		return decodeMessage(payload, from, ask.Network)
	case chain.Digest:
		return decodeDigest(payload, from, ask.Network)
	}
	return chain.Decoded{}, refuse(fmt.Errorf("type %q is not one of Ethereum's: use tx, typed-data or message", ask.Type))
}

// Inspect reads a signed transaction, raw or as hex, and recovers its sender.
func (Decoder) Inspect(payload []byte) (chain.Inspected, error) {
	raw := payload
	if b, ok := hexText(payload); ok {
		raw = b
	}
	s, err := DecodeSigned(raw)
	if err != nil {
		return chain.Inspected{}, err
	}
	pub, err := s.Sender()
	if err != nil {
		return chain.Inspected{}, err
	}
	from, err := senderOf(pub)
	if err != nil {
		return chain.Inspected{}, refuse(err)
	}
	hash := s.Hash()
	return chain.Inspected{Intent: s.tx.intent(from, s.tx.network()), Hash: hexBytes(hash[:])}, nil
}

// decodeTx reads an unsigned transaction in any of its forms.
func decodeTx(payload []byte, from sender, network string) (chain.Decoded, error) {
	u, err := parseUnsigned(payload)
	if err == nil {
		err = u.tx.checkUnsigned()
	}
	if err != nil {
		return chain.Decoded{}, refuse(err)
	}
	switch {
	case u.from != nil && from.known && *u.from != from.address:
		return chain.Decoded{}, refuse(fmt.Errorf("from: %s is not the address of the signing key, %s", u.from, from.address))
	case u.from != nil:
		from = sender{*u.from, true}
	}
	net := u.tx.network()
	if network != "" && network != net.chain {
		return chain.Decoded{}, refuse(fmt.Errorf("chainId: the transaction is for %s, asked for %s", net.chain, network))
	}
	seal := u.tx.envelope()
	unsigned := seal.unsigned()
	if u.raw != nil && !bytes.Equal(u.raw, unsigned) {
		return chain.Decoded{}, refuse(errors.New("transaction: not in canonical form"))
	}
	digest := keccak(unsigned)
	return chain.Decoded{
		Intent: u.tx.intent(from, net), Type: chain.TypeTx, Tasks: []chain.Task{{Digest: digest[:]}},
		Assemble: seal.assemble, Extract: seal.extract,
	}, nil
}

// unsigned is what parsing found.
type unsigned struct {
	tx   *tx
	raw  []byte   // the RLP that it was given in; nil for JSON
	from *Address // whom a JSON object names as the sender, or nil
}

func parseUnsigned(payload []byte) (unsigned, error) {
	trimmed := bytes.TrimSpace(payload)
	if len(trimmed) == 0 {
		return unsigned{}, errors.New("transaction: empty")
	}
	if trimmed[0] == '{' {
		t, from, err := parseJSON(trimmed)
		return unsigned{tx: t, from: from}, err
	}
	raw := payload
	if b, ok := hexText(payload); ok {
		raw = b
	} else if chain.Printable(payload) {
		return unsigned{}, errors.New("transaction: neither a JSON object, nor hex, nor binary RLP")
	}
	t, err := parseRLP(raw)
	return unsigned{tx: t, raw: raw}, err
}

// refuse makes every error of this package one about the payload.
func refuse(err error) error {
	if errors.Is(err, chain.ErrPayload) {
		return err
	}
	return fmt.Errorf("%w: %w", chain.ErrPayload, err)
}
