package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"keyward/internal/approval"
	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// staleMax is how often a request is judged anew because what it rested on
// moved meanwhile. Each time somebody else's request went through.
const staleMax = 64

// question builds the policy's input anew, from the keys and rules of now.
type question func(ctx context.Context, u *unsealed, r *rules) (policy.Input, error)

// effect is what changes keyward's own state, made once the request is granted.
type effect func(req policy.Request) (func(*store.Tx) error, error)

// walk takes a question down the corridor as far as a Grant, and gives that to
// begin, which writes it down. When what the decision rested on has moved
// meanwhile, it is asked anew. The Decision is returned with every error that
// has one.
func walk[T any](ctx context.Context, k *KMS, u *unsealed, ask Ask, waiting string, q question, begin func(approval.Grant, journal.Terms) (T, error)) (T, policy.Decision, error) {
	var none T
	if err := ask.check(); err != nil {
		return none, policy.Decision{}, err
	}
	if err := u.log.Damage(); err != nil {
		return none, policy.Decision{}, err // what is recorded there proves nothing
	}
	created := u.journal.Now()
	for range staleMax {
		d, err := k.judge(ctx, u, ask, created, q)
		if err != nil {
			return none, d, err
		}
		terms := journal.Terms{Idempotency: ask.Idempotency, Index: ask.index, Parent: ask.parent, Waiting: waiting}
		grant, err := approval.Tally(d, u.journal.Now())
		var wait *approval.Waiting
		if errors.As(err, &wait) && d.Request().Expires() == 0 {
			// Judged anew with an end, which so becomes part of what is kept, shown,
			// voted on and enforced.
			ask.ExpiresIn = patience(d)
			continue
		}
		if err != nil {
			return none, d, k.stop(ctx, u, d, terms, err)
		}
		made, err := begin(grant, terms)
		if !errors.Is(err, journal.ErrStale) {
			return made, d, u.refused(d, terms, err)
		}
	}
	return none, policy.Decision{}, fail(Busy, "try again", "too many requests compete for the same budget")
}

// week is how long a request waits that has no expiry of its own, in ms.
const week = 7 * 24 * 60 * 60 * 1000

// patience is for how long such a request is worth granting, in ms: a week, or
// longer when the rules themselves give its approvals or its delay more time.
func patience(d policy.Decision) int64 {
	most := week + d.Delay()
	for _, n := range d.Needs() {
		most = max(most, n.Within)
	}
	return most
}

// refused sees to it that a request which only the journal could refuse leaves a
// record, as one that policy denies does.
func (u *unsealed) refused(d policy.Decision, t journal.Terms, err error) error {
	for _, why := range []error{journal.ErrReused, journal.ErrExpired, journal.ErrOverflow, journal.ErrCrowded} {
		if errors.Is(err, why) {
			if _, lost := u.journal.Refuse(d, t, why); lost != nil {
				return lost
			}
		}
	}
	return err
}

// permit walks as far as a Permit.
func (k *KMS) permit(ctx context.Context, u *unsealed, ask Ask, waiting string, q question) (journal.Permit, policy.Decision, error) {
	return walk(ctx, k, u, ask, waiting, q, func(g approval.Grant, t journal.Terms) (journal.Permit, error) {
		if err := fits(g.Decision().Request()); err != nil {
			return journal.Permit{}, err // before anything is begun or spent that could only fail
		}
		return u.journal.Begin(ctx, g, t)
	})
}

// fits refuses what the key cannot do at all, going by the row that describes
// it: what could only fail gets no record of a beginning and spends nothing. The
// keystore asks again, going by what was sealed with the material.
func fits(r policy.Request) error {
	k := r.Key()
	return keystore.Purpose{Spec: k.Spec, Usage: k.Usage, Domain: k.Domain}.Fits(journal.Order{
		Key: key.Ref{ID: k.ID, Version: r.Version()}, Path: r.Path(), Verb: r.Verb(), Algorithm: r.Algorithm(), Parsed: r.Parsed(),
	})
}

// judge asks the policy once.
func (k *KMS) judge(ctx context.Context, u *unsealed, ask Ask, created int64, q question) (policy.Decision, error) {
	return k.judgeBy(ctx, u, ask, created, q, nil)
}

// judgeBy asks a draft of a policy instead; nil for the one in force.
func (k *KMS) judgeBy(ctx context.Context, u *unsealed, ask Ask, created int64, q question, draft *policy.Policy) (policy.Decision, error) {
	r, err := u.governing(ctx, k)
	if err != nil {
		return policy.Decision{}, err
	}
	in, err := q(ctx, u, r)
	if err != nil {
		return policy.Decision{}, err
	}
	if !in.Actor.Valid() {
		return policy.Decision{}, fail(Unauthenticated, "", "nobody asks")
	}
	// Read last, so that who was revoked before the decision's epoch is refused
	// here, and who is revoked later makes the decision stale.
	if err := u.directory.Current(ctx, in.Actor, u.journal.Now(), u.journal.Epoch()); err != nil {
		return policy.Decision{}, err
	}
	in.Installation, in.Charter = u.installation, r.signed.Charter.Version
	if in.Key.ID == "" {
		in.Epoch = r.epoch
	}
	if in.Created == 0 {
		in.Created = created
	}
	if in.Expires == 0 && ask.ExpiresIn > 0 {
		in.Expires = in.Created + ask.ExpiresIn
	}
	req, err := policy.NewRequest(in)
	if err != nil {
		return policy.Decision{}, fail(Invalid, "", "%w", err)
	}
	return policy.Decide(req, cmp.Or(draft, r.policy), u.journal.Now(), u.journal.Facts(ctx))
}

