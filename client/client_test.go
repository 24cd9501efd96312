package client_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyward/api"
	"keyward/client"
)

// inProcess is a client of a handler.
func inProcess(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func TestLostAnswersAreAskedAgainAsTheSameOperation(t *testing.T) {
	var mu sync.Mutex
	var keys []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		keys = append(keys, r.Header.Get(api.HeaderIdempotencyKey))
		n := len(keys)
		mu.Unlock()
		if n < 3 {
			panic(http.ErrAbortHandler) // the connection breaks; nobody knows what was done
		}
		answer(w, 200, api.Signed{Key: "hot"})
	}))
	dir := serveSocket(t, s)
	c, err := client.New(client.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Sign(t.Context(), "hot", api.Sign{Payload: []byte("x")})
	if err != nil || out.Key != "hot" {
		t.Fatalf("got %v, want the answer of the third attempt", err)
	}
	own := client.WithIdempotencyKey(t.Context(), "mine")
	for _, ctx := range []context.Context{t.Context(), own} {
		if _, err := c.Sign(ctx, "hot", api.Sign{Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(keys) != 5 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("got keys %q, want one key three times", keys)
	}
	if keys[3] == keys[0] || keys[4] != "mine" {
		t.Errorf("got keys %q, want a new one for a new request and then the caller's", keys)
	}
}

func serveSocket(t *testing.T, s *httptest.Server) (dir string) {
	t.Helper()
	dir = t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, client.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return dir
}

func TestCredentialsAreNeverSentTwice(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	c, err := client.New(client.Options{Dir: serveSocket(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Unseal(t.Context(), "passphrase", []byte("correct horse")); client.KindOf(err) != client.Unreachable {
		t.Errorf("got %v, want unreachable", err)
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times, want once: each wrong try is counted", got)
	}
}

func TestBusyAndUnknownAreAskedAgainButNotForEver(t *testing.T) {
	for kind, want := range map[api.Kind]int{api.Busy: 3, api.Unknown: 3, api.Denied: 1, api.Failed: 1, api.Sealed: 1, api.Conflict: 1} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			c := inProcess(t, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Retry-After", "1")
				answer(w, 503, api.Problem{Kind: kind, Detail: "no"})
			})
			if _, err := c.Status(t.Context()); client.KindOf(err) != kind {
				t.Errorf("got %v, want %s", err, kind)
			}
			if asked != want {
				t.Errorf("%s: asked %d times, want %d", kind, asked, want)
			}
		})
	}
}

func TestRefusalsCarryEverything(t *testing.T) {
	c := inProcess(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 403, api.Problem{
			Kind: api.Denied, Detail: "over the limit", Hint: "ask less", RequestID: "r1", Operation: "op_1",
			Reasons: []api.Reason{{Code: "over-window", Rule: "payouts", Text: "20 ETH a day"}},
		})
	})
	_, err := c.Sign(t.Context(), "hot", api.Sign{})
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *client.Error", err)
	}
	if e.Kind != api.Denied || e.Message != "over the limit" || e.Hint != "ask less" || e.RequestID != "r1" || e.Operation != "op_1" ||
		e.Status != 403 || len(e.Reasons) != 1 || e.Error() != "over the limit" {
		t.Errorf("got %+v", e)
	}
}

func TestAwaitAsksUntilItMayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := inProcess(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/requests/op_1/collect" {
				t.Errorf("got path %s", r.URL.Path)
			}
			if asked++; asked < 4 {
				answer(w, 202, api.Pending{Kind: api.Waiting, Operation: "op_1", Detail: "needs 2 approvals, has 1"})
				return
			}
			answer(w, 200, api.Signed{Key: "hot"})
		})
		if out, err := c.Await(t.Context(), "op_1", time.Minute); err != nil || out.Key != "hot" {
			t.Errorf("got %v, want the signature", err)
		}
		asked = -1000
		start := time.Now()
		_, err := c.Await(t.Context(), "op_1", time.Minute)
		var e *client.Error
		if !errors.As(err, &e) || e.Kind != api.Waiting || e.Operation != "op_1" {
			t.Errorf("got %v, want waiting with the operation", err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("waited %v, want at most a minute", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Await(ctx, "op_1", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
	})
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	c, err := client.New(client.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = c.Status(t.Context())
	var e *client.Error
	if !errors.As(err, &e) || e.Kind != client.Unreachable || e.Hint == "" {
		t.Errorf("got %v, want unreachable with the next step", err)
	}
	if time.Since(start) > 5*time.Second {
		t.Error("it took too long to find out")
	}
}

func TestStrangeAnswersAreSaidToBe(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a web server":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", 404) },
		"another version": func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]int{"v": 2}) },
		"no JSON":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere/", http.StatusFound)
		},
		"an empty 202": func(w http.ResponseWriter, _ *http.Request) { answer(w, 202, struct{}{}) },
	} {
		if _, err := inProcess(t, h).Status(t.Context()); client.KindOf(err) != api.Failed {
			t.Errorf("%s: got %v, want failed", name, err)
		}
	}
}

