package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/api"
	"keyward/internal/server"
)

func TestSlowRequestsAreCutOff(t *testing.T) {
	limits := server.Limits{HeaderTime: 300 * time.Millisecond, RequestTime: 600 * time.Millisecond, IdleTime: 300 * time.Millisecond}
	b := start(t, limits, route("/echo", echo))
	for name, sent := range map[string]string{
		"nothing":     "",
		"half header": "POST /echo HTTP/1.1\r\nHost: keyward\r\n",
		"half body":   "POST /echo HTTP/1.1\r\nHost: keyward\r\nContent-Length: 100\r\n\r\nhalf",
		"idle":        "GET /healthz HTTP/1.1\r\nHost: keyward\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("unix", b.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte(sent)); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer, err := io.ReadAll(c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("the connection is kept for ever")
			}
			if name == "half body" && !strings.Contains(string(answer), "it took too long to arrive") {
				t.Errorf("got %q, want what was wrong", answer)
			}
		})
	}
	// Without a handshake nothing is kept either.
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection without a handshake is kept for ever")
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	b := start(t, server.Limits{})
	r := request(t, "GET", "http://keyward/healthz", "")
	r.Header.Set("X-Long", strings.Repeat("x", 21<<10))
	if response, _ := ask(t, overSocket(b.socket), r); response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d, want 431", response.StatusCode)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	b := start(t, server.Limits{}, route("/echo", echo))
	c := overSocket(b.socket)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 64 << 10, api.MaxBody} {
		if response, body := ask(t, c, request(t, "POST", "http://keyward/echo", strings.Repeat("a", size))); response.StatusCode != 200 || len(body) != size {
			t.Errorf("%d bytes: got %d and %d bytes", size, response.StatusCode, len(body))
		}
	}
	chunked := request(t, "POST", "http://keyward/echo", "")
	chunked.ContentLength, chunked.Body = -1, io.NopCloser(io.LimitReader(forever{}, api.MaxBody+1))
	for name, r := range map[string]*http.Request{
		"by its length": request(t, "POST", "http://keyward/echo", strings.Repeat("a", api.MaxBody+1)),
		"chunked":       chunked,
	} {
		response, body := ask(t, c, r)
		if p := problem(t, body); response.StatusCode != http.StatusRequestEntityTooLarge || p.Kind != api.TooLarge {
			t.Errorf("%s: got %d %s, want 413", name, response.StatusCode, p.Kind)
		}
	}
	packed := request(t, "POST", "http://keyward/echo", "x")
	packed.Header.Set("Content-Encoding", "gzip")
	if response, body := ask(t, c, packed); response.StatusCode != http.StatusBadRequest {
		t.Errorf("compressed: got %d %s, want 400", response.StatusCode, body)
	}
}

type forever struct{}

func (forever) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

func TestTooManyAtOnce(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	b := start(t, server.Limits{InFlight: 2}, route("/slow", func(c *server.Call) error {
		entered <- struct{}{}
		<-leave
		return c.Answer("text/plain", nil)
	}))
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if response, err := overSocket(b.socket).Post("http://keyward/slow", "", nil); err == nil {
				response.Body.Close()
			}
		})
		<-entered
	}
	response, body := ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/slow", ""))
	if p := problem(t, body); response.StatusCode != 503 || p.Kind != api.Busy || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %s, want 503 busy with Retry-After", response.StatusCode, p.Kind)
	}
	if response, _ := ask(t, overSocket(b.socket), request(t, "GET", "http://keyward/healthz", "")); response.StatusCode != 200 {
		t.Errorf("healthz: got %d, want 200 also now", response.StatusCode)
	}
	close(leave)
	all.Wait()
}

func TestTooManyConnections(t *testing.T) {
	b := start(t, server.Limits{Connections: 3})
	var open []net.Conn
	for range 3 {
		c, err := net.Dial("unix", b.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: keyward\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	fourth, err := net.Dial("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer fourth.Close()
	fourth.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := fourth.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the fourth: got %d bytes and %v, want it closed", n, err)
	}
	open[0].Close()
	deadline := time.Now().Add(5 * time.Second)
	for {
		c, err := net.Dial("unix", b.socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: keyward\r\n\r\n")
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		c.Close()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that became free is not given away")
		}
	}
}
