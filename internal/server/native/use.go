package native

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"keyward/api"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/secret"
	"keyward/internal/server"
)

func (h *house) uses() []Route {
	return []Route{
		post("/keys/{name}/sign", "sign", "Sign a transaction, a message or a digest", h.sign),
		post("/keys/{name}/sign-batch", "sign-batch", "Sign up to 256 payloads, each judged and answered for itself", h.signBatch),
		post("/keys/{name}/verify", "verify", "Tell whether a signature holds", h.verify),
		post("/keys/{name}/encrypt", "encrypt", "Encrypt", h.encrypt),
		post("/keys/{name}/decrypt", "decrypt", "Decrypt an envelope", h.decrypt),
		post("/keys/{name}/datakey", "data-key", "Make a data key, plain and encrypted", h.dataKey),
		post("/keys/{name}/mac", "mac", "Authenticate a message", h.mac),
		post("/keys/{name}/verify-mac", "verify-mac", "Tell whether a MAC holds", h.verifyMAC),
		post("/decode", "decode", "Say what a payload means; nothing is recorded or signed", h.decode),
	}
}

func (h *house) sign(c *server.Call, in *api.Sign) (api.Signed, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Signed{}, err
	}
	s, err := h.kms.Sign(c.Context(), c.Actor, kms.SignRequest{
		Ask: a, Key: c.Path("name"), Version: key.Version(in.Version), Type: kms.Type(in.Type), Algorithm: key.Algorithm(in.Algorithm),
		Payload: in.Payload, Network: in.Network, DryRun: in.DryRun,
	})
	if err != nil {
		return api.Signed{}, err
	}
	out := signedOf(s)
	out.DryRun = in.DryRun
	return out, nil
}

func (h *house) signBatch(c *server.Call, in *api.SignBatch) (api.SignedBatch, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.SignedBatch{}, err
	}
	all := make([]kms.SignRequest, len(in.Items))
	for i, item := range in.Items {
		if item.Payload == nil {
			return api.SignedBatch{}, c.Invalid("items", "an item has no payload")
		}
		all[i] = kms.SignRequest{
			Key: c.Path("name"), Version: key.Version(item.Version), Type: kms.Type(item.Type), Algorithm: key.Algorithm(item.Algorithm),
			Payload: item.Payload, Network: item.Network,
		}
	}
	items, err := h.kms.SignBatch(c.Context(), c.Actor, all, a)
	if err != nil {
		return api.SignedBatch{}, err
	}
	out := api.SignedBatch{Results: make([]api.BatchResult, len(items))}
	for i, item := range items {
		if item.Err != nil {
			out.Results[i].Error = problemOf(c, item.Err)
			continue
		}
		s := signedOf(item.Signed)
		out.Results[i].Signed = &s
	}
	return out, nil
}

func problemOf(c *server.Call, err error) *api.Problem {
	var e *kms.Error
	if !errors.As(err, &e) {
		e = &kms.Error{Kind: kms.Failed, Message: "something failed inside keyward"}
	}
	p := c.Problem(e)
	return &p
}

func signedOf(s kms.Signed) api.Signed {
	meaning := intentOf(s.Intent)
	out := api.Signed{
		Key: s.Key, KeyID: string(s.KeyID), Version: uint32(s.Version), Algorithm: string(s.Algorithm), Type: string(s.Type),
		Path: s.Path, Signature: s.Signature, Intent: &meaning, Replayed: s.Replayed, Answer: answer(s.Answer),
	}
	switch {
	case s.Type == psbt:
		out.PSBT, out.Output, out.Complete = s.Output, psbtText(s), len(s.Raw) > 0
	case len(s.Output) > 0:
		out.Output = "0x" + hex.EncodeToString(s.Output)
	case s.Type == message && s.Algorithm == key.BitcoinSighash: // as text, which Bitcoin's wallets take
		out.Output = string(s.Signature)
	case len(s.Signature) > 0 && s.Intent.Kind != plain: // a chain's message
		out.Output = "0x" + hex.EncodeToString(s.Signature)
	}
	out.Reasons = reasonsOf(s.Reasons)
	return out
}

func reasonsOf(all []kms.Reason) (out []api.Reason) {
	for _, r := range all {
		out = append(out, api.Reason{Code: r.Code, Rule: r.Rule, Effect: r.Effect, Text: r.Text})
	}
	return out
}

// psbtText is what Bitcoin's tools take: the transaction once it is whole, until
// then the PSBT, as text.
func psbtText(s kms.Signed) string {
	switch {
	case len(s.Raw) > 0:
		return hex.EncodeToString(s.Raw)
	case bytes.HasPrefix(s.Output, []byte("psbt\xff")):
		return base64.StdEncoding.EncodeToString(s.Output)
	}
	return string(s.Output)
}

