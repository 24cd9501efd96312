package policy

import "math/big"

// Outcome is what a Decision comes to.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed"
	Denied  Outcome = "denied"
	Asks    Outcome = "asks" // allowed once its Needs are met and its Delay has passed
)

// Decision is the proof that a request was judged, by which rules, and why.
// Only Decide makes one; the zero value is refused.
type Decision struct{ d *decision }

type decision struct {
	request Request
	rules   [32]byte // Policy.Hash
	outcome Outcome
	reasons []Reason
	fitting []string
	needs   []Need
	delay   int64
	windows []Window
	charges []Charge
}

// Reason is one sentence of why. Code is stable. What no rule can allow: expired,
// key, state, usage, domain. Why rules deny: denied-by-rule, no-rule, blind,
// chain, sighash, asset, destination, first-payment, over-amount, over-fee,
// over-window, hours. Why they let
// pass: allowed, approvals, delay, and over-window where the rule's own `over:` is
// asked for. Effect is the What of the effect it speaks of, or "".
type Reason struct{ Code, Rule, Effect, Text string }

// Need is one approval tree that must be met: Count of the members of a group.
type Need struct {
	Rule    string
	Count   int
	Of      string
	Members []string
	Within  int64 // ms after Created; 0 means the default of 48 hours

	InitiatorCounts bool // the vote of who asked counts too
}

// Charge is what the request takes from budgets: base units of one asset to one
// destination; the fee has the destination "fee".
type Charge struct {
	Asset       string
	Destination string
	Amount      *big.Int
}

// FeeDestination stands where a fee's destination would.
const FeeDestination = "fee"

// Scope is the set of payments that a window adds up.
type Scope struct {
	ID    string // equal for equal scopes of one policy
	Asset string // CAIP-19
	fits  func(keyName, actor, destination string) bool
}

// Fits tells whether a payment of the scope's asset counts. KeyName is the key's
// name, followed by "/" and the path for an account below it. Fees always count.
func (s Scope) Fits(subject, actor, destination string) bool {
	return s.fits != nil && s.fits(subject, actor, destination)
}

// Window is a budget that must hold when the request is begun: what the scope
// spent in the last Per milliseconds, and this request's own charges within the
// scope, together at most Max.
type Window struct {
	Rule     string
	Scope    Scope
	Per      int64 // ms
	Max      *big.Int
	Exceeded bool // known to be exceeded, and the rule's own `over:` was asked for instead
}

// Facts are the payments of the past.
type Facts interface {
	// Spent adds up the scope's payments since a log time in ms; a bucket that
	// begins earlier and reaches into the span counts whole.
	Spent(s Scope, since int64) (*big.Int, error)
	// Paid tells whether the key of this name, or any account below it, has ever
	// been charged for something that went to a destination on a chain (CAIP-2).
	// What was paid once stays paid.
	Paid(keyName, chain, destination string) (bool, error)
}

// Valid is false for the zero value.
func (d Decision) Valid() bool { return d.d != nil }

// Request is what was judged.
func (d Decision) Request() Request { return d.d.request }

// Rules is the hash of the policy that judged.
func (d Decision) Rules() [32]byte { return d.d.rules }

// Outcome says what it comes to.
func (d Decision) Outcome() Outcome { return d.d.outcome }

// Reasons says why; never empty.
func (d Decision) Reasons() []Reason { return d.d.reasons }

// Fitting names the rules that fitted any effect, sorted.
func (d Decision) Fitting() []string { return d.d.fitting }

// Needs lists every approval tree asked for; all of them must be met.
func (d Decision) Needs() []Need { return d.d.needs }

// Delay is how long, in ms after Created, the request must wait.
func (d Decision) Delay() int64 { return d.d.delay }

// Windows lists every budget that must hold when the request is begun.
func (d Decision) Windows() []Window { return d.d.windows }

// Charges lists what it takes from budgets, sorted by asset and destination.
func (d Decision) Charges() []Charge { return d.d.charges }
