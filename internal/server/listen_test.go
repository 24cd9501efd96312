package server_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

func TestOnlyTLS13(t *testing.T) {
	b := start(t, server.Limits{})
	address := strings.TrimPrefix(b.url, "https://")
	_, err := tls.Dial("tcp", address, &tls.Config{RootCAs: b.roots, MaxVersion: tls.VersionTLS12})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: got %v, want a refusal of the protocol version", err)
	}
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: b.roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().Version; got != tls.VersionTLS13 {
		t.Errorf("got version %x, want TLS 1.3", got)
	}
	// Nothing is served without TLS on a port for TLS.
	plain, err := http.Get("http://" + address + "/healthz")
	if err == nil {
		plain.Body.Close()
		if plain.StatusCode == http.StatusOK {
			t.Error("plain HTTP was served")
		}
	}
}

func TestBothProtocols(t *testing.T) {
	b := start(t, server.Limits{})
	for h2, want := range map[bool]int{true: 2, false: 1} {
		response, body := ask(t, b.overTLS(h2), request(t, "GET", b.url+"/healthz", ""))
		if response.ProtoMajor != want || body != "ok\n" {
			t.Errorf("got HTTP/%d and %q, want HTTP/%d and ok", response.ProtoMajor, body, want)
		}
	}
}

func TestSocketPeerIsTheOperator(t *testing.T) {
	who := server.Route{Method: "POST", Path: "/who", Name: "who", Access: server.Socket, Handle: func(c *server.Call) error {
		return c.Answer("text/plain", []byte(c.Actor.Name()+" from "+c.Actor.Source()))
	}}
	b := start(t, server.Limits{}, who)
	info, err := os.Stat(b.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
	if _, body := ask(t, overSocket(b.socket), request(t, "POST", "http://keyward/who", "")); body != "operator from unix" {
		t.Errorf("got %q, want the operator", body)
	}
	response, body := ask(t, b.overTLS(false), request(t, "POST", b.url+"/who", ""))
	if p := problem(t, body); response.StatusCode != http.StatusForbidden || p.Kind != api.Denied {
		t.Errorf("over TLS: got %d %s, want 403 denied", response.StatusCode, p.Kind)
	}
	// A token is never ignored: who shows one is not the operator.
	r := request(t, "POST", "http://keyward/who", "")
	r.Header.Set("Authorization", "Bearer kwt_wrong")
	if response, body := ask(t, overSocket(b.socket), r); response.StatusCode == http.StatusOK {
		t.Errorf("with a wrong token over the socket: got %q, want a refusal", body)
	}
}

func TestLongSocketPath(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 200 {
		dir = filepath.Join(dir, strings.Repeat("d", 50))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{KMS: kms.New(kms.Options{Clock: time.Now})})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "keyward.sock")
	for range 2 { // the second time over the one that is left
		if err := s.ListenSocket(path); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
			t.Fatalf("got %v (%v), want a socket of mode 0600", info.Mode(), err)
		}
		if got := s.Addresses()[0]; got != "unix:"+path {
			t.Errorf("got address %q, want the path as it was given", got)
		}
		s.Close()
		if _, err := os.Lstat(path); err == nil {
			t.Error("the socket is left behind")
		}
	}
}

func TestStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyward.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{KMS: kms.New(kms.Options{Clock: time.Now})})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ListenSocket(path); err == nil || !strings.Contains(err.Error(), "already serves") {
		t.Errorf("while somebody answers: got %v, want a refusal", err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if err := s.ListenSocket(path); err != nil {
		t.Errorf("a stale socket: got %v, want it replaced", err)
	}
	s.Close()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.ListenSocket(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file in the way: got %v, want a refusal", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Error("the file in the way is gone")
	}
}
