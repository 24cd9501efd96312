package kms

import (
	"context"
	"errors"
	"time"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
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
		Key: req.Key().Name, KeyID: req.Key().ID, Path: req.Path(), Version: req.Version(), Algorithm: req.Algorithm(), Type: req.Parsed().Type(),
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
	return s.place(out)
}

// place puts what Assemble made, or what was kept of it, where callers find it.
func (s *Signed) place(out []byte) (err error) {
	switch s.Type {
	case chain.TypeTx:
		s.Output = out
	case chain.TypePSBT:
		s.Output = out
		s.Raw, _, err = bitcoin.Raw(out)
	default:
		s.Signature = out
	}
	return err
}

func replaySigned(d policy.Decision, op journal.Operation) Signed {
	s := signedFrom(d)
	s.Answer, s.Replayed, s.Version = Answer{Operation: op.ID}, true, op.KeyVersion
	_ = s.place(op.Result) // it was whole when it was kept
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
		name, path, err := splitRef(r.Key)
		if err != nil {
			return policy.Input{}, err
		}
		found, epoch, err := k.known(ctx, u, rs, a, key.Sign, name, r.Ask)
		if err != nil {
			return policy.Input{}, err
		}
		acc, err := u.account(ctx, found, r.Version, path)
		if err != nil {
			return policy.Input{}, err
		}
		in := policy.Input{Actor: a, Key: found, Version: acc.info.Version, Epoch: epoch}
		if len(path) > 0 {
			in.Path = path.String()
		}
		in.Parsed, in.Algorithm, err = k.parse(acc, r)
		return in, err
	}
}

// parse reads a payload as the key's domain does.
func (k *KMS) parse(acc account, r SignRequest) (chain.Parsed, key.Algorithm, error) {
	found := acc.key
	if found.Usage != key.SignVerify {
		return chain.Parsed{}, "", fail(Invalid, "use a key of usage SIGN_VERIFY", "key %q is for %s and signs nothing", found.Name, found.Usage)
	}
	if err := acc.signs(r); err != nil {
		return chain.Parsed{}, "", err
	}
	if acc.domain == key.Raw {
		if r.Network != "" {
			return chain.Parsed{}, "", fail(Invalid, "leave the network out", "key %q is raw and knows no networks", found.Name)
		}
		return k.parsePlain(found, r.Type, r.Algorithm, r.Payload)
	}
	algorithm := acc.domain.ChainAlgorithm()
	if r.Algorithm != "" && r.Algorithm != algorithm {
		return chain.Parsed{}, "", fail(Invalid, "leave the algorithm out", "payloads of domain %s have their own algorithm", acc.domain)
	}
	decoder, err := k.decoder(acc.domain)
	if err != nil {
		return chain.Parsed{}, "", err
	}
	parsed, err := chain.Parse(decoder, r.Payload, acc.asking(r.Type, r.Network))
	return parsed, algorithm, err
}

// splitRef divides what callers call a key into its name or id and the path of
// an account.
func splitRef(ref string) (string, key.Path, error) {
	name, path, err := key.SplitRef(ref)
	if err != nil && key.ValidName(name) != nil {
		return ref, nil, nil // which is no name either, and refused as one
	}
	if err != nil {
		return "", nil, fail(Invalid, "name an account as in treasury/m/84h/0h/0h", "key: %w", err)
	}
	return name, path, nil
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
	acc, err := k.look(ctx, a, key.Verify, r.Key, r.Version)
	if err != nil {
		return false, err
	}
	if !acc.key.State.Permits(key.Verify) {
		return false, fail(Conflict, "", "key %q is %s", acc.key.Name, acc.key.State)
	}
	parsed, algorithm, err := k.parse(acc, SignRequest{Type: r.Type, Algorithm: r.Algorithm, Payload: r.Payload, Network: r.Network})
	if err != nil {
		return false, k.wrap(err)
	}
	return holds(acc.public, algorithm, parsed, r.Signature)
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
