package identity

// Kind is what sort of actor acts.
type Kind string

// The kinds of today.
const (
	LocalOperator Kind = "local-operator"
	Program       Kind = "service"
)

// Actor is the proof that somebody was authenticated. Only this package makes
// one; the zero value is refused everywhere, and has no name.
type Actor struct{ a *actor }

type actor struct {
	kind   Kind
	id     string
	name   string
	source string
}

// Valid is false for the zero value.
func (a Actor) Valid() bool { return a.a != nil }

// Kind tells people from programs.
func (a Actor) Kind() Kind {
	if a.a == nil {
		return ""
	}
	return a.a.kind
}

// ID is stable for ever: "operator", or "svc_…".
func (a Actor) ID() string {
	if a.a == nil {
		return ""
	}
	return a.a.id
}

// Name is how policies and people call the actor: "operator", "service:payouts".
func (a Actor) Name() string {
	if a.a == nil {
		return ""
	}
	return a.a.name
}

// Source is where the request came from: "unix", "offline" or an IP address.
func (a Actor) Source() string {
	if a.a == nil {
		return ""
	}
	return a.a.source
}
