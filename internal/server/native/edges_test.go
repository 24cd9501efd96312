package native_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"keyward/api"
	"keyward/client"
	"keyward/internal/audit"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// remote sends a request as it comes over the network.
func (b *bed) remote(method, path, token, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	b.net.ServeHTTP(w, request)
	return w
}

func TestStrangersLearnNothing(t *testing.T) {
	b := newBed(t)
	_, token := b.service(t, "payouts")
	var status api.Status
	w := b.remote("GET", "/v1/status", "", "")
	if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	if !status.Ready || status.Installation != "" || len(status.Seal) != 0 || len(status.Listen) != 0 || len(status.Warnings) != 0 || status.AuditSize != 0 {
		t.Errorf("a stranger got %s", w.Body)
	}
	if w := b.remote("GET", "/v1/status", token, ""); strings.Contains(w.Body.String(), "/secret/path") || !strings.Contains(w.Body.String(), "https://127.0.0.1:7443") {
		t.Errorf("a service got %s, want addresses and no path", w.Body)
	}
	full, err := b.client.Status(t.Context())
	if err != nil || len(full.Listen) != 2 || len(full.Seal) != 1 || full.Mode != "solo" || full.Version != "test" || full.AuditSize == 0 {
		t.Errorf("the operator got %+v (%v), want everything", full, err)
	}
	if w := b.remote("GET", "/metrics", "", ""); strings.Contains(w.Body.String(), "payouts") {
		t.Error("the metrics name a service")
	}
}

func TestWrongTokensAreSlowedDownAndGoodOnesAreNot(t *testing.T) {
	b := newBed(t)
	_, token := b.service(t, "payouts")
	if w := b.remote("GET", "/v1/requests", token, ""); w.Code != http.StatusOK {
		t.Fatalf("got %d %s, want 200", w.Code, w.Body)
	}
	codes := map[int]int{}
	for range 40 {
		codes[b.remote("GET", "/v1/requests", "kwt_wrong", "").Code]++
	}
	if codes[401] < 20 || codes[429] < 10 || codes[401]+codes[429] != 40 {
		t.Errorf("got %v, want 401 at first and then 429", codes)
	}
	if w := b.remote("GET", "/v1/requests", token, ""); w.Code != http.StatusOK {
		t.Errorf("the good token from the same address: got %d %s, want 200", w.Code, w.Body)
	}
	if w := b.remote("GET", "/metrics", "", ""); !strings.Contains(w.Body.String(), "keyward_authentication_failures_total 2") {
		t.Error("the metrics do not count the failures")
	}
}

