package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"keyward/api"
)

const (
	maxAnswer   = 64 << 20 // bytes
	maxToken    = 4096
	maxPatience = 5 * time.Second // for one pause between attempts
)

// call is one request and how it may be repeated.
type call struct {
	method, path string
	body         []byte
	kind         string // content type
	idempotency  string
	once         bool // never again, whatever happens
}

// read asks for what is.
func (c *Client) read(ctx context.Context, path string, out any) error {
	return c.do(ctx, call{method: http.MethodGet, path: path}, out)
}

// operate asks for something that must not be done twice.
func (c *Client) operate(ctx context.Context, method, path string, in, out any) error {
	return c.send(ctx, call{method: method, path: path, idempotency: rand.Text()}, in, out)
}

// repeat asks for something that does no harm when it is done twice.
func (c *Client) repeat(ctx context.Context, method, path string, in, out any) error {
	return c.send(ctx, call{method: method, path: path}, in, out)
}

func (c *Client) send(ctx context.Context, k call, in, out any) error {
	if key := IdempotencyKey(ctx); key != "" {
		k.idempotency = key
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("client: %s: %w", k.path, err)
	}
	defer clear(body) // it may hold a plaintext
	k.body, k.kind = body, "application/json"
	return c.do(ctx, k, out)
}

// credential sends what opens a slot, and never twice: each try is counted.
func (c *Client) credential(ctx context.Context, path string, credential []byte, out any) error {
	return c.do(ctx, call{method: http.MethodPost, path: path, body: credential, kind: "application/octet-stream", once: true}, out)
}

func (c *Client) do(ctx context.Context, k call, out any) error {
	body, err := c.attempt(ctx, k)
	if err != nil {
		return err
	}
	defer clear(body)
	if err := json.Unmarshal(body, out); err != nil {
		return &Error{Kind: api.Failed, Status: http.StatusOK, Message: fmt.Sprintf("%s: answer: %v", k.path, err), cause: err,
			Hint: "the server may be of another version"}
	}
	return nil
}

func (c *Client) raw(ctx context.Context, path string) ([]byte, error) {
	return c.attempt(ctx, call{method: http.MethodGet, path: path})
}

// named refuses a path with a name in it that is empty or a step in the path: on
// the way it would be cleaned into another path, and nothing answers there.
func named(path string) error {
	path, _, _ = strings.Cut(path, "?")
	for _, part := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return &Error{Kind: api.Invalid, Message: fmt.Sprintf("name %q: want at least a letter or a digit", part), Hint: "names are of a-z 0-9 . _ -"}
		}
	}
	return nil
}

// attempt asks, and asks again where that is safe and may help.
func (c *Client) attempt(ctx context.Context, k call) ([]byte, error) {
	if err := named(k.path); err != nil {
		return nil, err
	}
	pause := 100 * time.Millisecond
	for n := 1; ; n++ {
		body, err := c.round(ctx, k)
		var e *Error
		if err == nil || n >= c.attempts || k.once || !errors.As(err, &e) || !e.mayPass() {
			return body, err
		}
		wait := max(jitter(pause), time.Duration(e.retryAfter)*time.Second)
		if wait > maxPatience || sleep(ctx, wait) != nil {
			return nil, err
		}
		pause *= 2
	}
}

// mayPass tells whether the same request, asked again, may fare better.
func (e *Error) mayPass() bool {
	switch e.Kind {
	case api.Unknown:
		return true
	case api.Busy:
		return e.retryAfter > 0
	case Unreachable:
		var op *net.OpError
		dialed := errors.As(e.cause, &op) && op.Op == "dial" // nobody listens: that is an answer
		return !dialed && !errors.Is(e.cause, context.Canceled) && !errors.Is(e.cause, context.DeadlineExceeded) &&
			(errors.Is(e.cause, io.EOF) || errors.Is(e.cause, io.ErrUnexpectedEOF) || errors.Is(e.cause, syscall.ECONNRESET) ||
				errors.Is(e.cause, syscall.EPIPE) || strings.Contains(e.cause.Error(), "server closed"))
	}
	return false
}

// round asks once.
func (c *Client) round(ctx context.Context, k call) ([]byte, error) {
	request, err := c.request(ctx, k)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(c.where(), bare(err))
	}
	defer response.Body.Close()
	c.newest.see(response.Header)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unreachable(c.where(), err)
	case len(body) > maxAnswer:
		return nil, strange(response, "it is too long")
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated:
		return nil, refusal(response, body)
	}
	return body, nil
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	request, err := http.NewRequestWithContext(ctx, k.method, c.base+k.path, body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	agent := c.options.Agent
	if agent == "" {
		agent = "keyward-go"
	}
	request.Header.Set("User-Agent", agent)
	if k.kind != "" {
		request.Header.Set("Content-Type", k.kind)
	}
	if k.idempotency != "" {
		request.Header.Set(api.HeaderIdempotencyKey, k.idempotency)
	}
	if c.options.Token != nil {
		token, err := c.options.Token()
		if err != nil {
			return nil, fmt.Errorf("client: token: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+string(token))
		clear(token)
	}
	return request, nil
}

func (c *Client) where() string {
	switch {
	case c.options.Handler != nil:
		return "keyward in this process"
	case c.options.Server != "":
		return c.base
	}
	return "the socket of the data directory"
}

// refusal reads what is not a success.
func refusal(response *http.Response, body []byte) *Error {
	var p api.Problem
	if response.StatusCode == http.StatusAccepted {
		var pending api.Pending
		if err := json.Unmarshal(body, &pending); err != nil || pending.Kind != api.Waiting {
			return strange(response, "it does not say what it waits for")
		}
		p = api.Problem{Kind: api.Waiting, Detail: pending.Detail, Hint: pending.Hint, RequestID: pending.RequestID,
			Operation: pending.Operation, Reasons: pending.Reasons}
	} else if err := json.Unmarshal(body, &p); err != nil || p.Kind == "" {
		return strange(response, http.StatusText(response.StatusCode))
	}
	e := fromProblem(response, p)
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.retryAfter = seconds
	}
	return e
}

// bare takes away what net/http adds: method and URL, which say nothing over a
// socket.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func readToken(file string) func() ([]byte, error) {
	return func() ([]byte, error) {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b := make([]byte, maxToken+1)
		n, err := io.ReadFull(f, b)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		token := bytes.TrimSpace(b[:n])
		if n > maxToken || len(token) == 0 || bytes.ContainsAny(token, " \t\r\n\x00") {
			return nil, fmt.Errorf("%s: does not hold one token", file)
		}
		return token, nil
	}
}

type idempotencyKey struct{}

// WithIdempotencyKey makes the next request an operation of the caller's own
// name, so that it can be repeated by another process too. One key, one request.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, idempotencyKey{}, key)
}

// IdempotencyKey is what WithIdempotencyKey put there, or "".
func IdempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(idempotencyKey{}).(string)
	return key
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// jitter spreads d over half to whole, so that many clients do not come back
// together.
func jitter(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d/2)))
	if err != nil {
		return d
	}
	return d/2 + time.Duration(n.Int64())
}
