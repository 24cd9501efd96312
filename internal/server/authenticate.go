package server

import (
	"hash/maphash"
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
	if !s.guard.admits(c.origin.address, token) {
		return &kms.Error{Kind: kms.Busy, Message: "too many failed authentications from this address", Hint: "wait, then use a valid token"}
	}
	var err error
	if c.Actor, err = s.kms.Authenticate(c.Context(), []byte(token), c.origin.address); err != nil {
		if kms.KindOf(err) == kms.Unauthenticated {
			return s.refused(c, err)
		}
		return err
	}
	s.guard.knows(token)
	return nil
}

func (s *Server) refused(c *Call, err error) error {
	s.guard.failed(c.origin.address)
	s.metrics.unauthenticated.Inc()
	s.kms.CountFailedAuthentication(c.source())
	return err
}

// guard slows down who keeps failing to authenticate. Tokens have 256 random
// bits and cannot be guessed; what it saves is work. Tokens that were good lately
// pass it always, so that nobody is locked out by a neighbour behind the same
// address.
type guard struct {
	clock func() time.Time
	seed  maphash.Seed
	good  sync.Map // fingerprint of a token that was good → nothing

	mu      sync.Mutex
	goods   int
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
	goodTokens     = 8192
)

func newGuard(clock func() time.Time) *guard {
	return &guard{clock: clock, seed: maphash.MakeSeed(), sources: map[netip.Prefix]*failures{}}
}

// fingerprint needs no strength: who meets it by chance is authenticated all the same.
func (g *guard) fingerprint(token string) uint64 { return maphash.String(g.seed, token) }

func (g *guard) knows(token string) {
	f := g.fingerprint(token)
	if _, known := g.good.Load(f); known {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.goods++; g.goods > goodTokens {
		g.good.Clear()
		g.goods = 1
	}
	g.good.Store(f, struct{}{})
}

func (g *guard) admits(source netip.Addr, token string) bool {
	g.mu.Lock()
	f := g.sources[network(source)]
	slow := f != nil && g.refill(f) < 1
	g.mu.Unlock()
	if !slow {
		return true
	}
	_, known := g.good.Load(g.fingerprint(token))
	return known
}

func (g *guard) failed(source netip.Addr) {
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
	f.left = max(0, g.refill(f)-1)
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
