package kms

import (
	"context"
	"crypto"
	"errors"
	"time"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/policy"
)

// Sign judges a payload, records it and signs it. A transaction comes back
// signed in Output; everything else has its signature in Signature.
func (k *KMS) Sign(ctx context.Context, a identity.Actor, r SignRequest) (Signed, error) {
	u, err := k.unsealed()
	if err != nil {
		return Signed{}, err
	}
	if r.DryRun {
		return k.rehearse(ctx, u, a, r)
	}
	p, d, err := k.permit(ctx, u, r.Ask, "", k.toSign(a, r))
	return k.sign(ctx, u, p, d, r.Ask, err)
}

// MaxBatch bounds a batch of signatures.
const MaxBatch = 256

// SignBatch signs each request as an operation of its own; they share the
// idempotency key of ask, told apart by their place.
func (k *KMS) SignBatch(ctx context.Context, a identity.Actor, all []SignRequest, ask Ask) ([]BatchItem, error) {
	if len(all) == 0 || len(all) > MaxBatch {
		return nil, fail(Invalid, "send 1 to 256 requests", "a batch of %d requests", len(all))
	}
	items := make([]BatchItem, len(all))
	done := make(chan struct{})
	// As many at once as the batch has: one commit holds them all.
	for i, r := range all {
		r.Ask = ask
		r.Ask.index = i
		go func() {
			defer func() {
				if recover() != nil { // of one request; nobody above this goroutine would catch it
					items[i] = BatchItem{Err: fail(Failed, "", "something failed inside keyward")}
				}
				done <- struct{}{}
			}()
			items[i].Signed, items[i].Err = k.Sign(ctx, a, r)
		}()
	}
	for range all {
		<-done
	}
	return items, nil
}

// sign uses a permit that walk got, or says what came of an earlier one.
func (k *KMS) sign(ctx context.Context, u *unsealed, p journal.Permit, d policy.Decision, ask Ask, err error) (Signed, error) {
	if err != nil {
		var again *journal.Replay
		if !errors.As(err, &again) {
			return Signed{}, k.wrap(err)
		}
		op := settled(ctx, u, again.Operation)
		if op.State == journal.Done && len(op.Result) > 0 {
			return replaySigned(d, op), nil
		}
		return Signed{}, replayed(op)
	}
	req := d.Request()
	s := signedFrom(d)
	s.Answer = Answer{Operation: p.Operation(), Position: p.Position()}
	// It is begun and paid for: also a caller who left finds the result under the
	// idempotency key.
	result, err := u.keystore.Use(context.WithoutCancel(ctx), p)
	if err == nil {
		err = s.take(req, result)
	}
	if err != nil {
		k.finish(ctx, u, p, journal.Outcome{Failed: reason(err)})
		return Signed{}, k.wrap(err)
	}
	public := s.Output
	if public == nil {
		public = s.Signature
	}
	// What cannot be made again is on disk before anybody relies on a retry.
	keep := ask.Idempotency != ""
	k.finish(ctx, u, p, journal.Outcome{Result: public, Keep: keep, Wait: keep && !req.Algorithm().Deterministic()})
	return s, nil
}

// settled looks at an operation again that is being done: its end is written
// with the next commit, a moment after its result left, and whoever asks again
// in that moment gets the result too.
func settled(ctx context.Context, u *unsealed, op journal.Operation) journal.Operation {
	for n := 0; op.State == journal.Begun && n < 40; n++ {
		select {
		case <-ctx.Done():
			return op
		case <-time.After(25 * time.Millisecond):
		}
		if now, err := u.journal.Find(ctx, op.ID, ""); err == nil {
			op = now
		}
	}
	return op
}

func signedFrom(d policy.Decision) Signed {
	req := d.Request()
	return Signed{
		Key: req.Key().Name, KeyID: req.Key().ID, Version: req.Version(), Algorithm: req.Algorithm(), Type: req.Parsed().Type(),
		Intent: req.Parsed().Intent(), Reasons: d.Reasons(),
	}
}

// take puts the keystore's signatures where the payload wants them.
func (s *Signed) take(req policy.Request, result keystore.Result) error {
	if req.Parsed().Domain() == key.Raw {
		s.Signature = result.Signature()
		return nil
	}
	out, err := req.Parsed().Assemble(result.Recoverable())
	if err != nil {
		return err
	}
	if req.Parsed().Type() == chain.TypeTx {
		s.Output = out
	} else {
		s.Signature = out
	}
	return nil
}

