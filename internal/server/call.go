package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"keyward/api"
	"keyward/internal/identity"
	"keyward/internal/kms"
)

// Call is one request on its way. It lives until its Route's Handle returns.
type Call struct {
	Request *http.Request
	Actor   identity.Actor // invalid only for Routes open to Anyone
	ID      string         // request id
	Name    string         // of the Route

	server *Server
	writer http.ResponseWriter
	origin *origin
	body   *buffer
	after  []func()
	status int
	kind   kms.Kind
	always bool  // the Route's
	flying bool  // counted among those in flight
	held   share // of what the actor has a share of

	values [3]string // of headers, so that they cost no allocation each
}

// Context ends when the caller goes away.
func (c *Call) Context() context.Context { return c.Request.Context() }

// Path is a part of the path, by its name in the Route's pattern.
func (c *Call) Path(name string) string { return c.Request.PathValue(name) }

// Local tells whether the call came in over the unix socket, or in process, from
// who may be the local operator.
func (c *Call) Local() bool { return c.origin != nil && c.origin.operator != "" }

// Idempotency is the caller's idempotency key, or "".
func (c *Call) Idempotency() (string, error) {
	switch all := c.Request.Header[api.HeaderIdempotencyKey]; {
	case len(all) == 0:
		return "", nil
	case len(all) > 1 || all[0] == "":
		return "", c.Invalid(api.HeaderIdempotencyKey, "want one value of 1 to 128 printable ASCII characters")
	default:
		return all[0], nil
	}
}

// Invalid is the error for a field of the request that is wrong.
func (c *Call) Invalid(field, what string) error {
	return &kms.Error{Kind: kms.Invalid, Message: c.Name + ": " + field + ": " + what, Hint: "see /openapi.json"}
}

// After runs f when the answer has been written, or will not be: to wipe what it
// was made of.
func (c *Call) After(f func()) { c.after = append(c.after, f) }

// Answer writes a success as it is. Only one answer can be given.
func (c *Call) Answer(contentType string, body []byte) error {
	c.values[1] = contentType
	c.writer.Header()["Content-Type"] = c.values[1:2:2]
	c.write(http.StatusOK, body)
	return nil
}

// Header sets a header of the answer.
func (c *Call) Header(name, value string) { c.writer.Header().Set(name, value) }

// write gives the answer. An error of the connection has nobody to be told to.
func (c *Call) write(status int, body []byte) {
	c.status = status
	c.values[2] = strconv.Itoa(len(body))
	c.writer.Header()["Content-Length"] = c.values[2:3:3]
	c.writer.WriteHeader(status)
	_, _ = c.writer.Write(body)
}

// fail answers an error as a problem, by its kind.
func (c *Call) fail(err error) {
	var e *kms.Error
	if !errors.As(err, &e) {
		c.server.log.Error("unexpected", "request", c.ID, "what", c.Name, "error", err)
		e = &kms.Error{Kind: kms.Failed, Message: "something failed inside keyward", Hint: "the server's own log says what"}
	}
	switch e.Kind {
	case kms.Failed, kms.Unknown, kms.Unready:
		c.server.log.Warn("request failed", "request", c.ID, "what", c.Name, "kind", string(e.Kind), "message", e.Message, "operation", e.Operation,
			"cause", errors.Unwrap(e))
	}
	if c.status == 0 {
		status := Status(e.Kind)
		if e == crowded {
			status = http.StatusServiceUnavailable
		}
		c.problem(status, e)
	}
}

// end gives back what the call held.
func (c *Call) end() {
	for _, f := range c.after {
		f()
	}
	if c.body != nil {
		c.body.release()
	}
	c.unshare()
}

func (c *Call) source() string {
	switch {
	case c.Actor.Valid():
		return c.Actor.Source()
	case c.origin == nil:
		return ""
	case c.origin.operator != "":
		return c.origin.operator
	case c.origin.address.IsValid():
		return c.origin.address.String()
	}
	return "unix"
}
