package kms

import (
	"context"
	"errors"

	"keyward/internal/approval"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// Prospect is how a waiting request stands by now.
type Prospect struct {
	Collectable bool     // nothing is missing any more
	NotBefore   int64    // log time in ms at which its delay is over; 0 when none is left
	Reasons     []Reason // what it waits for, or why it would be denied by now
}

// Prospect judges a waiting request anew, as Collect would, and changes nothing.
// Only who asked can be told: the rules are judged for an actor who is there.
func (k *KMS) Prospect(ctx context.Context, a identity.Actor, op Operation) (Prospect, error) {
	u, err := k.unsealed()
	if err != nil {
		return Prospect{}, err
	}
	stored, err := policy.ParseStored(op.Request)
	if err != nil || op.State != journal.Waiting || op.Actor != a.Name() {
		return Prospect{}, nil
	}
	d, err := k.judge(ctx, u, Ask{}, stored.Created, k.again(a, stored))
	if err != nil {
		return Prospect{}, k.wrap(err)
	}
	p := Prospect{Reasons: d.Reasons()}
	var wait *approval.Waiting
	if _, err := approval.Tally(d, u.journal.Now()); errors.As(err, &wait) {
		p.NotBefore = wait.Until
	} else if err == nil {
		p.Collectable = true
	}
	return p, nil
}

// again is the question of a request that was kept, asked by the same actor.
func (k *KMS) again(a identity.Actor, stored policy.Stored) question {
	r := requestOf(stored)
	return func(ctx context.Context, u *unsealed, rs *rules) (policy.Input, error) {
		in, err := k.toSign(a, r)(ctx, u, rs)
		in.Created, in.Expires = stored.Created, stored.Expires
		return in, err
	}
}

// requestOf is the request of which stored was kept.
func requestOf(stored policy.Stored) SignRequest {
	r := SignRequest{
		Ask: Ask{own: true}, Key: string(stored.KeyID), Version: stored.KeyVersion, Type: stored.Type, Payload: stored.Payload,
		Network: stored.Network,
	}
	if stored.Path != "" {
		r.Key += "/" + stored.Path
	}
	if stored.Domain == key.Raw {
		r.Algorithm = stored.Algorithm
	}
	return r
}

// Withdraw ends a waiting request of the same actor: it is never granted, and
// what was kept of it is erased. The policy is not asked: nobody needs leave to
// want less.
func (k *KMS) Withdraw(ctx context.Context, a identity.Actor, id string) (Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return Answer{}, err
	}
	if !a.Valid() {
		return Answer{}, fail(Unauthenticated, "", "nobody asks")
	}
	op, err := u.journal.Find(ctx, id, a.Name())
	if err != nil {
		return Answer{}, fail(NotFound, "only who asked can withdraw", "there is no request %q of yours", id)
	}
	if op.State != journal.Waiting {
		return Answer{}, fail(Conflict, "see: keyward request show "+id, "this request is %s: it does not wait any more", op.State)
	}
	at, err := u.journal.Withdraw(ctx, id, a.Name())
	if err != nil {
		return Answer{}, k.wrap(err)
	}
	return Answer{Operation: id, Position: at}, nil
}
