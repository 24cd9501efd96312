package api

// Kind is what sort of failure a Problem is; callers branch on it.
type Kind string

// The kinds that a server answers with.
const (
	Invalid         Kind = "invalid"         // the request itself is wrong
	Unauthenticated Kind = "unauthenticated" // nobody was proved to ask
	Denied          Kind = "denied"          // refused by policy, or not allowed by this way in
	NotFound        Kind = "not-found"
	Conflict        Kind = "conflict" // a name taken, an idempotency key reused, a state that forbids it
	Waiting         Kind = "waiting"  // recorded; needs approvals or time
	Expired         Kind = "expired"
	Unverified      Kind = "unverified" // a signature, MAC or ciphertext that does not hold
	TooLarge        Kind = "too-large"
	Busy            Kind = "busy"    // a limit of the server; try again later
	Sealed          Kind = "sealed"  // unseal first
	Unready         Kind = "unready" // cannot write, or found its state changed from outside
	Unknown         Kind = "unknown" // it is not known whether the operation was recorded
	Failed          Kind = "failed"  // anything else
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Invalid, Unauthenticated, Denied, NotFound, Conflict, Waiting, Expired, Unverified, TooLarge, Busy, Sealed, Unready, Unknown,
		Failed}
}

// Problem is the body of every answer that is not a success (RFC 9457,
// application/problem+json).
type Problem struct {
	Type      string   `json:"type" doc:"urn:keyward:problem: and the kind"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail,omitzero" doc:"the fact"`
	Kind      Kind     `json:"kind" enum:"invalid,unauthenticated,denied,not-found,conflict,waiting,expired,unverified,too-large,busy,sealed,unready,unknown,failed"`
	Hint      string   `json:"hint,omitzero" doc:"the next step"`
	RequestID string   `json:"requestId,omitzero"`
	Operation string   `json:"operation,omitzero" doc:"id of the operation, where one was recorded"`
	Reasons   []Reason `json:"reasons,omitempty" doc:"why it was denied, or what it waits for"`
}

// Pending is the body of 202: the request is recorded and waits. Ask for it at
// /v1/requests/{id}/collect.
type Pending struct {
	V         V1       `json:"v"`
	Kind      Kind     `json:"kind" enum:"waiting"`
	Operation string   `json:"operation,omitzero" doc:"absent for a dry run"`
	Detail    string   `json:"detail,omitzero"`
	Hint      string   `json:"hint,omitzero"`
	RequestID string   `json:"requestId,omitzero"`
	Reasons   []Reason `json:"reasons,omitempty"`
}

// Reason is one sentence of why. Code is stable.
type Reason struct {
	Code   string `json:"code"`
	Rule   string `json:"rule,omitzero" doc:"the policy's rule that it speaks of"`
	Effect string `json:"effect,omitzero" doc:"move, fee, allowance, call, message, plain or administration"`
	Text   string `json:"text"`
}
