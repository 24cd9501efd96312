package client

import (
	"errors"
	"fmt"
	"net/http"

	"keyward/api"
)

// Unreachable is the kind of an *Error that no server answered with: there was
// no connection, or it broke before an answer.
const Unreachable api.Kind = "unreachable"

// Error is a refusal by the server, or its silence.
type Error struct {
	Kind      api.Kind
	Message   string
	Hint      string
	RequestID string
	Operation string // id of the operation, where one was recorded
	Reasons   []api.Reason
	Status    int // of HTTP; 0 when nothing answered

	retryAfter int // seconds
	cause      error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause when nothing answered.
func (e *Error) Unwrap() error { return e.cause }

// KindOf is the kind of an error that a Client returned; "" for others.
func KindOf(err error) api.Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func unreachable(where string, err error) *Error {
	return &Error{
		Kind: Unreachable, Message: fmt.Sprintf("%s: %v", where, err), cause: err,
		Hint: "is the server running? start it with: keyward server",
	}
}

// strange is an answer that is not keyward's.
func strange(response *http.Response, what string) *Error {
	return &Error{
		Kind: api.Failed, Status: response.StatusCode, RequestID: response.Header.Get(api.HeaderRequestID),
		Message: fmt.Sprintf("answer %d is not keyward's: %s", response.StatusCode, what),
		Hint:    "check the address; something else may be listening there",
	}
}

func fromProblem(response *http.Response, p api.Problem) *Error {
	e := &Error{
		Kind: p.Kind, Message: p.Detail, Hint: p.Hint, RequestID: p.RequestID, Operation: p.Operation, Reasons: p.Reasons,
		Status: response.StatusCode,
	}
	if e.Message == "" {
		e.Message = p.Title
	}
	return e
}

// Problem returns the result of one item of a batch as an error; nil for nil.
func Problem(p *api.Problem) error {
	if p == nil {
		return nil
	}
	return fromProblem(&http.Response{StatusCode: p.Status}, *p)
}
