// Package approval counts what a Decision still asks for against what is there:
// time passed and, with the people issue, signed votes. It is pure.
package approval

import (
	"errors"
	"fmt"
	"strings"

	"keyward/internal/policy"
)

// ErrDenied is wrapped when the Decision is a denial.
var ErrDenied = errors.New("denied by policy")

// Grant is the proof that nothing more is asked for. Only Tally makes one; the
// zero value is refused.
type Grant struct{ g *grant }

type grant struct{ decision policy.Decision }

// Valid is false for the zero value.
func (g Grant) Valid() bool { return g.g != nil }

// Decision is what was granted.
func (g Grant) Decision() policy.Decision { return g.g.decision }

// Waiting is what is missing.
type Waiting struct {
	Needs []policy.Need // approvals, each counted against the members' votes
	Until int64         // log time in ms before which it may not begin; 0 when no delay is left
}

func (w *Waiting) Error() string {
	var parts []string
	for _, n := range w.Needs {
		parts = append(parts, fmt.Sprintf("%d approvals of group %q", n.Count, n.Of))
	}
	if w.Until != 0 {
		parts = append(parts, "its delay to pass")
	}
	return "waiting for " + strings.Join(parts, " and ")
}

// Tally grants a Decision that needs nothing more at log time now (ms). It
// returns ErrDenied for a denial and *Waiting for what is not met yet.
func Tally(d policy.Decision, now int64) (Grant, error) {
	if !d.Valid() {
		return Grant{}, errors.New("tally of no decision")
	}
	switch d.Outcome() {
	case policy.Allowed, policy.Asks:
	default:
		return Grant{}, ErrDenied
	}
	w := &Waiting{Needs: d.Needs()}
	if until := d.Request().Created() + d.Delay(); d.Delay() > 0 && now < until {
		w.Until = until
	}
	if len(w.Needs) > 0 || w.Until > 0 {
		return Grant{}, w
	}
	return Grant{&grant{d}}, nil
}
