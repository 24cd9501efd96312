package kms

import (
	"context"
	"errors"
	"fmt"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// known finds the key that an actor asks about, before anything else is said of
// it. Whoever the policy lets do nothing with a key is told the same whether
// there is one or not, so that no program finds out by asking what exists here.
// A name is judged before any row is read, so that the time tells nothing either;
// an id must be looked up first, but holds 80 random bits that nobody guesses.
func (k *KMS) known(ctx context.Context, u *unsealed, r *rules, a identity.Actor, verb key.Verb, ref string, ask Ask) (key.Key, uint64, error) {
	if !a.Valid() {
		return key.Key{}, 0, fail(Unauthenticated, "", "nobody asks")
	}
	if _, err := key.ParseID(ref); err != nil {
		if err := key.ValidName(ref); err != nil {
			return key.Key{}, 0, fail(Invalid, "see: keyward key list", "key: %w", err)
		}
		if !knows(r, a, ref) && !k.askedBefore(ctx, u, a, ref, ask) {
			return key.Key{}, 0, k.unknowing(ctx, u, r, a, verb, ref, ask)
		}
		return u.find(ctx, k.opt.Reader, ref)
	}
	found, epoch, err := u.find(ctx, k.opt.Reader, ref)
	may := false
	switch {
	case err == nil:
		may = knows(r, a, found.Name)
	case KindOf(err) == NotFound:
		may = a.Kind() == identity.LocalOperator || r.policy.Reads(a.Name(), everything)
	default:
		return key.Key{}, 0, err
	}
	if !may && !k.askedBefore(ctx, u, a, ref, ask) {
		return key.Key{}, 0, k.unknowing(ctx, u, r, a, verb, ref, ask)
	}
	return found, epoch, err
}

// knows tells whether an actor may learn if there is a key of this name. The
// local operator owns the database file, in which the names can be read.
func knows(r *rules, a identity.Actor, name string) bool {
	return a.Kind() == identity.LocalOperator || r.policy.Knows(a.Name(), name)
}

// askedBefore tells whether this is about a request that the actor made when it
// still knew the key: one that waited, or one repeated under its idempotency
// key, which gets its first answer whatever the rules are by now. It looks at
// the actor's own operations alone, never at the key that is asked about.
func (k *KMS) askedBefore(ctx context.Context, u *unsealed, a identity.Actor, ref string, ask Ask) bool {
	if ask.own {
		return true
	}
	op, found, err := u.journal.Under(ctx, a.Name(), ask.Idempotency, ask.index)
	if err != nil || !found || op.KeyID == "" {
		return false
	}
	used, _, err := u.find(ctx, k.opt.Reader, string(op.KeyID))
	return err == nil && (ref == used.Name || ref == string(used.ID))
}

// errUnknowing is what the log says of such a request.
var errUnknowing = errors.New("no rule lets the actor do anything with a key of this name, if there is one")

// unknowing is the one answer to an actor that may know nothing of a key. It is
// recorded as any denial is, or counted where the verb or a rehearsal is: with
// what was asked for, never with what there is.
func (k *KMS) unknowing(ctx context.Context, u *unsealed, r *rules, a identity.Actor, verb key.Verb, ref string, ask Ask) error {
	text := fmt.Sprintf("there is no key %q, or no rule lets %s do anything with it", ref, a.Name())
	e := &Error{
		Kind: Denied, Message: "denied by policy: " + text, Hint: toBeAllowed,
		Reasons: []policy.Reason{{Code: "no-rule", Text: text}},
	}
	if ask.counted != "" {
		u.journal.Count(a.Name(), a.Source(), ask.counted)
		return e
	}
	now := u.journal.Now()
	req, err := policy.NewRequest(policy.Input{
		Installation: u.installation, Actor: a, Parsed: chain.ParseAdministration(verb, nil, ""), Subject: ref,
		Charter: r.signed.Charter.Version, Epoch: r.epoch, Created: now,
	})
	if err != nil {
		return err
	}
	d, err := policy.Decide(req, r.policy, now, u.journal.Facts(ctx))
	if err != nil {
		return err
	}
	e.Operation, err = u.journal.Refuse(d, journal.Terms{Index: ask.index, Parent: ask.parent}, errUnknowing)
	if err != nil {
		return err
	}
	return e
}

// look finds a key, or an account below it, for a reading, and judges that.
func (k *KMS) look(ctx context.Context, a identity.Actor, verb key.Verb, ref string, v key.Version) (account, error) {
	u, err := k.unsealed()
	if err != nil {
		return account{}, err
	}
	name, path, err := splitRef(ref)
	if err != nil {
		return account{}, err
	}
	r, err := u.governing(ctx, k)
	if err != nil {
		return account{}, k.wrap(err)
	}
	found, _, err := k.known(ctx, u, r, a, verb, name, Ask{counted: string(verb) + ".denied"})
	if err != nil {
		return account{}, k.wrap(err)
	}
	if _, err := k.readAt(ctx, a, verb, found.Name, path); err != nil {
		return account{}, err
	}
	acc, err := u.account(ctx, found, v, path)
	return acc, k.wrap(err)
}
