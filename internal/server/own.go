package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"keyward/internal/identity"
	"keyward/internal/kms"
)

// own are the routes for machines that watch the server. They are open to
// anyone and say nothing about what is kept, but to the local operator.
func (s *Server) own() []Route {
	options := promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4}
	open := promhttp.HandlerFor(s.metrics.registry, options)
	full := promhttp.HandlerFor(prometheus.Gatherers{s.metrics.registry, s.metrics.kept}, options)
	routes := []Route{
		{Path: "/healthz", Name: "healthz", Handle: func(c *Call) error { return c.Answer(plainText, []byte("ok\n")) }},
		{Path: "/readyz", Name: "readyz", Handle: s.ready},
		{Path: "/metrics", Name: "metrics", Handle: func(c *Call) error {
			c.status = http.StatusOK
			metrics := open
			if c.Actor.Kind() == identity.LocalOperator {
				metrics = full
			}
			metrics.ServeHTTP(c.writer, c.Request)
			return nil
		}},
	}
	for i := range routes {
		routes[i].Method, routes[i].Access, routes[i].always = http.MethodGet, Anyone, true
	}
	return routes
}

const plainText = "text/plain; charset=utf-8"

func (s *Server) ready(c *Call) error {
	if s.stopping.Load() {
		return &kms.Error{Kind: kms.Unready, Message: "keyward is stopping", Hint: "ask another one, or wait until it is back"}
	}
	if err := s.kms.Ready(); err != nil {
		return err
	}
	return c.Answer(plainText, []byte("ready\n"))
}
