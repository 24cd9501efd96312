package kms

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"slices"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/policy"
)

// Encrypt makes an envelope (docs/formats/ciphertext.md) of Input.
func (k *KMS) Encrypt(ctx context.Context, a identity.Actor, r CryptRequest) (Crypt, error) {
	return k.crypt(ctx, a, r, key.Encrypt)
}

// Decrypt opens an envelope, with the version of the key that it names.
func (k *KMS) Decrypt(ctx context.Context, a identity.Actor, r CryptRequest) (Crypt, error) {
	env, err := keystore.ParseEnvelope(r.Input)
	if err != nil {
		return Crypt{}, fail(Invalid, "give what encrypt or datakey made", "%w", err)
	}
	if r.Version != 0 && r.Version != env.Key.Version {
		return Crypt{}, fail(Invalid, "leave the version out", "the envelope was made by version %d", env.Key.Version)
	}
	if r.Key == "" {
		r.Key = string(env.Key.ID)
	}
	r.Version, r.Algorithm = env.Key.Version, env.Algorithm
	return k.crypt(ctx, a, r, key.Decrypt)
}

// DataKey makes 32 random bytes and their envelope, for encryption elsewhere.
func (k *KMS) DataKey(ctx context.Context, a identity.Actor, r CryptRequest) (Crypt, error) {
	if len(r.Input) != 0 {
		return Crypt{}, fail(Invalid, "", "a data key takes no input")
	}
	return k.crypt(ctx, a, r, key.DataKey)
}

// MAC authenticates Input.
func (k *KMS) MAC(ctx context.Context, a identity.Actor, r CryptRequest) (Crypt, error) {
	return k.crypt(ctx, a, r, key.MAC)
}

// VerifyMAC tells whether a MAC holds, in constant time.
func (k *KMS) VerifyMAC(ctx context.Context, a identity.Actor, r CryptRequest) (bool, Answer, error) {
	made, err := k.crypt(ctx, a, r, key.VerifyMAC)
	return err == nil && subtle.ConstantTimeCompare(made.Output, r.MAC) == 1, made.Answer, err
}

// usageOf is what a key must be for to do a verb.
func usageOf(v key.Verb) key.Usage {
	if v == key.MAC || v == key.VerifyMAC {
		return key.GenerateVerifyMAC
	}
	return key.EncryptDecrypt
}

func (k *KMS) crypt(ctx context.Context, a identity.Actor, r CryptRequest, verb key.Verb) (Crypt, error) {
	u, err := k.unsealed()
	if err != nil {
		return Crypt{}, err
	}
	var pairs []chain.Pair
	for _, name := range slices.Sorted(maps.Keys(r.Context)) {
		pairs = append(pairs, chain.Pair{Name: name, Value: r.Context[name]})
	}
	p, d, err := k.permit(ctx, u, r.Ask, "", k.toCrypt(a, r, verb, pairs))
	if err != nil {
		return k.replayCrypt(d, verb, err)
	}
	req := d.Request()
	made := Crypt{
		Answer: Answer{Operation: p.Operation(), Position: p.Position()},
		Key:    req.Key().Name, KeyID: req.Key().ID, Version: req.Version(), Algorithm: req.Algorithm(),
	}
	result, err := u.keystore.Use(context.WithoutCancel(ctx), p)
	if err != nil {
		k.finish(ctx, u, p, journal.Outcome{Failed: reason(err)})
		return Crypt{}, k.wrap(err)
	}
	made.Output, made.Plaintext = result.Output(), result.Secret()
	o := journal.Outcome{}
	if verb == key.Encrypt { // an envelope is public; nothing else here is
		o.Result, o.Keep = made.Output, r.Idempotency != "" && len(made.Output) <= 64<<10
		o.Wait = o.Keep // another envelope could be made, this one not again
	}
	k.finish(ctx, u, p, o)
	return made, nil
}

func (k *KMS) replayCrypt(d policy.Decision, verb key.Verb, err error) (Crypt, error) {
	var again *journal.Replay
	if !errors.As(err, &again) || again.Operation.State != journal.Done {
		return Crypt{}, k.wrap(err)
	}
	if verb != key.Encrypt || len(again.Operation.Result) == 0 {
		return Crypt{}, &Error{
			Kind: Conflict, Message: "this was done before, and its result is not kept", Operation: again.Operation.ID,
			Hint: "ask again with a new idempotency key",
		}
	}
	req := d.Request()
	return Crypt{
		Answer: Answer{Operation: again.Operation.ID}, Key: req.Key().Name, KeyID: req.Key().ID, Version: again.Operation.KeyVersion,
		Algorithm: req.Algorithm(), Output: again.Operation.Result,
	}, nil
}

func (k *KMS) toCrypt(a identity.Actor, r CryptRequest, verb key.Verb, pairs []chain.Pair) question {
	return func(ctx context.Context, u *unsealed, rs *rules) (policy.Input, error) {
		found, epoch, err := k.known(ctx, u, rs, a, verb, r.Key, r.Ask)
		if err != nil {
			return policy.Input{}, err
		}
		if found.Usage != usageOf(verb) {
			return policy.Input{}, fail(Invalid, "use a key of usage "+string(usageOf(verb)), "key %q is for %s", found.Name, found.Usage)
		}
		info, ok := found.Version(r.Version)
		if !ok {
			return policy.Input{}, fail(NotFound, "see: keyward key show "+found.Name, "key %q has no version %d", found.Name, r.Version)
		}
		algorithm, err := found.Spec.Algorithm(found.Usage, r.Algorithm)
		if err != nil {
			return policy.Input{}, fail(Invalid, "", "%w", err)
		}
		parsed, err := chain.ParsePlain(verb, chain.TypeMsg, algorithm.Hash(), r.Input, pairs)
		return policy.Input{Actor: a, Key: found, Version: info.Version, Epoch: epoch, Parsed: parsed, Algorithm: algorithm}, err
	}
}