func TestMetricsCountByWhatWasAsked(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_EDWARDS25519", "")
	if _, err := b.client.Sign(t.Context(), "programs", api.Sign{Payload: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Sign(t.Context(), "nobody", api.Sign{Payload: []byte("a")}); err == nil {
		t.Fatal("a key that is not there has signed")
	}
	w := b.ask("GET", "/metrics", "", "")
	for _, want := range []string{
		`keyward_requests_total{kind="ok",status="200",what="sign"} 1`, `keyward_requests_total{kind="not-found",status="404",what="sign"} 1`,
		`keyward_request_seconds_count{what="sign"} 2`, "keyward_keys 1", "keyward_sealed 0", "keyward_ready 1", "keyward_requests_in_flight 1",
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(w.Body.String(), "programs") {
		t.Error("the metrics name a key")
	}
}

func TestTheLogIsReadAndProved(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_EDWARDS25519", "")
	signed, err := b.client.Sign(t.Context(), "programs", api.Sign{Payload: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := b.client.AuditCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Size < signed.Audit.Sequence || len(fresh.Root) != 32 {
		t.Errorf("got size %d, want every record up to %d and more", fresh.Size, signed.Audit.Sequence)
	}
	verifier, err := note.NewVerifier(fresh.LogKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open([]byte(fresh.Note), note.VerifierList(verifier)); err != nil {
		t.Errorf("the checkpoint is not signed by its log: %v", err)
	}
	published, err := b.client.PublishedCheckpoint(t.Context())
	if err != nil || string(published) != fresh.Note || string(b.client.Checkpoint()) != fresh.Note {
		t.Errorf("got %q (%v), want the same checkpoint everywhere", published, err)
	}
	page, err := b.client.AuditRecords(t.Context(), client.AuditQuery{Action: "key.sign", Phase: "begun"})
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("got %+v (%v), want the signature's record", page, err)
	}
	r := page.Records[0]
	if r.Sequence != signed.Audit.Sequence || r.Operation != signed.Operation || r.Actor != "operator" || r.Source != "offline" || r.Subject != "programs" {
		t.Errorf("got %+v, want who signed with what", r)
	}
	decoded, err := audit.DecodeRecord(r.Encoded)
	if err != nil || decoded.Sequence != r.Sequence || len(r.Nonce) != 32 {
		t.Errorf("got %+v (%v), want the record itself", decoded, err)
	}
	newest, err := b.client.AuditRecords(t.Context(), client.AuditQuery{Newest: true, Limit: 1})
	if err != nil || len(newest.Records) != 1 || newest.Records[0].Sequence < r.Sequence || newest.Next == 0 {
		t.Errorf("got %+v (%v), want the newest and more", newest, err)
	}
	group, err := b.client.AuditEntries(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := audit.DecodeGroup(group)
	if err != nil || entries[0].Sequence != 1 || uint64(len(entries)) < fresh.Size {
		t.Errorf("got %d entries (%v), want the whole log", len(entries), err)
	}
	end, err := b.client.AuditEntries(t.Context(), entries[len(entries)-1].Sequence+1000)
	if err != nil || end != nil {
		t.Errorf("got %d bytes (%v), want the end of the log", len(end), err)
	}
	tile, err := b.client.Tile(t.Context(), "tile/0/000.p/1")
	if err != nil || len(tile) != 32 {
		t.Errorf("got %d bytes (%v), want one hash", len(tile), err)
	}
	for _, path := range []string{"tile/9/000", "tile/0/../../x", "tile/x", "tile/0/000.p/0"} {
		_, err = b.client.Tile(t.Context(), path)
		if err == nil {
			t.Errorf("%s: there is no such tile", path)
		}
	}
	w := b.remote("GET", "/audit/tile/0/000.p/1", "", "")
	if h := w.Header(); !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got headers %v, want a tile's", h)
	}
	w = b.remote("GET", "/audit/checkpoint", "", "")
	if h := w.Header(); h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("got headers %v, want a checkpoint's", h)
	}
}

func TestQueriesAreReadStrictly(t *testing.T) {
	b := newBed(t)
	for path, want := range map[string]string{
		"/v1/keys?limit=5":                  "",
		"/v1/keys?limti=5":                  `list-keys: query: unknown name "limti"`,
		"/v1/keys?limit=5&limit=6":          "list-keys: limit: given twice",
		"/v1/keys?limit=-1":                 "list-keys: limit: want a whole number of at least 0",
		"/v1/keys?limit=1001":               "list-keys: limit: want at most 1000",
		"/v1/keys?%zz":                      "list-keys: query: it is malformed",
		"/v1/audit/records?since=yesterday": "audit-records: since: want a time as in RFC 3339",
		"/v1/audit/records?order=oldest":    "audit-records: order: want newest",
		"/v1/audit/records?from=1e3":        "audit-records: from: want a whole number of at least 0",
		"/v1/audit/records?since=2026-01-01T00:00:00Z&order=newest": "",
		"/v1/status?x=1": `status: query: unknown name "x"`,
	} {
		w := b.ask("GET", path, "", "")
		var p api.Problem
		if w.Code != http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
		}
		if p.Detail != want {
			t.Errorf("%s: got %q, want %q", path, p.Detail, want)
		}
	}
	for body, want := range map[string]string{"": "unseal: body: it is empty", strings.Repeat("x", 65<<10): "unseal: body: too large"} {
		var p api.Problem
		w := b.ask("POST", "/v1/unseal?kind=keyfile", "", body)
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Detail != want {
			t.Errorf("got %q (%v), want %q", p.Detail, err, want)
		}
	}
}

func TestIdempotencyKeysAreChecked(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_EDWARDS25519", "")
	for key, want := range map[string]int{"order-1": 200, strings.Repeat("x", 128): 200, strings.Repeat("x", 129): 400, "two words": 400, "é": 400} {
		request := httptest.NewRequest("POST", "/v1/keys/programs/sign", strings.NewReader(`{"payload":"aGk="}`))
		request.Header[api.HeaderIdempotencyKey] = []string{key}
		w := httptest.NewRecorder()
		b.local.ServeHTTP(w, request)
		if w.Code != want {
			t.Errorf("%q: got %d %s, want %d", key, w.Code, w.Body, want)
		}
	}
}

func TestPlaintextsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	b := newBedWithLog(t, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	b.key(t, "files", "AES_256", "")
	if _, err := b.client.Encrypt(t.Context(), "files", api.Encrypt{Plaintext: []byte("PLAINTEXT")}); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"PLAINTEXT", base64Of([]byte("PLAINTEXT"))} {
		if strings.Contains(log.String(), secret) {
			t.Error("the log holds a plaintext")
		}
	}
	if !strings.Contains(log.String(), "what=encrypt") {
		t.Error("the log does not hold the request")
	}
}
