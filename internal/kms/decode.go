package kms

import (
	"context"
	"crypto"
	"errors"
	"slices"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/identity"
	"keyward/internal/key"
)

// DecodeRequest asks what a payload means.
type DecodeRequest struct {
	Payload []byte
	Type    chain.Type // Auto looks at the payload
	Key     string     // name or id, with a path, of the key that would sign; "" for none
	Domain  key.Domain // without a key; "" looks at the payload
	Network string
}

// Decode says what a payload means. No key is needed; where one is named, its
// domain and addresses are used, and what comes back to it is known.
func (k *KMS) Decode(ctx context.Context, a identity.Actor, r DecodeRequest) (chain.Intent, chain.Type, error) {
	if !a.Valid() {
		return chain.Intent{}, "", fail(Unauthenticated, "", "nobody asks")
	}
	acc := account{domain: r.Domain}
	if r.Key != "" {
		var err error // whose address a payload's sender is, is not for everybody
		if acc, err = k.look(ctx, a, key.Read, r.Key, 0); err != nil {
			return chain.Intent{}, "", err
		}
	}
	if acc.domain == "" {
		acc.domain = guess(r)
	}
	if acc.domain == key.ByPath {
		return chain.Intent{}, "", acc.signs(SignRequest{})
	}
	if acc.domain == key.Raw {
		parsed, err := chain.ParsePlain(key.Sign, chain.TypeMsg, crypto.SHA256, r.Payload, nil)
		if err != nil {
			return chain.Intent{}, "", k.wrap(err)
		}
		return parsed.Intent(), parsed.Type(), nil
	}
	decoder, err := k.decoder(acc.domain)
	if err != nil {
		return chain.Intent{}, "", err
	}
	parsed, err := chain.Parse(decoder, r.Payload, acc.asking(r.Type, r.Network))
	if inspector, ok := decoder.(chain.Inspector); ok && errors.Is(err, chain.ErrSigned) {
		seen, err := inspector.Inspect(r.Payload)
		return seen.Intent, chain.TypeTx, k.wrap(err)
	}
	if err != nil {
		return chain.Intent{}, "", k.wrap(err)
	}
	return parsed.Intent(), parsed.Type(), nil
}

// guess finds the chain of a payload for which nobody named one.
func guess(r DecodeRequest) key.Domain {
	_, err := bitcoin.ParseNetwork(r.Network)
	if r.Type == chain.TypePSBT || err == nil || !slices.Contains([]chain.Type{chain.TypeTyped, chain.Digest}, r.Type) && bitcoin.Resembles(r.Payload) {
		return key.Bitcoin
	}
	return key.Ethereum
}