func TestAnswersMayGrow(t *testing.T) {
	c := inProcess(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"v":1,"sealed":true,"tomorrow":{"x":1}}`))
	})
	if s, err := c.Status(t.Context()); err != nil || !s.Sealed {
		t.Errorf("got %v, want the field of tomorrow left alone", err)
	}
}

func TestTokensNeverFollowARedirect(t *testing.T) {
	leaked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer other.Close()
	c, err := client.New(client.Options{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}),
		Token: func() ([]byte, error) { return []byte("kwt_x"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err == nil || leaked {
		t.Errorf("got %v, leaked=%v", err, leaked)
	}
}

func TestTokenFileIsReadForEachRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	got := ""
	c, err := client.New(client.Options{TokenFile: file, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		answer(w, 200, api.Status{})
	})})
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{"kwt_one\n": "Bearer kwt_one", "kwt_two": "Bearer kwt_two"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context()); err != nil || got != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
	}
	for _, content := range []string{"", "\n", "two tokens", strings.Repeat("x", 5000)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context()); err == nil {
			t.Errorf("a token file of %d bytes was taken", len(content))
		}
	}
}

func TestNewestCheckpointIsKept(t *testing.T) {
	note := ""
	c := inProcess(t, func(w http.ResponseWriter, _ *http.Request) {
		if note != "" {
			w.Header().Set(api.HeaderCheckpoint, base64.StdEncoding.EncodeToString([]byte(note)))
		}
		answer(w, 200, api.Status{})
	})
	for _, tt := range []struct{ note, want string }{
		{"", ""}, {"o\n5\nroot\n\n— sig\n", "o\n5\n"}, {"o\n7\nroot\n\n— sig\n", "o\n7\n"}, {"o\n6\nroot\n\n— sig\n", "o\n7\n"}, {"garbage", "o\n7\n"}, {"", "o\n7\n"},
	} {
		note = tt.note
		if _, err := c.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := string(c.Checkpoint()); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("after %q: got %q, want %q…", tt.note, got, tt.want)
		}
	}
}

func TestOnlyThePinnedCAIsTrusted(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, api.Status{Ready: true}) }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "tls", "ca.pem")
	if err := os.MkdirAll(filepath.Dir(ca), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := client.New(client.Options{Server: s.URL, Dir: dir}); err == nil {
		t.Error("a data directory without a CA was taken")
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]client.Options{"by directory": {Server: s.URL, Dir: dir}, "by file": {Server: s.URL, CAFile: ca}} {
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Status(t.Context()); err != nil || !got.Ready {
			t.Errorf("%s: got %v, want an answer", name, err)
		}
	}
	c, err := client.New(client.Options{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); client.KindOf(err) != client.Unreachable {
		t.Errorf("without the CA: got %v, want unreachable", err)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for _, server := range []string{"http://127.0.0.1:7443", "127.0.0.1:7443", "https://", "https://host/path", "https://user@host", "https://host?x=1"} {
		if _, err := client.New(client.Options{Server: server}); err == nil {
			t.Errorf("%s was taken", server)
		}
	}
	if _, err := client.New(client.Options{}); err == nil {
		t.Error("no address at all was taken")
	}
}

func TestLongSocketPathIsReached(t *testing.T) {
	short, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	dir := short
	for len(dir) < 200 {
		dir = filepath.Join(dir, strings.Repeat("d", 60))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Bound under a short name, then moved: a socket goes along.
	l, err := net.Listen("unix", filepath.Join(short, "s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(short, "s"), filepath.Join(dir, client.SocketName)); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, api.Status{Ready: true}) }))
	s.Listener = l
	s.Start()
	defer s.Close()
	c, err := client.New(client.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Status(t.Context()); err != nil || !got.Ready {
		t.Errorf("got %v, want an answer", err)
	}
}
