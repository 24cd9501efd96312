// Package client speaks keyward's native API: over the unix socket of a data
// directory, over TLS 1.3 to a server whose CA is pinned, or with a handler in
// the same process. There is one method for each route; what comes back is a
// type of package api, or a *Error.
//
// A Client gives every operation an idempotency key, so that it may safely ask
// again when an answer was lost. It keeps the newest checkpoint of the log that
// it saw, and never judges it: that is the work of whoever holds the log's key.
//
// BUG(client): net/http wants the Authorization header as a string, and keeps
// copies of what it sends and receives; tokens and plaintexts stay on the heap
// until the collector reuses it.
package client

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options say where keyward is and who asks. One of Dir, Socket, Server and
// Handler is needed.
type Options struct {
	Dir     string       // data directory: its socket and, with Server, its CA
	Socket  string       // unix socket
	Server  string       // "https://HOST:PORT"; wins over the socket of Dir
	Handler http.Handler // in this process (--offline); wins over everything

	TokenFile string                 // file with a service's bearer token; read for each request, so that it can be changed
	Token     func() ([]byte, error) // or the token itself; the bytes are wiped after use

	CAFile string         // PEM of the CA to trust, and no other; "" with Dir: its tls/ca.pem, where that exists
	CA     *x509.CertPool // or the pool itself; without any of them the system's

	Timeout  time.Duration // for one attempt; 0 means a minute
	Attempts int           // at most, for what may be asked again; 0 means 3
	Agent    string        // User-Agent; "" means keyward-go
}

// SocketName is the socket within a data directory.
const SocketName = "keyward.sock"

// CAName is the file of the CA's certificate within a data directory.
const CAName = "tls/ca.pem"

// Client asks one keyward. It is safe for concurrent use.
type Client struct {
	base     string
	http     *http.Client
	options  Options
	newest   newest
	attempts int
}

// New makes a client. It does not connect yet.
func New(o Options) (*Client, error) {
	if o.TokenFile != "" && o.Token != nil {
		return nil, errors.New("client: both a token and a token file")
	}
	if o.TokenFile != "" {
		o.Token = readToken(o.TokenFile)
	}
	c := &Client{options: o, attempts: o.Attempts, base: "http://keyward"}
	if c.attempts == 0 {
		c.attempts = 3
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	c.http = &http.Client{
		Transport: transport,
		Timeout:   timeout,
		// A redirect would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) transport() (http.RoundTripper, error) {
	o := c.options
	switch {
	case o.Handler != nil:
		return inProcess{o.Handler}, nil
	case o.Server != "":
		return c.overTLS()
	case o.Socket != "":
		return overSocket(o.Socket), nil
	case o.Dir != "":
		return overSocket(filepath.Join(o.Dir, SocketName)), nil
	}
	return nil, errors.New("client: neither a data directory nor a server")
}

func (c *Client) overTLS() (http.RoundTripper, error) {
	u, err := url.Parse(c.options.Server)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("client: server %q: want https://HOST:PORT", c.options.Server)
	}
	c.base = "https://" + u.Host
	pool, err := c.roots()
	if err != nil {
		return nil, err
	}
	return tlsTransport(pool), nil
}

// roots is the pinned CA; nil means the system's.
func (c *Client) roots() (*x509.CertPool, error) {
	o := c.options
	if o.CA != nil {
		return o.CA, nil
	}
	file := o.CAFile
	if file == "" && o.Dir != "" {
		file = filepath.Join(o.Dir, CAName)
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("client: CA of the data directory: %w", err)
		}
	}
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("client: CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("client: CA %s: no certificate in it", file)
	}
	return pool, nil
}
