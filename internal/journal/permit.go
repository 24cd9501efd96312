package journal

import (
	"errors"
	"fmt"
	"sync/atomic"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/key"
)

// Permit is the proof that an operation is on disk, with its budget spent. It
// is good for one use of one version of one key, for one verb and algorithm.
// Copies share their state: a copy of a spent Permit is spent. Only Begin makes
// one; the zero value is refused.
type Permit struct{ p *permit }

type permit struct {
	spent     atomic.Bool
	ended     atomic.Bool
	operation string
	order     Order
	position  audit.Position
	row       operation
}

// Order is what a Permit permits. The payload is inside: there is no other way
// to bring one.
type Order struct {
	Key       key.Ref
	Path      string // account below the key; "" for the key itself
	Verb      key.Verb
	Algorithm key.Algorithm
	Parsed    chain.Parsed
}

// The ways in which a Permit is refused.
var (
	ErrNoPermit  = errors.New("no permit: this operation was never begun")
	ErrSpent     = errors.New("this permit was used already")
	ErrWrongVerb = errors.New("this permit is for another verb")
)

// Valid is false for the zero value.
func (p Permit) Valid() bool { return p.p != nil }

// Take spends the Permit and hands out its Order. The caller names the verb
// that it is about to do; a Permit of another verb is refused unspent.
func (p Permit) Take(verb key.Verb) (Order, error) {
	if p.p == nil {
		return Order{}, ErrNoPermit
	}
	if p.p.order.Verb != verb {
		return Order{}, fmt.Errorf("%w: it permits %s, not %s", ErrWrongVerb, p.p.order.Verb, verb)
	}
	if p.p.spent.Swap(true) {
		return Order{}, ErrSpent
	}
	return p.p.order, nil
}

// Verb is the one verb that is permitted.
func (p Permit) Verb() key.Verb { return p.p.order.Verb }

// Operation is the id of the operation, "op_…".
func (p Permit) Operation() string { return p.p.operation }

// Position is where its record stands in the log.
func (p Permit) Position() audit.Position { return p.p.position }

// Spent tells whether somebody took the Order.
func (p Permit) Spent() bool { return p.p != nil && p.p.spent.Load() }
