package server_test

import (
	"bufio"
	"crypto/tls"
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

	"keyward/internal/server"
)

// health asks for /healthz once, and leaves the connection open.
func health(c net.Conn) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: keyward\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// from opens a connection to the TLS listener from an address of loopback.
func (b *bed) from(t *testing.T, source string, protocols ...string) (net.Conn, error) {
	t.Helper()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 5 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", strings.TrimPrefix(b.url, "https://"), &tls.Config{RootCAs: b.roots, NextProtos: protocols})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c, nil
}

func TestOneSourceLeavesConnectionsToOthers(t *testing.T) {
	b := start(t, server.Limits{Connections: 8})
	first := []net.Conn{}
	for i := range 2 { // a quarter
		c, err := b.from(t, "127.0.0.1")
		if err == nil {
			err = health(c)
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		first = append(first, c)
	}
	if c, err := b.from(t, "127.0.0.1"); err == nil && health(c) == nil {
		t.Error("one source got more than its share of connections")
	}
	other, err := b.from(t, "127.0.0.2")
	if err == nil {
		err = health(other)
	}
	if err != nil {
		t.Errorf("another source: %v", err)
	}
	first[0].Close()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := b.from(t, "127.0.0.1"); err == nil && health(c) == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a place of a source that became free is not given away")
		}
	}
}

func TestIdleStrangersAreEndedEarly(t *testing.T) {
	b := start(t, server.Limits{StrangeTime: 100 * time.Millisecond})
	operator, err := net.Dial("unix", b.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	if err := health(operator); err != nil {
		t.Fatal(err)
	}
	for protocol, sent := range map[string]string{
		"http/1.1": "GET /healthz HTTP/1.1\r\nHost: keyward\r\n\r\n",
		"h2":       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", // the preface and empty SETTINGS
	} {
		c, err := b.from(t, "127.0.0.1", protocol)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if got, err := io.ReadAll(c); len(got) == 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %d bytes and %v, want an answer and the end", protocol, len(got), err)
		}
	}
	if err := health(operator); err != nil {
		t.Errorf("a connection of somebody who is proved was ended: %v", err)
	}
}

func TestSlowBodiesTakeNoPlace(t *testing.T) {
	b := start(t, server.Limits{InFlight: 2}, route("/echo", echo))
	for range 6 {
		c, err := net.Dial("unix", b.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// The answer 100 Continue tells that the body is being waited for.
		fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: keyward\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("got %q (%v), want the body asked for", line, err)
		}
	}
	if response, body := ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/echo", "quick")); response.StatusCode != 200 {
		t.Errorf("got %d %s, want 200 beside slow bodies", response.StatusCode, body)
	}
}

func TestStrangersShareLeavesPlaces(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	b := start(t, server.Limits{InFlight: 8}, route("/slow", func(c *server.Call) error {
		entered <- struct{}{}
		<-leave
		return c.Answer("text/plain", nil)
	}), route("/echo", echo))
	ended := make(chan struct{}, 2)
	for range 2 {
		go func() {
			if response, err := b.overTLS(false).Post(b.url+"/slow", "", nil); err == nil {
				response.Body.Close()
			}
			ended <- struct{}{}
		}()
		<-entered
	}
	if response, _ := ask(t, b.overTLS(true), request(t, "POST", b.url+"/echo", "")); response.StatusCode != 429 || response.Header.Get("Retry-After") == "" {
		t.Errorf("one more stranger: got %d, want 429 with Retry-After", response.StatusCode)
	}
	if response, _ := ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/echo", "")); response.StatusCode != 200 {
		t.Errorf("the operator: got %d, want 200", response.StatusCode)
	}
	if response, _ := ask(t, b.overTLS(true), request(t, "GET", b.url+"/healthz", "")); response.StatusCode != 200 {
		t.Errorf("healthz: got %d, want 200 also now", response.StatusCode)
	}
	close(leave)
	<-ended
	<-ended
	if response, _ := ask(t, b.overTLS(true), request(t, "POST", b.url+"/echo", "")); response.StatusCode != 200 {
		t.Errorf("after that: got %d, want 200", response.StatusCode)
	}
}

// asked starts a request, and waits until its handler has what it needs.
func asked(t *testing.T, c *http.Client, url, body string, entered chan struct{}) (ended chan struct{}) {
	t.Helper()
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := c.Post(url, "", strings.NewReader(body)); err == nil {
			response.Body.Close()
		}
	}()
	select {
	case <-entered:
	case <-ended:
		t.Fatal("it was answered before its handler had its body")
	case <-time.After(10 * time.Second):
		t.Fatal("it never came to its handler")
	}
	return ended
}

// holding is a route whose calls read their body, tell so, and keep what they
// hold until leave is closed.
func holding(entered, leave chan struct{}) server.Route {
	return route("/hold", func(c *server.Call) error {
		if _, err := c.Body(); err != nil {
			return err
		}
		entered <- struct{}{}
		<-leave
		return c.Answer("text/plain", nil)
	})
}

func TestOneCallerLeavesLargeBodiesToOthers(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(leave) })
	defer free()
	b := start(t, server.Limits{InFlight: 64}, holding(entered, leave), route("/echo", echo))
	large := strings.Repeat("a", 65<<10)
	var all []chan struct{}
	for range 8 { // largeShare
		all = append(all, asked(t, b.overTLS(false), b.url+"/hold", large, entered))
	}
	if response, _ := ask(t, b.overTLS(false), request(t, "POST", b.url+"/echo", large)); response.StatusCode != 429 {
		t.Errorf("one more large body of strangers: got %d, want 429", response.StatusCode)
	}
	if response, _ := ask(t, b.overTLS(false), request(t, "POST", b.url+"/echo", "small")); response.StatusCode != 200 {
		t.Errorf("a small one: got %d, want 200", response.StatusCode)
	}
	if response, _ := ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/echo", large)); response.StatusCode != 200 {
		t.Errorf("a large one of the operator: got %d, want 200", response.StatusCode)
	}
	free()
	for _, ended := range all {
		<-ended
	}
	if response, _ := ask(t, b.overTLS(false), request(t, "POST", b.url+"/echo", large)); response.StatusCode != 200 {
		t.Errorf("after that: got %d, want 200", response.StatusCode)
	}
}

// Who must put things right may take all that there is.
func TestOperatorIsNotHeldToAShare(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(leave) })
	defer free()
	b := start(t, server.Limits{InFlight: 8, PerActor: 1}, holding(entered, leave))
	var all []chan struct{}
	for range 3 {
		all = append(all, asked(t, overSocket(b.socket), "http://keyward/hold", "x", entered))
	}
	free()
	for _, ended := range all {
		<-ended
	}
}