func replaySigned(d policy.Decision, op journal.Operation) Signed {
	s := signedFrom(d)
	s.Answer, s.Replayed, s.Version = Answer{Operation: op.ID}, true, op.KeyVersion
	if s.Type == chain.TypeTx {
		s.Output = op.Result
	} else {
		s.Signature = op.Result
	}
	return s
}

// finish records the end. The caller has its result either way: that the
// operation happened is on disk since Begin.
func (k *KMS) finish(ctx context.Context, u *unsealed, p journal.Permit, o journal.Outcome) {
	if err := u.journal.Finish(context.WithoutCancel(ctx), p, o); err != nil && k.opt.Log != nil {
		k.opt.Log.Error("the end of an operation could not be recorded", "operation", p.Operation(), "error", err)
	}
}

// reason is what the log says of a failure: its class, never what it worked on.
func reason(err error) string {
	for _, known := range []error{keystore.ErrCheck, keystore.ErrCorrupt, keystore.ErrSealed, keystore.ErrNoKey} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "inside keyward"
}

// toSign is the question of a signature.
func (k *KMS) toSign(a identity.Actor, r SignRequest) question {
	return func(ctx context.Context, u *unsealed, rs *rules) (policy.Input, error) {
		found, epoch, err := k.known(ctx, u, rs, a, key.Sign, r.Key, r.Ask)
		if err != nil {
			return policy.Input{}, err
		}
		info, ok := found.Version(r.Version)
		if !ok {
			return policy.Input{}, fail(NotFound, "see: keyward key show "+found.Name, "key %q has no version %d", found.Name, r.Version)
		}
		in := policy.Input{Actor: a, Key: found, Version: info.Version, Epoch: epoch}
		in.Parsed, in.Algorithm, err = k.parse(found, info, r.Type, r.Algorithm, r.Payload)
		return in, err
	}
}

// parse reads a payload as the key's domain does.
func (k *KMS) parse(found key.Key, info key.VersionInfo, typ chain.Type, asked key.Algorithm, payload []byte) (chain.Parsed, key.Algorithm, error) {
	if found.Usage != key.SignVerify {
		return chain.Parsed{}, "", fail(Invalid, "use a key of usage SIGN_VERIFY", "key %q is for %s and signs nothing", found.Name, found.Usage)
	}
	if found.Domain == key.Raw {
		return k.parsePlain(found, typ, asked, payload)
	}
	if asked != "" && asked != key.EthereumKeccak {
		return chain.Parsed{}, "", fail(Invalid, "leave the algorithm out", "payloads of domain %s have their own algorithm", found.Domain)
	}
	decoder, err := k.decoder(found.Domain)
	if err != nil {
		return chain.Parsed{}, "", err
	}
	parsed, err := chain.Parse(decoder, payload, chain.Ask{Type: typ, Public: info.Public})
	return parsed, key.EthereumKeccak, err
}

func (k *KMS) parsePlain(found key.Key, typ chain.Type, asked key.Algorithm, payload []byte) (chain.Parsed, key.Algorithm, error) {
	algorithm, err := found.Spec.Algorithm(key.SignVerify, asked)
	if err != nil {
		return chain.Parsed{}, "", fail(Invalid, "", "%w", err)
	}
	switch typ {
	case chain.Auto:
		typ = chain.TypeMsg
	case chain.TypeMsg, chain.Digest:
	default:
		return chain.Parsed{}, "", fail(Invalid, "create a key of that chain's domain", "key %q is raw: it signs a message or a digest, not type %q", found.Name, typ)
	}
	parsed, err := chain.ParsePlain(key.Sign, typ, algorithm.Hash(), payload, nil)
	return parsed, algorithm, err
}

func (k *KMS) decoder(d key.Domain) (chain.Decoder, error) {
	for _, dec := range k.opt.Decoders {
		if dec.Domain() == d {
			return dec, nil
		}
	}
	return nil, fail(Invalid, "", "no decoder for domain %q", d)
}

// rehearsed is the name under which rehearsals are counted.
const rehearsed = "key.sign.rehearsed"

// rehearse judges a request without recording or signing anything.
func (k *KMS) rehearse(ctx context.Context, u *unsealed, a identity.Actor, r SignRequest) (Signed, error) {
	r.counted = rehearsed
	d, err := k.judge(ctx, u, r.Ask, u.journal.Now(), k.toSign(a, r))
	if err != nil {
		return Signed{}, k.wrap(err)
	}
	u.journal.Count(a.Name(), a.Source(), rehearsed)
	switch d.Outcome() {
	case policy.Allowed:
		return signedFrom(d), nil
	case policy.Asks:
		return signedFrom(d), &Error{
			Kind: Waiting, Message: "would wait: " + sentences(d), Reasons: d.Reasons(),
			Hint: "asked in earnest it is kept, and collected with keyward request collect ID once that is given",
		}
	}
	return signedFrom(d), denied(d, "")
}