func (h *house) verify(c *server.Call, in *api.Verify) (api.Verified, error) {
	valid, err := h.kms.Verify(c.Context(), c.Actor, kms.VerifyRequest{
		Key: c.Path("name"), Version: key.Version(in.Version), Type: kms.Type(in.Type), Algorithm: key.Algorithm(in.Algorithm),
		Payload: in.Payload, Network: in.Network, Signature: in.Signature,
	})
	return api.Verified{Valid: valid}, err
}

func (h *house) encrypt(c *server.Call, in *api.Encrypt) (api.Encrypted, error) {
	c.After(func() { secret.Wipe(in.Plaintext) })
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Encrypted{}, err
	}
	m, err := h.kms.Encrypt(c.Context(), c.Actor, kms.CryptRequest{
		Ask: a, Key: c.Path("name"), Version: key.Version(in.Version), Algorithm: key.Algorithm(in.Algorithm), Input: in.Plaintext,
		Context: in.Context,
	})
	if err != nil {
		return api.Encrypted{}, err
	}
	return api.Encrypted{
		Key: m.Key, KeyID: string(m.KeyID), Version: uint32(m.Version), Algorithm: string(m.Algorithm), Ciphertext: m.Output,
		Answer: answer(m.Answer),
	}, nil
}

func (h *house) decrypt(c *server.Call, in *api.Decrypt) (api.Decrypted, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Decrypted{}, err
	}
	m, err := h.kms.Decrypt(c.Context(), c.Actor, kms.CryptRequest{
		Ask: a, Key: c.Path("name"), Algorithm: key.Algorithm(in.Algorithm), Input: in.Ciphertext, Context: in.Context,
	})
	c.After(m.Plaintext.Destroy)
	if err != nil {
		return api.Decrypted{}, err
	}
	return api.Decrypted{
		Key: m.Key, KeyID: string(m.KeyID), Version: uint32(m.Version), Algorithm: string(m.Algorithm), Plaintext: m.Plaintext.View(),
		Answer: answer(m.Answer),
	}, nil
}

func (h *house) dataKey(c *server.Call, in *api.MakeDataKey) (api.DataKey, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.DataKey{}, err
	}
	m, err := h.kms.DataKey(c.Context(), c.Actor, kms.CryptRequest{
		Ask: a, Key: c.Path("name"), Version: key.Version(in.Version), Context: in.Context,
	})
	c.After(m.Plaintext.Destroy)
	if err != nil {
		return api.DataKey{}, err
	}
	return api.DataKey{
		Key: m.Key, KeyID: string(m.KeyID), Version: uint32(m.Version), Algorithm: string(m.Algorithm), Plaintext: m.Plaintext.View(),
		Ciphertext: m.Output, Answer: answer(m.Answer),
	}, nil
}

func (h *house) mac(c *server.Call, in *api.MakeMAC) (api.MAC, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.MAC{}, err
	}
	m, err := h.kms.MAC(c.Context(), c.Actor, kms.CryptRequest{
		Ask: a, Key: c.Path("name"), Version: key.Version(in.Version), Algorithm: key.Algorithm(in.Algorithm), Input: in.Message,
	})
	if err != nil {
		return api.MAC{}, err
	}
	return api.MAC{
		Key: m.Key, KeyID: string(m.KeyID), Version: uint32(m.Version), Algorithm: string(m.Algorithm), MAC: m.Output,
		Answer: answer(m.Answer),
	}, nil
}

func (h *house) verifyMAC(c *server.Call, in *api.VerifyMAC) (api.Verified, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Verified{}, err
	}
	valid, done, err := h.kms.VerifyMAC(c.Context(), c.Actor, kms.CryptRequest{
		Ask: a, Key: c.Path("name"), Version: key.Version(in.Version), Algorithm: key.Algorithm(in.Algorithm), Input: in.Message, MAC: in.MAC,
	})
	return api.Verified{Valid: valid, Answer: answer(done)}, err
}

func (h *house) decode(c *server.Call, in *api.Decode) (api.Decoded, error) {
	if in.Key != "" && in.Domain != "" {
		return api.Decoded{}, c.Invalid("domain", "the key has one already")
	}
	meaning, kind, err := h.kms.Decode(c.Context(), c.Actor, kms.DecodeRequest{
		Payload: in.Payload, Type: kms.Type(in.Type), Key: in.Key, Domain: key.Domain(in.Domain), Network: in.Network,
	})
	return api.Decoded{Type: string(kind), Intent: intentOf(meaning)}, err
}
