package policy

// As is r as if somebody else had asked: tests need actors of every kind, and
// only package identity, with a store behind it, makes those.
func As(r Request, actor string) Request {
	c := *r.r
	c.actor = actor
	return Request{&c}
}

// The time zones that hours may name.
var (
	Zones     = zones
	ZoneNamed = zoneNamed
	TZif      = tzif
)

// Encode is the canonical form of a stored request.
func (s Stored) Encode() []byte { return s.encode() }