// Collect goes on with a waiting request of the same actor, once nothing more is
// missing. The request is judged anew: key, rules and facts bind as they are now.
func (k *KMS) Collect(ctx context.Context, a identity.Actor, id string) (Signed, error) {
	u, err := k.unsealed()
	if err != nil {
		return Signed{}, err
	}
	if !a.Valid() {
		return Signed{}, fail(Unauthenticated, "", "nobody asks")
	}
	op, err := u.journal.Find(ctx, id, a.Name())
	if err != nil {
		return Signed{}, fail(NotFound, "only who asked can collect", "there is no request %q of yours", id)
	}
	stored, err := policy.ParseStored(op.Request)
	if op.State == journal.Done && err != nil || op.State != journal.Waiting && op.State != journal.Done {
		return Signed{}, replayed(op)
	}
	if err != nil {
		return Signed{}, k.wrap(err)
	}
	ask := k.again(a, stored)
	if op.State == journal.Done {
		d, err := k.judge(ctx, u, Ask{}, stored.Created, ask)
		if err != nil {
			return Signed{}, k.wrap(err)
		}
		return replaySigned(d, op), nil
	}
	p, d, err := k.permit(ctx, u, Ask{}, id, ask)
	return k.sign(ctx, u, p, d, Ask{Idempotency: id}, err)
}

// Verify tells whether a signature holds, with the public half alone.
func (k *KMS) Verify(ctx context.Context, a identity.Actor, r VerifyRequest) (bool, error) {
	found, err := k.look(ctx, a, key.Verify, r.Key)
	if err != nil {
		return false, err
	}
	info, ok := found.Version(r.Version)
	if !ok {
		return false, fail(NotFound, "", "key %q has no version %d", found.Name, r.Version)
	}
	if !found.State.Permits(key.Verify) {
		return false, fail(Conflict, "", "key %q is %s", found.Name, found.State)
	}
	parsed, algorithm, err := k.parse(found, info, r.Type, r.Algorithm, r.Payload)
	if err != nil {
		return false, k.wrap(err)
	}
	return holds(info.Public, algorithm, parsed, r.Signature)
}

// holds verifies a raw signature, or a chain's: a message's 65 bytes or the
// whole signed transaction.
func holds(public key.Public, algorithm key.Algorithm, parsed chain.Parsed, signature []byte) (bool, error) {
	if parsed.Domain() == key.Raw {
		err := keystore.Verify(public, algorithm, parsed.Tasks()[0].Digest, signature)
		return err == nil, nil
	}
	sigs, err := parsed.Extract(signature)
	if err != nil || len(sigs) != len(parsed.Tasks()) {
		return false, nil
	}
	for i, sig := range sigs {
		if keystore.VerifyTask(public, parsed.Tasks()[i], sig) != nil {
			return false, nil
		}
	}
	return true, nil
}

// Decode says what a payload means. No key is needed; where one is named, its
// domain and address are used.
func (k *KMS) Decode(ctx context.Context, a identity.Actor, payload []byte, typ chain.Type, ref string) (chain.Intent, chain.Type, error) {
	if !a.Valid() {
		return chain.Intent{}, "", fail(Unauthenticated, "", "nobody asks")
	}
	ask := chain.Ask{Type: typ}
	domain := key.Domain(ref)
	if ref != "" && domain != key.Ethereum {
		shown, err := k.Key(ctx, a, ref) // whose address a payload's sender is, is not for everybody
		if err != nil {
			return chain.Intent{}, "", err
		}
		found := shown.Key
		info, _ := found.Version(0)
		domain, ask.Public = found.Domain, info.Public
	}
	if domain == "" {
		domain = key.Ethereum
	}
	if domain == key.Raw {
		parsed, err := chain.ParsePlain(key.Sign, chain.TypeMsg, crypto.SHA256, payload, nil)
		if err != nil {
			return chain.Intent{}, "", k.wrap(err)
		}
		return parsed.Intent(), parsed.Type(), nil
	}
	decoder, err := k.decoder(domain)
	if err != nil {
		return chain.Intent{}, "", err
	}
	parsed, err := chain.Parse(decoder, payload, ask)
	if inspector, ok := decoder.(chain.Inspector); ok && errors.Is(err, chain.ErrSigned) {
		seen, err := inspector.Inspect(payload)
		return seen.Intent, chain.TypeTx, k.wrap(err)
	}
	if err != nil {
		return chain.Intent{}, "", k.wrap(err)
	}
	return parsed.Intent(), parsed.Type(), nil
}
