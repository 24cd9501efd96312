package kms

import (
	"context"
	"fmt"
	"time"

	"keyward/internal/approval"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
)

// ClockView is a time that was accepted.
type ClockView struct {
	Answer
	From, To int64 // log time before, and what it goes on from; ms
}

// AcceptClock believes a clock that keyward does not trust: whoever sits at the
// machine has looked at it, and it is right. What is due by that time happens
// from then on, and log time never goes back. seen is the time that they looked
// at, in ms; a clock that shows another one by now is not accepted.
func (k *KMS) AcceptClock(ctx context.Context, a identity.Actor, seen int64, ask Ask) (ClockView, error) {
	u, err := k.unsealed()
	if err != nil {
		return ClockView{}, err
	}
	if a.Kind() != identity.LocalOperator {
		return ClockView{}, fail(Denied, "look at the clock on the machine itself", "only the local operator may accept the clock")
	}
	offer, wrong := u.journal.Clock()
	if wrong == nil {
		return ClockView{}, fail(Conflict, "", "the clock is trusted: there is nothing to accept")
	}
	if d := time.UnixMilli(seen).Sub(offer.To).Abs(); d > seenWithin {
		return ClockView{}, fail(Conflict, "look at the clock, and accept what it shows now",
			"the clock shows %s, which is not what was to be accepted", stamp(offer.To))
	}
	v := ClockView{From: offer.From.UnixMilli(), To: offer.To.UnixMilli()}
	sentence := fmt.Sprintf("Believe that it is %s; log time was %s.", stamp(offer.To), stamp(offer.From))
	q := k.administration(a, key.AcceptClock, "clock", clockParameters{v.From, v.To}, sentence)
	v.Answer, _, err = walk(ctx, k, u, ask, "", q, func(g approval.Grant, t journal.Terms) (answer Answer, err error) {
		answer.Operation, answer.Position, err = u.journal.Accept(ctx, g, t, offer)
		return answer, err
	})
	return v, k.wrap(err)
}

// seenWithin is how long somebody may look at a clock before accepting it.
const seenWithin = 5 * time.Minute

type clockParameters struct {
	From int64 `cbor:"1,keyasint"`
	To   int64 `cbor:"2,keyasint"`
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
