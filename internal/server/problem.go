package server

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"keyward/api"
	"keyward/internal/kms"
)

// statuses is the one table from kinds of failure to HTTP.
var statuses = map[kms.Kind]int{
	kms.Invalid:         http.StatusBadRequest,
	kms.Unauthenticated: http.StatusUnauthorized,
	kms.Denied:          http.StatusForbidden,
	kms.NotFound:        http.StatusNotFound,
	kms.Conflict:        http.StatusConflict,
	kms.Waiting:         http.StatusAccepted,
	kms.Expired:         http.StatusGone,
	kms.Unverified:      http.StatusUnprocessableEntity,
	kms.TooLarge:        http.StatusRequestEntityTooLarge,
	kms.Busy:            http.StatusTooManyRequests,
	kms.Sealed:          http.StatusServiceUnavailable,
	kms.Unready:         http.StatusServiceUnavailable,
	kms.Unknown:         http.StatusServiceUnavailable,
	kms.Failed:          http.StatusInternalServerError,
}

// Status is the HTTP status of a kind.
func Status(k kms.Kind) int {
	if status, ok := statuses[k]; ok {
		return status
	}
	return http.StatusInternalServerError
}

var titles = map[kms.Kind]string{
	kms.Invalid:         "the request is wrong",
	kms.Unauthenticated: "nobody was proved to ask",
	kms.Denied:          "denied",
	kms.NotFound:        "not found",
	kms.Conflict:        "in conflict with what is",
	kms.Waiting:         "waiting",
	kms.Expired:         "expired",
	kms.Unverified:      "it does not hold",
	kms.TooLarge:        "too large",
	kms.Busy:            "too much at once",
	kms.Sealed:          "sealed",
	kms.Unready:         "not ready",
	kms.Unknown:         "it is not known whether this was recorded",
	kms.Failed:          "failed",
}

// Problem is an error of kms on the wire.
func (c *Call) Problem(e *kms.Error) api.Problem {
	p := api.Problem{
		Type: "urn:keyward:problem:" + string(e.Kind), Title: titles[e.Kind], Status: Status(e.Kind), Detail: e.Message,
		Kind: api.Kind(e.Kind), Hint: e.Hint, RequestID: c.ID, Operation: e.Operation,
	}
	for _, r := range e.Reasons {
		p.Reasons = append(p.Reasons, api.Reason{Code: r.Code, Rule: r.Rule, Effect: r.Effect, Text: r.Text})
	}
	return p
}

// problem answers with an error: as RFC 9457, and a request that waits as what
// it is.
func (c *Call) problem(status int, e *kms.Error) {
	c.kind = e.Kind
	p := c.Problem(e)
	p.Status = status
	h := c.writer.Header()
	h["Content-Type"] = []string{"application/problem+json"}
	switch e.Kind {
	case kms.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="keyward"`)
	case kms.Busy:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	var body any = &p
	if e.Kind == kms.Waiting {
		h["Content-Type"] = isJSON
		body = &api.Pending{Kind: api.Waiting, Operation: p.Operation, Detail: p.Detail, Hint: p.Hint, RequestID: c.ID, Reasons: p.Reasons}
	}
	b, err := json.Marshal(body)
	if err != nil {
		b = []byte(`{"kind":"failed"}`) // text that is not UTF-8 got into a message
	}
	c.write(status, b)
}

const retryAfter = 1 // seconds
