// Package server carries requests to kms: listeners, TLS 1.3 and the unix
// socket, authentication, limits, request ids, the one table from kinds of
// failure to HTTP, health and metrics. What is asked and answered is the
// business of the protocols below this package, which hand in their Routes.
//
// It never decides: who authenticated may still do nothing.
//
// BUG(server): net/http, crypto/tls and the kernel keep copies of what goes
// through them (tokens, plaintexts); only buffers of this package are wiped.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"keyward/internal/kms"
)

// Options is what a Server is built from.
type Options struct {
	KMS    *kms.KMS
	Routes []Route
	Log    *slog.Logger // nil: nothing is logged
	// Certificate gives the certificate for TLS at each handshake; needed by
	// ListenTLS alone.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Limits      Limits
}

// Limits bound what callers can take up. A zero field means its default.
type Limits struct {
	InFlight    int           // requests at once, whose body has arrived; 512
	PerActor    int           // requests at once of one service, and of all strangers together; a quarter of InFlight
	Connections int           // for each listener; 2048
	PerSource   int           // connections from one IPv4 address or IPv6 /64, for each listener; a quarter of Connections
	Header      int           // bytes; 16 KiB
	HeaderTime  time.Duration // for TLS handshake and header; 5 s
	RequestTime time.Duration // for header and body; 30 s
	AnswerTime  time.Duration // from the end of the header to that of the answer; 60 s
	IdleTime    time.Duration // of a connection between requests; 2 min
	StrangeTime time.Duration // like IdleTime, while nobody has authenticated on the connection; 15 s
	StopTime    time.Duration // for what is in flight when the server stops; 30 s
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	count := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	count(&l.InFlight, 512)
	count(&l.PerActor, max(1, l.InFlight/4))
	count(&l.Connections, 2048)
	count(&l.PerSource, max(1, l.Connections/4))
	count(&l.Header, 16<<10)
	set(&l.HeaderTime, 5*time.Second)
	set(&l.RequestTime, 30*time.Second)
	set(&l.AnswerTime, time.Minute)
	set(&l.IdleTime, 2*time.Minute)
	set(&l.StrangeTime, 15*time.Second)
	set(&l.StopTime, 30*time.Second)
	return l
}

const (
	maxStreams = 128 // requests at once of one HTTP/2 connection
	largeAt    = 64 << 10
	largeMax   = 32 // bodies beyond largeAt at once
	largeShare = 8  // of them, of one service
)

// Server serves a KMS. Bind it with ListenTLS and ListenSocket, then Serve.
type Server struct {
	kms     *kms.KMS
	log     *slog.Logger
	limits  Limits
	handler http.Handler
	http    *http.Server
	bound   []listener
	guard   *guard
	metrics *metrics
	ids     *ids

	inFlight   atomic.Int64
	large      atomic.Int64
	shares     shares
	stopping   atomic.Bool
	checkpoint atomic.Pointer[checkpointHeader]
}

// listener is one bound address.
type listener struct {
	net.Listener
	address string // for people: "https://127.0.0.1:7443", "unix:/var/lib/keyward/keyward.sock"
	tls     bool
	close   func() // what Close leaves undone
}

// New makes a server that is not bound to anything yet.
func New(o Options) (*Server, error) {
	if o.KMS == nil {
		return nil, errors.New("server: no kms")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{kms: o.KMS, log: o.Log, limits: o.Limits.withDefaults(), guard: newGuard(time.Now), ids: newIDs()}
	s.metrics = newMetrics(s)
	s.handler = s.mux(o.Routes)
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.limits.HeaderTime,
		ReadTimeout:       s.limits.RequestTime,
		WriteTimeout:      s.limits.AnswerTime,
		IdleTimeout:       s.limits.IdleTime,
		MaxHeaderBytes:    s.limits.Header,
		ConnContext:       withOrigin,
		ConnState:         s.watchIdle,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // strangers' bad handshakes are no news
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
	if o.Certificate != nil {
		s.http.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS13, GetCertificate: o.Certificate, NextProtos: []string{"h2", "http/1.1"},
		}
	}
	return s, nil
}

// Addresses lists what is bound.
func (s *Server) Addresses() []string {
	all := []string{}
	for _, l := range s.bound {
		all = append(all, l.address)
	}
	return all
}

// Serve answers until ctx ends; then it stops accepting, says that it is not
// ready, finishes what is in flight, and returns nil. It returns an error when a
// listener fails, or when requests in flight had to be cut off.
func (s *Server) Serve(ctx context.Context) error {
	if len(s.bound) == 0 {
		return errors.New("server: nothing to listen on")
	}
	ended := make(chan error, len(s.bound))
	for _, l := range s.bound {
		go func() { ended <- s.accept(l) }()
	}
	var failed error
	running := len(s.bound)
	select {
	case <-ctx.Done():
	case failed = <-ended:
		running--
	}
	err := s.stop()
	for range running {
		<-ended
	}
	return errors.Join(failed, err)
}

func (s *Server) accept(l listener) error {
	limited := &limitedListener{
		Listener: l.Listener, max: s.limits.Connections, perSource: s.limits.PerSource, refused: s.metrics.refused, sources: map[netip.Prefix]int{},
	}
	serve := s.http.Serve
	if l.tls {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(limited); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen on %s: %w", l.address, err)
	}
	return nil
}

// stop lets what is in flight finish.
func (s *Server) stop() error {
	s.stopping.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.StopTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("stop: %d requests were cut off: %w", s.inFlight.Load(), err)
		s.http.Close()
	}
	for _, l := range s.bound {
		l.close()
	}
	return err
}

// Close lets go of what was bound, for a Server that is not going to Serve.
func (s *Server) Close() {
	for _, l := range s.bound {
		l.Listener.Close()
		l.close()
	}
}
