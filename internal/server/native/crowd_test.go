package native_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// stuck is a body that says when somebody waits for it, and comes when it is let.
type stuck struct {
	once    sync.Once
	waiting chan<- struct{}
	let     <-chan struct{}
}

func (s *stuck) say() { s.once.Do(func() { s.waiting <- struct{}{} }) }

func (s *stuck) Read([]byte) (int, error) {
	s.say()
	<-s.let
	return 0, io.EOF
}

func TestOneServiceLeavesPlacesToOthers(t *testing.T) {
	b := newBed(t)
	_, greedy := b.service(t, "greedy")
	_, honest := b.service(t, "honest")
	const share = 128
	waiting, let := make(chan struct{}, share), make(chan struct{})
	var all sync.WaitGroup
	for range share {
		all.Go(func() {
			body := &stuck{waiting: waiting, let: let}
			defer body.say() // also when it was refused unread
			r := httptest.NewRequest("POST", "/v1/keys/nothing/sign", body)
			r.Header.Set("Authorization", "Bearer "+greedy)
			b.net.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	for range share {
		<-waiting
	}
	if w := b.remote("GET", "/v1/requests", greedy, ""); w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), `"busy"`) {
		t.Errorf("the greedy one: got %d %s, want 429 busy", w.Code, w.Body)
	}
	if w := b.remote("GET", "/v1/requests", honest, ""); w.Code != http.StatusOK {
		t.Errorf("another service: got %d %s, want 200", w.Code, w.Body)
	}
	if w := b.ask("GET", "/v1/requests", "", ""); w.Code != http.StatusOK {
		t.Errorf("the operator: got %d %s, want 200", w.Code, w.Body)
	}
	close(let)
	all.Wait()
	if w := b.remote("GET", "/v1/requests", greedy, ""); w.Code != http.StatusOK {
		t.Errorf("the greedy one, afterwards: got %d %s, want 200", w.Code, w.Body)
	}
}

func TestOneServiceLeavesLargeBodiesToOthers(t *testing.T) {
	b := newBed(t)
	_, greedy := b.service(t, "greedy")
	_, honest := b.service(t, "honest")
	const share = 8
	large := strings.Repeat(" ", 100<<10)
	waiting, let := make(chan struct{}, share), make(chan struct{})
	var all sync.WaitGroup
	for range share {
		all.Go(func() {
			rest := &stuck{waiting: waiting, let: let}
			defer rest.say() // also when it was refused unread
			r := httptest.NewRequest("POST", "/v1/keys/nothing/sign", io.MultiReader(strings.NewReader(large), rest))
			r.Header.Set("Authorization", "Bearer "+greedy)
			b.net.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	for range share {
		<-waiting
	}
	if w := b.remote("POST", "/v1/keys/nothing/sign", greedy, large); w.Code != http.StatusTooManyRequests {
		t.Errorf("the greedy one: got %d %s, want 429", w.Code, w.Body)
	}
	if w := b.remote("POST", "/v1/keys/nothing/sign", honest, large); w.Code != http.StatusBadRequest {
		t.Errorf("another service: got %d %s, want its body read and 400", w.Code, w.Body)
	}
	close(let)
	all.Wait()
}

func TestFailuresOfANeighbourLockNobodyOut(t *testing.T) {
	b := newBed(t)
	_, token := b.service(t, "payouts") // which this server has never seen, as after a restart
	last := 0
	for range 40 {
		last = b.remote("GET", "/v1/requests", "kwt_wrong", "").Code
	}
	if last != http.StatusTooManyRequests {
		t.Fatalf("got %d, want the wrong token slowed down", last)
	}
	if w := b.remote("GET", "/v1/requests", token, ""); w.Code != http.StatusOK {
		t.Errorf("a good token from the same address: got %d %s, want 200", w.Code, w.Body)
	}
	if code := b.remote("GET", "/v1/requests", "kwt_other", "").Code; code != http.StatusTooManyRequests {
		t.Errorf("a wrong token after a good one: got %d, want 429 still", code)
	}
}

func TestMetricsDoNotSayHowMuchIsKept(t *testing.T) {
	b := newBed(t)
	_, token := b.service(t, "payouts")
	kept := []string{"keyward_keys ", "keyward_audit_records ", "keyward_audit_tree_records "}
	for _, token := range []string{"", token} {
		w := b.remote("GET", "/metrics", token, "")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "\nkeyward_ready 1\n") {
			t.Errorf("got %d, want the metrics", w.Code)
		}
		for _, name := range kept {
			if strings.Contains(w.Body.String(), "\n"+name) {
				t.Errorf("over the network the metrics hold %s", name)
			}
		}
	}
	w := b.ask("GET", "/metrics", "", "")
	for _, name := range kept {
		if !strings.Contains(w.Body.String(), "\n"+name) {
			t.Errorf("the operator's metrics lack %s", name)
		}
	}
}