// stop records that a request goes no further, or not yet.
func (k *KMS) stop(ctx context.Context, u *unsealed, d policy.Decision, t journal.Terms, err error) error {
	var wait *approval.Waiting
	if earlier, found, lost := u.journal.Earlier(ctx, d, t); lost != nil || found {
		if found {
			lost = &journal.Replay{Operation: earlier} // done before, whatever it would be by now
		}
		return u.refused(d, t, lost)
	}
	if !errors.As(err, &wait) {
		id, err := u.journal.Deny(d, t)
		if err != nil {
			return err
		}
		return denied(d, id)
	}
	if t.Waiting != "" {
		return waiting(d, t.Waiting, wait)
	}
	if why := neverWaits(d.Request().Verb()); why != nil {
		e := fail(Denied, "give the rule `then: allow`", "%w", why)
		if e.Operation, err = u.journal.Refuse(d, t, why); err != nil {
			return err
		}
		return e
	}
	op, err := u.journal.Wait(ctx, d, t)
	var again *journal.Replay
	if errors.As(err, &again) && again.Operation.State == journal.Waiting {
		return waiting(d, again.Operation.ID, wait)
	}
	if err != nil {
		return u.refused(d, t, err)
	}
	return waiting(d, op.ID, wait)
}

// What the log says of a request that would have to wait and cannot.
var (
	errPlaintext = errors.New("a rule asks for approvals or for time, but plaintext is never kept on disk to wait for them")
	errNoWait    = errors.New("a rule asks for approvals or for time, but only signatures can be collected later")
)

// neverWaits tells why a request of this verb is denied where it would wait; nil
// where it may: what waits must be something that somebody can come back for.
func neverWaits(v key.Verb) error {
	switch v {
	case key.Sign, key.SignTransaction, key.SignMessage, key.SignTypedData, key.SignBlind:
		return nil
	case key.Encrypt:
		return errPlaintext
	}
	return errNoWait
}

const toBeAllowed = "whoever governs this keyward can write such a rule: see docs/policy.md"

func denied(d policy.Decision, id string) *Error {
	hint := "see: keyward policy show"
	if who := d.Request().Actor(); who.Kind() == identity.Program { // it may not read the policy, as a rule
		hint = toBeAllowed
	}
	for _, r := range d.Reasons() {
		if r.Code == "state" {
			hint = revive(d.Request().Key())
		}
	}
	return &Error{Kind: Denied, Message: "denied by policy: " + sentences(d), Hint: hint, Operation: id, Reasons: d.Reasons()}
}

// revive is how a key comes back that does nothing now.
func revive(k key.Key) string {
	switch k.State {
	case key.Suspended:
		return "an operator can: keyward key enable " + k.Name
	case key.PendingDestruction:
		return fmt.Sprintf("an operator can: keyward key keep %s, then: keyward key enable %s", k.Name, k.Name)
	}
	return "see: keyward key show " + k.Name
}

// sentences are all the reasons of a decision.
func sentences(d policy.Decision) string {
	var all []string
	for _, r := range d.Reasons() {
		all = append(all, r.Text)
	}
	return strings.Join(all, "; ")
}

// toCollect is what to do about a request that waits.
func toCollect(id string) string {
	return fmt.Sprintf("keyward request show %s says what is missing; then: keyward request collect %s -o FILE", id, id)
}

func waiting(d policy.Decision, id string, w *approval.Waiting) *Error {
	return &Error{
		Kind: Waiting, Message: w.Error(), Hint: toCollect(id), Operation: id, Reasons: d.Reasons(),
	}
}

// administration is the question of a change of keyward's own state that is
// about no key.
func (k *KMS) administration(a identity.Actor, verb key.Verb, subject string, parameters any, sentence string) question {
	return func(context.Context, *unsealed, *rules) (policy.Input, error) {
		b, err := canonical.Marshal(parameters)
		if err != nil {
			return policy.Input{}, err
		}
		return policy.Input{Actor: a, Parsed: chain.ParseAdministration(verb, b, sentence), Subject: subject}, nil
	}
}

// act walks an administrative question to its end: judged, recorded, done, in
// one commit.
func (k *KMS) act(ctx context.Context, u *unsealed, q question, ask Ask, e effect) (Answer, error) {
	if e == nil {
		e = func(policy.Request) (func(*store.Tx) error, error) { return func(*store.Tx) error { return nil }, nil }
	}
	answer, _, err := walk(ctx, k, u, ask, "", q, func(g approval.Grant, t journal.Terms) (answer Answer, err error) {
		if t.Effect, err = e(g.Decision().Request()); err != nil {
			return Answer{}, err
		}
		answer.Operation, answer.Position, err = u.journal.Do(ctx, g, t)
		return answer, err
	})
	if err != nil {
		var again *journal.Replay
		if errors.As(err, &again) && again.Operation.State == journal.Done {
			return Answer{Operation: again.Operation.ID}, nil
		}
		return Answer{}, k.wrap(err)
	}
	return answer, nil
}

// check bounds what a caller may send along.
func (a Ask) check() error {
	if len(a.Idempotency) > 128 {
		return fail(Invalid, "use at most 128 characters", "idempotency key has %d characters", len(a.Idempotency))
	}
	for _, c := range []byte(a.Idempotency) {
		if c <= ' ' || c > '~' {
			return fail(Invalid, "use printable ASCII without spaces", "idempotency key has a character that is not allowed")
		}
	}
	if a.ExpiresIn < 0 {
		return fail(Invalid, "", "expiry lies in the past")
	}
	return nil
}
