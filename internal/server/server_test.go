package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

// bed is a server on loopback before a sealed kms.
type bed struct {
	*server.Server
	url    string // "https://…"
	socket string
	stop   context.CancelFunc
	ended  chan error
	roots  *x509.CertPool
	log    *lines
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t testing.TB, limits server.Limits, routes ...server.Route) *bed {
	t.Helper()
	b := &bed{log: &lines{}, ended: make(chan error, 1)}
	certificate := b.certificate(t)
	var err error
	b.Server, err = server.New(server.Options{
		KMS: kms.New(kms.Options{Clock: time.Now}), Routes: routes, Limits: limits,
		Log:         slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.url, err = b.ListenTLS("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.socket = filepath.Join(t.TempDir(), "keyward.sock")
	if err := b.ListenSocket(b.socket); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() { b.ended <- b.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-b.ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not stop")
		}
	})
	return b
}

func (b *bed) certificate(t testing.TB) *tls.Certificate {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	b.roots = x509.NewCertPool()
	b.roots.AddCert(parsed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

func (b *bed) overTLS(h2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: b.roots}, ForceAttemptHTTP2: h2, DisableKeepAlives: !h2,
	}}
}

func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
}

func ask(t testing.TB, c *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func request(t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func problem(t testing.TB, body string) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	return p
}

// route is open to anyone.
func route(path string, handle func(*server.Call) error) server.Route {
	return server.Route{Method: "POST", Path: path, Name: strings.Trim(path, "/"), Access: server.Anyone, Handle: handle}
}

func echo(c *server.Call) error {
	b, err := c.Body()
	if err != nil {
		return err
	}
	return c.Answer("text/plain", bytes.Clone(b))
}

func TestRequestIDs(t *testing.T) {
	b := start(t, server.Limits{})
	seen := map[string]bool{}
	for _, own := range []string{"mine-1.2_3", "", "", strings.Repeat("x", 65), "with space", "naïve"} {
		r := request(t, "GET", "http://keyward/nothing", "")
		if own != "" {
			r.Header.Set(api.HeaderRequestID, own)
		}
		response, body := ask(t, overSocket(b.socket), r)
		id := response.Header.Get(api.HeaderRequestID)
		if own == "mine-1.2_3" && id != own {
			t.Errorf("got id %q, want the caller's own", id)
		}
		if id == "" || id == own && own != "mine-1.2_3" || seen[id] {
			t.Errorf("own %q: got id %q, want a new one", own, id)
		}
		seen[id] = true
		if p := problem(t, body); p.RequestID != id {
			t.Errorf("got id %q in the problem, want %q", p.RequestID, id)
		}
	}
}

func TestPanicIsAnAnswerAndEndsTheConnection(t *testing.T) {
	b := start(t, server.Limits{}, route("/panic", func(*server.Call) error { panic("the secret is 12345") }))
	response, body := ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/panic", ""))
	p := problem(t, body)
	if response.StatusCode != 500 || p.Kind != api.Failed || !response.Close {
		t.Errorf("got %d %s close=%v, want 500 failed and the end of the connection", response.StatusCode, p.Kind, response.Close)
	}
	if strings.Contains(body, "12345") || strings.Contains(b.log.String(), "12345") {
		t.Error("what the panic said got out")
	}
	if !strings.Contains(b.log.String(), p.RequestID) {
		t.Error("the log does not know the request")
	}
}

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	b := start(t, server.Limits{}, route("/slow", func(c *server.Call) error {
		close(entered)
		<-leave
		return c.Answer("text/plain", []byte("done"))
	}))
	answer := make(chan string, 1)
	go func() {
		response, err := overSocket(b.socket).Post("http://keyward/slow", "text/plain", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answer <- string(body)
	}()
	// A connection that is open before the stop sees that the server is not ready.
	open, err := net.Dial("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	fmt.Fprintf(open, "GET /healthz HTTP/1.1\r\nHost: keyward\r\n\r\n")
	reader := bufio.NewReader(open)
	first, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, first.Body)
	<-entered
	b.stop()
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, err := net.Dial("unix", b.socket); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("new connections are accepted after the stop")
		}
	}
	select {
	case err := <-b.ended:
		t.Fatalf("the server ended with a request in flight: %v", err)
	default:
	}
	close(leave)
	if got := <-answer; got != "done" {
		t.Errorf("got %q, want the answer", got)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
	b.ended <- nil // for the cleanup
	if _, err := os.Lstat(b.socket); err == nil {
		t.Error("the socket is left behind")
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	b := start(t, server.Limits{}, route("/echo", echo))
	c := overSocket(b.socket)
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nothing", 404, ""},
		{"GET", "/echo", 405, "POST"},
		{"DELETE", "/echo", 405, "POST"},
		{"POST", "/healthz", 405, "GET"},
		{"POST", "/echo/", 404, ""},
	} {
		response, body := ask(t, c, request(t, tt.method, "http://keyward"+tt.path, ""))
		if response.StatusCode != tt.status || response.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %d, Allow %q; want %d, %q", tt.method, tt.path, response.StatusCode, response.Header.Get("Allow"), tt.status, tt.allow)
		}
		if response.Header.Get("Content-Type") != "application/problem+json" || problem(t, body).Kind == "" {
			t.Errorf("%s %s: got %q, want a problem", tt.method, tt.path, body)
		}
	}
}

func TestLogHoldsNoContents(t *testing.T) {
	b := start(t, server.Limits{}, route("/echo", echo))
	r := request(t, "POST", "http://keyward/echo?q=QUERY", "BODY")
	r.Header.Set("Authorization", "Bearer kwt_TOKEN")
	ask(t, overSocket(b.socket), r)
	r.Header.Del("Authorization")
	ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/echo", "BODY"))
	log := b.log.String()
	if !strings.Contains(log, "what=echo") {
		t.Errorf("got log %q, want the requests in it", log)
	}
	for _, secret := range []string{"BODY", "TOKEN", "QUERY"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}
