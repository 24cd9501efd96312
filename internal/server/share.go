package server

import (
	"sync"

	"keyward/internal/identity"
	"keyward/internal/kms"
)

// shares counts what each caller takes of what all have together, so that one
// alone cannot take it all. The local operator is not held to a share: who must
// put things right is not shut out by what is wrong.
type shares struct {
	mu   sync.Mutex
	held map[string]share // by the actor's id; "" is all strangers together
}

type share struct{ requests, large int }

// add changes what actor holds by more, unless it would get beyond most.
func (s *shares) add(actor string, more, most share) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[actor]
	h.requests += more.requests
	h.large += more.large
	if more.requests > 0 && h.requests > most.requests || more.large > 0 && h.large > most.large {
		return false
	}
	if s.held == nil {
		s.held = map[string]share{}
	}
	if s.held[actor] = h; h == (share{}) {
		delete(s.held, actor)
	}
	return true
}

// share takes more out of the share of who calls; end gives it back.
func (c *Call) share(more share) bool {
	if c.Actor.Kind() == identity.LocalOperator {
		return true
	}
	if !c.server.shares.add(c.Actor.ID(), more, share{c.server.limits.PerActor, largeShare}) {
		return false
	}
	c.held.requests += more.requests
	c.held.large += more.large
	return true
}

func (c *Call) unshare() {
	if c.held != (share{}) {
		c.server.shares.add(c.Actor.ID(), share{-c.held.requests, -c.held.large}, share{})
		c.held = share{}
	}
}

// crowded is answered with 503: all callers together, not this one, are too
// much; hence no 429.
var crowded = &kms.Error{Kind: kms.Busy, Message: "too many requests at once", Hint: "try again"}

// enter counts the call among those in flight.
func (c *Call) enter() error {
	c.flying = true
	if c.server.inFlight.Add(1) > int64(c.server.limits.InFlight) && !c.always {
		return crowded
	}
	return nil
}

// leave is enter's opposite. It may be called again.
func (c *Call) leave() {
	if c.flying {
		c.flying = false
		c.server.inFlight.Add(-1)
	}
}
