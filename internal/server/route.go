package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"keyward/api"
	"keyward/internal/kms"
)

// Access says who may call a Route at all; what they may do is kms's question.
type Access int

// The ways in.
const (
	Actors Access = iota // whoever is authenticated
	Anyone               // also who is not; Call.Actor may be invalid
	Socket               // the unix socket alone, and the local operator: for what only who sits there can know
)

// Route is one thing that can be asked.
type Route struct {
	Method string
	Path   string // a pattern of http.ServeMux
	Name   string // of the thing asked, "create-key": in errors and metrics
	Access Access
	Handle func(*Call) error // an error is answered as a problem; kms's keep their kind

	always bool // also when too many requests are in flight: who watches must see that
}

// mux builds the one handler.
func (s *Server) mux(routes []Route) http.Handler {
	mux := http.NewServeMux()
	allowed := map[string][]string{} // methods by path
	add := func(r Route, h http.HandlerFunc) {
		mux.HandleFunc(r.Method+" "+r.Path, h)
		allowed[r.Path] = append(allowed[r.Path], r.Method)
	}
	for _, r := range routes {
		add(r, s.serve(r))
	}
	for _, r := range s.own() {
		add(r, s.serve(r))
	}
	for path, methods := range allowed {
		mux.HandleFunc(path, s.serve(wrongMethod(methods)))
	}
	mux.HandleFunc("/", s.serve(Route{Name: "unknown", Access: Anyone, Handle: func(*Call) error {
		return &kms.Error{Kind: kms.NotFound, Message: "there is nothing under this path", Hint: "see /openapi.json"}
	}}))
	return mux
}

func wrongMethod(methods []string) Route {
	allow := strings.Join(methods, ", ")
	return Route{Name: "unknown", Access: Anyone, Handle: func(c *Call) error {
		c.Header("Allow", allow)
		c.problem(http.StatusMethodNotAllowed, &kms.Error{Kind: kms.Invalid, Message: "this path takes " + allow, Hint: "see /openapi.json"})
		return nil
	}}
}

// serve is the way of every request: named, counted, authenticated, handled,
// answered.
func (s *Server) serve(route Route) http.HandlerFunc {
	seen := s.metrics.route(route.Name)
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &Call{Request: r, Name: route.Name, server: s, writer: w, always: route.always}
		c.header(s.ids.of(r))
		defer func() {
			c.end()
			seen.observe(c, start)
			s.logged(c, start)
		}()
		defer func() {
			if p := recover(); p != nil {
				s.panicked(c, p)
			}
		}()
		defer c.leave()
		if err := c.run(route); err != nil {
			c.fail(err)
		}
	}
}

func (c *Call) run(route Route) error {
	if err := c.enter(); err != nil {
		return err
	}
	if err := c.server.authenticate(c, route.Access); err != nil {
		return err
	}
	if !route.always && !c.share(share{requests: 1}) {
		return &kms.Error{Kind: kms.Busy, Message: "too many requests of this caller at once", Hint: "wait for answers before asking more"}
	}
	return route.Handle(c)
}

// header sets what every answer has.
func (c *Call) header(id string) {
	c.ID, c.values[0] = id, id
	h := c.writer.Header()
	h[api.HeaderRequestID] = c.values[0:1:1]
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	if note := c.server.newestCheckpoint(); note != nil {
		h[api.HeaderCheckpoint] = note
	}
}

// Header values that never change; net/http only reads them.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
	isJSON  = []string{"application/json"}
)

// checkpointHeader is the newest checkpoint as a header's value.
type checkpointHeader struct {
	note  string
	value []string
}

func (s *Server) newestCheckpoint() []string {
	note := s.kms.Checkpoint()
	if note == nil {
		return nil
	}
	h := s.checkpoint.Load()
	if h == nil || h.note != string(note) {
		h = &checkpointHeader{string(note), []string{base64.StdEncoding.EncodeToString(note)}}
		s.checkpoint.Store(h)
	}
	return h.value
}

// panicked answers for a handler that broke, and drops the connection: what it
// left behind is unknown.
func (s *Server) panicked(c *Call, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel by net/http's own contract
		panic(p)
	}
	what := fmt.Sprintf("%T", p) // its text could hold anything
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	s.log.Error("panic", "request", c.ID, "what", c.Name, "panic", what, "stack", string(debug.Stack()))
	c.writer.Header().Set("Connection", "close")
	if c.status == 0 {
		c.fail(&kms.Error{Kind: kms.Failed, Message: "something failed inside keyward", Hint: "the server's own log says what"})
	}
}

// logged writes the request to the log, at debug: names alone, never contents.
func (s *Server) logged(c *Call, start time.Time) {
	if !s.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	actor := ""
	if c.Actor.Valid() {
		actor = c.Actor.Name()
	}
	s.log.Debug("request", "request", c.ID, "what", c.Name, "actor", actor, "source", c.source(), "status", c.status,
		"kind", string(c.kind), "took", time.Since(start))
}

// Handler is what is served over the network, for listeners of others: without a
// token nobody is anybody.
func (s *Server) Handler() http.Handler { return s.handler }

// InProcess is the same server without a network, for whoever runs the house in
// the process itself: the caller is the local operator, from "offline".
func (s *Server) InProcess() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), originKey{}, &origin{operator: "offline"})
		s.handler.ServeHTTP(w, r.WithContext(ctx))
	})
}
