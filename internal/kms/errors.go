package kms

import (
	"errors"
	"fmt"

	"keyward/internal/policy"
)

// Kind is what sort of failure an Error is; each protocol maps it once.
type Kind string

// The kinds.
const (
	Invalid         Kind = "invalid"         // the request itself is wrong
	Unauthenticated Kind = "unauthenticated" // nobody was proved to ask
	Denied          Kind = "denied"          // judged, and refused by policy
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

// Error is what kms returns for every failure: the fact, then the next step.
type Error struct {
	Kind      Kind
	Message   string
	Hint      string
	Operation string          // id of the operation, where there is one
	Reasons   []policy.Reason // of a denial or of waiting
	cause     error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause, which is for logs and never for callers.
func (e *Error) Unwrap() error { return e.cause }

// KindOf is the kind of any error that kms returned.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Failed
}

func fail(kind Kind, hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), Hint: hint, cause: errors.Unwrap(err)}
}
