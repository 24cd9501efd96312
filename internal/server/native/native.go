// Package native is keyward's own protocol: JSON over HTTP, described by the
// types of package api. A handler decodes, asks kms and encodes, and does
// nothing else. One table of routes makes the handlers, the OpenAPI description
// and the tests that no route is forgotten.
package native

import (
	"net/http"
	"reflect"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

// Node is what the program knows about itself.
type Node struct {
	Version string
	Listen  func() []string // bound addresses
}

// Route is a row of the table.
type Route struct {
	server.Route
	Summary string
	In      reflect.Type // of the body; nil for none
	Out     reflect.Type // of the answer; nil when it is not JSON
	Query   []Parameter
	Binary  string // content type of a body that is not JSON
	Plain   string // content type of an answer that is not JSON
}

// Parameter is a name in the query.
type Parameter struct {
	Name, Doc string
	Number    bool
}

// house is what the handlers work on.
type house struct {
	kms  *kms.KMS
	node Node
}

// Routes is the table. Its handlers need k; the descriptions do not.
func Routes(k *kms.KMS, node Node) []Route {
	h := &house{k, node}
	var all []Route
	for _, rows := range [][]Route{h.keys(), h.uses(), h.requests(), h.governing(), h.sealing(), h.log(), h.pages()} {
		all = append(all, rows...)
	}
	return all
}

// Mount gives the routes to a server.
func Mount(routes []Route) []server.Route {
	all := make([]server.Route, len(routes))
	for i, r := range routes {
		all[i] = r.Route
	}
	return all
}

// post is a route that takes a body and answers with another.
func post[In, Out any](path, name, summary string, do func(*server.Call, *In) (Out, error)) Route {
	r := Route{Summary: summary, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out]()}
	r.Route = server.Route{Method: http.MethodPost, Path: api.Prefix + path, Name: name, Handle: func(c *server.Call) error {
		var in In
		if err := c.Decode(&in); err != nil {
			return err
		}
		out, err := do(c, &in)
		if err != nil {
			return err
		}
		return c.JSON(&out)
	}}
	return r
}

// get is a route that only reads.
func get[Out any](path, name, summary string, query []Parameter, do func(*server.Call) (Out, error)) Route {
	r := Route{Summary: summary, Out: reflect.TypeFor[Out](), Query: query}
	r.Route = server.Route{Method: http.MethodGet, Path: api.Prefix + path, Name: name, Handle: func(c *server.Call) error {
		if err := known(c, query); err != nil {
			return err
		}
		out, err := do(c)
		if err != nil {
			return err
		}
		return c.JSON(&out)
	}}
	return r
}

// ask is what every operation carries.
func ask(c *server.Call, in api.Ask) (kms.Ask, error) {
	key, err := c.Idempotency()
	if err == nil && (in.ExpiresInSeconds < 0 || in.ExpiresInSeconds > maxSeconds) {
		err = c.Invalid("expiresInSeconds", "want 0 to 31536000")
	}
	return kms.Ask{Idempotency: key, ExpiresIn: in.ExpiresInSeconds * 1000}, err
}

const maxSeconds = 365 * 24 * 3600

func answer(a kms.Answer) api.Answer {
	out := api.Answer{Operation: a.Operation}
	if a.Position.Sequence != 0 {
		out.Audit = &api.Audit{Sequence: a.Position.Sequence, Hash: a.Position.Hash[:]}
	}
	return out
}

func done(a kms.Answer, err error) (api.Done, error) { return api.Done{Answer: answer(a)}, err }
