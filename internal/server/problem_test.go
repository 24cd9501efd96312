package server_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/policy"
	"keyward/internal/server"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestProblemsAreAsTheyWere(t *testing.T) {
	var got strings.Builder
	for _, kind := range api.Kinds() {
		b := start(t, server.Limits{}, route("/fail", func(*server.Call) error {
			return fmt.Errorf("somewhere: %w", &kms.Error{
				Kind: kms.Kind(kind), Message: "the fact", Hint: "the next step", Operation: "op_1",
				Reasons: []policy.Reason{{Code: "no-rule", Effect: "move", Text: "no rule covers the move"}},
			})
		}))
		r := httptest.NewRequest("POST", "/fail", nil)
		r.Header.Set(api.HeaderRequestID, "r1")
		w := httptest.NewRecorder()
		b.InProcess().ServeHTTP(w, r)
		fmt.Fprintf(&got, "%s: %d %s", kind, w.Code, w.Header().Get("Content-Type"))
		for _, h := range []string{"Retry-After", "WWW-Authenticate"} {
			if v := w.Header().Get(h); v != "" {
				fmt.Fprintf(&got, " %s=%s", h, v)
			}
		}
		fmt.Fprintf(&got, "\n%s\n", w.Body)
	}
	const golden = "testdata/problems.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestEveryKindOfKmsHasAStatus(t *testing.T) {
	for _, kind := range api.Kinds() {
		if kind != api.Failed && server.Status(kms.Kind(kind)) == 500 {
			t.Errorf("%s: got 500", kind)
		}
	}
	if server.Status("never heard of") != 500 {
		t.Error("an unknown kind is no failure of the server")
	}
}

func TestWhatIsNoErrorOfKmsSaysNothing(t *testing.T) {
	b := start(t, server.Limits{}, route("/fail", func(*server.Call) error {
		return errors.New("open /var/lib/keyward/keyward.db: permission denied")
	}))
	w := httptest.NewRecorder()
	b.InProcess().ServeHTTP(w, httptest.NewRequest("POST", "/fail", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "/var/lib") {
		t.Errorf("got %d %s, want 500 and no path", w.Code, w.Body)
	}
	if !strings.Contains(b.log.String(), "/var/lib/keyward") {
		t.Error("the log does not say what happened")
	}
}
