package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"keyward/internal/approval"
	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/charter"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/policy"
	"keyward/internal/seal"
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

// wrap gives every error of a room below its Kind, once, here.
func (k *KMS) wrap(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		if known != nil {
			return known
		}
		return nil
	}
	for _, row := range kinds {
		if errors.Is(err, row.err) {
			return &Error{Kind: row.kind, Message: row.message(err), Hint: row.hint, cause: err}
		}
	}
	var again *journal.Replay
	if errors.As(err, &again) {
		return replayed(again.Operation)
	}
	var slow *seal.WaitError
	if errors.As(err, &slow) {
		return &Error{Kind: Busy, Message: slow.Error(), Hint: "wait, then try again", cause: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: Busy, Message: "the request was given up before it was begun", Hint: "try again", cause: err}
	}
	if k.opt.Log != nil {
		k.opt.Log.Error("unexpected", "error", err)
	}
	return &Error{Kind: Failed, Message: "something failed inside keyward", Hint: "the server's own log says what", cause: err}
}

type kindRow struct {
	err  error
	kind Kind
	text string // "" for the error's own
	hint string
}

// diskFull is said below the floor of free space too: what is left of the disk is
// kept for what is more urgent.
const diskFull = "the disk is full: nothing was begun"

// kinds is the one table from a room's error to what callers are told.
var kinds = []kindRow{
	{chain.ErrPayload, Invalid, "", "keyward decode shows what a payload means"},
	{journal.ErrReused, Conflict, "", "use a new idempotency key for a new request"},
	{journal.ErrExpired, Expired, "", "ask again"},
	{journal.ErrState, Conflict, "", "see: keyward request show"},
	{journal.ErrOverflow, Busy, "", "ask again in a minute"},
	{journal.ErrCrowded, Busy, "", "see: keyward request list; collect what may go, let the others expire, or ask with a shorter expiry"},
	{journal.ErrUnknown, Unknown, "it is not known whether the operation was recorded", "ask again with the same idempotency key, or look the operation up in the log"},
	{journal.ErrStopped, Sealed, "keyward is sealed", "keyward unseal"},
	{store.ErrLocked, Sealed, "keyward is sealed", "keyward unseal"},
	{store.ErrTampered, Unready, "", "restore a backup, or find out who changed the database; keyward does not sign on changed rows"},
	{audit.ErrDamaged, Unready, "", damagedLog},
	{audit.ErrFork, Unready, "", damagedLog},
	{store.ErrUninitialized, Unready, "", "restore a backup, or make an installation: keyward init"},
	{journal.ErrNoRoom, Unready, diskFull, "make space; keyward goes on by itself"},
	{store.ErrFull, Unready, diskFull, "make space; keyward goes on by itself"},
	{journal.ErrClock, Unready, "", "if that is right: keyward clock accept; else set the clock right, and keyward goes on by itself"},
	{journal.ErrUnready, Unready, "the journal cannot be written: nothing was begun", "see the server's log; keyward goes on by itself when the disk does"},
	{store.ErrNotFound, NotFound, "there is no such thing", ""},
	{keystore.ErrSealed, Sealed, "", "keyward unseal"},
	{keystore.ErrCorrupt, Unverified, "", "give the same key and the same context as when it was encrypted"},
	{keystore.ErrUnfit, Invalid, "", "see what the key is for: keyward key show"},
	{keystore.ErrCheck, Failed, "", "a machine that computes wrongly must not sign: check its memory and processor"},
	{seal.ErrWrongCredential, Unverified, "", "try again; each attempt costs the full derivation"},
	{seal.ErrNoSlot, NotFound, "", "see: keyward seal slot list"},
	{seal.ErrLastSlot, Conflict, "", "add another slot first"},
	{seal.ErrRotating, Busy, "the root key is being replaced", "try again"},
	{seal.ErrDamaged, Unready, "", "restore a backup: what locks the root key was changed from outside"},
	{seal.ErrSealed, Sealed, "keyward is sealed", "keyward unseal"},
	{seal.ErrParams, Invalid, "", ""},
	{seal.ErrUnfit, Invalid, "", "for a passphrase take several words that nobody would put together, in at most 1024 bytes"},
	{seal.ErrTaken, Conflict, "", "see: keyward seal slot list"},
	{seal.ErrSlot, Invalid, "", ""},
	{identity.ErrUnauthenticated, Unauthenticated, "", "give a valid token with --token-file"},
	{charter.ErrInvalid, Unready, "", "restore a backup: what governs this installation was changed from outside"},
}

const damagedLog = "keep a copy of the data directory, run keyward audit verify, restore a backup, and find out who could write there"

func (row kindRow) message(err error) string {
	if row.text != "" {
		return row.text
	}
	return err.Error()
}

func replayed(op journal.Operation) *Error {
	e := &Error{Operation: op.ID}
	switch op.State {
	case journal.Waiting:
		e.Kind, e.Message, e.Hint = Waiting, "this request is waiting already", toCollect(op.ID)
	case journal.Begun:
		e.Kind, e.Message, e.Hint = Conflict, "this request is being done at this moment", "ask again with the same idempotency key"
	case journal.Denied:
		e.Kind, e.Message, e.Hint = Denied, "this request was denied before", "use a new idempotency key to ask anew"
	case journal.Expired:
		e.Kind, e.Message, e.Hint = Expired, fmt.Sprintf("this request came to %q", op.Outcome), "ask again"
	case journal.Unknown:
		e.Kind, e.Message = Unknown, "what came of this request is unknown: its budget is spent"
		e.Hint = "find out whether its result was used before you ask again with a new idempotency key"
	default:
		e.Kind, e.Message = Failed, fmt.Sprintf("this request came to %q", op.Outcome)
		e.Hint = "use a new idempotency key to ask anew"
	}
	return e
}
