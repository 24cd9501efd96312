package server

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"keyward/internal/identity"
	"keyward/internal/kms"
)

// authenticate finds who asks. A token makes the caller that service, also over
// the unix socket; without one, the socket's peer is the local operator.
func (s *Server) authenticate(c *Call, access Access) error {
	c.origin = originOfRequest(c.Request)
	err := s.prove(c)
	if c.Actor.Valid() && c.origin.conn != nil {
		c.origin.conn.proved.Store(true)
	}
	switch {
	case err != nil && access == Anyone && kms.KindOf(err) == kms.Sealed:
		return nil // nobody can be proved now, and nobody needs to be
	case err != nil:
		return err
	case access == Socket && (c.origin.operator == "" || c.Actor.Kind() != identity.LocalOperator):
		return &kms.Error{
			Kind: kms.Denied, Message: c.Name + ": only over the unix socket, by the local operator",
			Hint: "run this on the machine itself, as the user that keyward runs as",
		}
	case access == Actors && !c.Actor.Valid():
		return &kms.Error{Kind: kms.Unauthenticated, Message: "a token is needed", Hint: "send Authorization: Bearer kwt_…"}
	}
	return nil
}

// prove fills c.Actor, where there is somebody to be proved.
func (s *Server) prove(c *Call) error {
	header := c.Request.Header["Authorization"]
	if len(header) == 0 {
		if c.origin.operator != "" {
			c.Actor = identity.Operator(c.origin.operator)
		}
		return nil
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if len(header) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return s.refused(c, &kms.Error{
			Kind: kms.Unauthenticated, Message: "the Authorization header is no bearer token", Hint: "send Authorization: Bearer kwt_…",
		})
	}
	var err error
	if c.Actor, err = s.kms.Authenticate(c.Context(), []byte(token), c.origin.address); err != nil {
		if kms.KindOf(err) == kms.Unauthenticated {
			return s.refused(c, err)
		}
		return err
	}
	return nil
}

// refused is the answer to who failed to authenticate.
func (s *Server) refused(c *Call, err error) error {
	if !s.guard.admits(c.origin.address) {
		return &kms.Error{Kind: kms.Busy, Message: "too many failed authentications from this address", Hint: "wait, then use a valid token"}
	}
	s.metrics.unauthenticated.Inc()
	s.kms.CountFailedAuthentication(c.source())
	return err
}

// guard slows down who keeps failing to authenticate, and nobody else: it is
// asked only once a token has failed, so that no neighbour behind the same
// address locks out whoever holds a good one. Tokens have 256 random bits and
// cannot be guessed; what it bounds is how much failures write.
type guard struct {
	clock func() time.Time

	mu      sync.Mutex
	sources map[netip.Prefix]*failures
}

type failures struct {
	left float64
	at   time.Time
}

const (
	failuresBurst  = 20.0
	failuresRate   = 0.5 // a second
	guardedSources = 4096
)

func newGuard(clock func() time.Time) *guard {
	return &guard{clock: clock, sources: map[netip.Prefix]*failures{}}
}

// admits counts one failure from source, and tells whether it is not one too many.
func (g *guard) admits(source netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := network(source)
	f := g.sources[n]
	if f == nil {
		if len(g.sources) >= guardedSources {
			g.sweep()
		}
		f = &failures{failuresBurst, g.clock()}
		g.sources[n] = f
	}
	if g.refill(f) < 1 {
		return false
	}
	f.left--
	return true
}

// refill needs the lock.
func (g *guard) refill(f *failures) float64 {
	now := g.clock()
	f.left = min(failuresBurst, f.left+failuresRate*now.Sub(f.at).Seconds())
	f.at = now
	return f.left
}

// sweep forgets the sources that have been quiet, and when there are none, all:
// a crowd that large is not slowed down by address.
func (g *guard) sweep() {
	for n, f := range g.sources {
		if g.refill(f) >= failuresBurst {
			delete(g.sources, n)
		}
	}
	if len(g.sources) >= guardedSources {
		clear(g.sources)
	}
}

// network is what one caller is likely to hold: an IPv4 address or an IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the unix socket
	}
	return p
}
