package native_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyward/api"
	"keyward/client"
	"keyward/internal/server/native"
)

// access says what each kind of actor gets from each route, with a request that
// is otherwise in order: nobody (over the network, without a token), a service to
// which no rule gives anything, and the local operator under the solo policy. A
// new route without a row fails.
var access = map[string][3]int{
	"POST /v1/keys":                       {401, 403, 200},
	"GET /v1/keys":                        {401, 403, 200},
	"GET /v1/keys/{name}":                 {401, 403, 200},
	"POST /v1/keys/{name}/rotate":         {401, 403, 200},
	"POST /v1/keys/{name}/disable":        {401, 403, 200},
	"POST /v1/keys/{name}/enable":         {401, 403, 200},
	"POST /v1/keys/{name}/destroy":        {401, 403, 200},
	"POST /v1/keys/{name}/cancel-destroy": {401, 403, 200},
	"POST /v1/keys/{name}/sign":           {401, 403, 200},
	"POST /v1/keys/{name}/sign-batch":     {401, 200, 200}, // refused item by item
	"POST /v1/keys/{name}/verify":         {401, 403, 200},
	"POST /v1/keys/{name}/encrypt":        {401, 403, 200},
	"POST /v1/keys/{name}/decrypt":        {401, 403, 200},
	"POST /v1/keys/{name}/datakey":        {401, 403, 200},
	"POST /v1/keys/{name}/mac":            {401, 403, 200},
	"POST /v1/keys/{name}/verify-mac":     {401, 403, 200},
	"POST /v1/seeds":                      {401, 403, 200},
	"POST /v1/seeds/import":               {401, 403, 200},
	"POST /v1/decode":                     {401, 200, 200}, // nothing of ours is in it
	"GET /v1/requests":                    {401, 200, 200}, // a service sees its own
	"GET /v1/requests/{id}":               {401, 404, 404},
	"POST /v1/requests/{id}/collect":      {401, 404, 404},
	"POST /v1/requests/{id}/withdraw":     {401, 404, 404},
	"GET /v1/policy":                      {401, 403, 200},
	"PUT /v1/policy":                      {401, 403, 200},
	"POST /v1/policy/check":               {401, 403, 200}, // as reading the policy: it is work
	"POST /v1/services":                   {401, 403, 200},
	"GET /v1/services":                    {401, 403, 200},
	"POST /v1/services/{name}/revoke":     {401, 403, 200},
	"GET /v1/status":                      {200, 200, 200}, // strangers learn whether it serves
	"POST /v1/clock/accept":               {403, 403, 409}, // there is nothing to accept
	"POST /v1/seal":                       {401, 403, 200},
	"POST /v1/unseal":                     {403, 403, 409}, // it is not sealed
	"GET /v1/seal/slots":                  {401, 403, 200},
	"POST /v1/seal/slots":                 {403, 403, 200},
	"POST /v1/seal/slots/{id}/remove":     {401, 403, 200},
	"POST /v1/seal/rotate":                {401, 403, 200},
	"GET /v1/audit/records":               {401, 403, 200},
	"GET /v1/audit/entries":               {401, 403, 200},
	"GET /v1/audit/checkpoint":            {401, 403, 200},
	"GET /{$}":                            {200, 200, 200},
	"GET /openapi.json":                   {200, 200, 200},
	"GET /audit/checkpoint":               {200, 200, 200},
	"GET /audit/tile/{path...}":           {200, 200, 200},
}

// orderly is a request that is in order, and makes it so.
func (b *bed) orderly(t *testing.T, route string) (path, body string) {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	key := "raw"
	switch path[strings.LastIndex(path, "/")+1:] {
	case "encrypt":
		key, body = "aes", `{"plaintext":"aGk="}`
	case "decrypt":
		e, err := b.client.Encrypt(t.Context(), "aes", api.Encrypt{Plaintext: []byte("hi")})
		if err != nil {
			t.Fatal(err)
		}
		key, body = "aes", `{"ciphertext":"`+base64Of(e.Ciphertext)+`"}`
	case "datakey":
		key, body = "aes", `{}`
	case "mac":
		key, body = "hmac", `{"message":"aGk="}`
	case "verify-mac":
		key, body = "hmac", `{"message":"aGk=","mac":"aGk="}`
	case "sign":
		body = `{"payload":"aGk="}`
	case "sign-batch":
		body = `{"items":[{"payload":"aGk="}]}`
	case "verify":
		body = `{"payload":"aGk=","signature":"aGk="}`
	case "decode":
		body = `{"payload":"aGk=","type":"message"}`
	case "policy", "check":
		body = `{"text":"version: 1\nrules:\n  - {name: solo, who: [operator], keys: [any], do: [any], then: allow}\n"}`
	case "keys":
		body = `{"name":"another","spec":"AES_256"}`
	case "services", "seeds":
		body = `{"name":"another"}`
	case "import":
		words := "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
		body = fmt.Sprintf(`{"name":"another","words":%q}`, base64.StdEncoding.EncodeToString([]byte(words)))
	case "accept":
		body = `{"time":"2026-11-23T02:00:00Z"}`
	case "unseal":
		path, body = path+"?kind=keyfile", strings.Repeat("x", 32)
	case "slots":
		if method == "POST" {
			path, body = path+"?kind=keyfile&name=another", strings.Repeat("x", 32)
		}
	case "remove":
		path = strings.Replace(path, "{id}", "first", 1)
		if _, err := b.client.AddSlot(t.Context(), "keyfile", "second", []byte(strings.Repeat("x", 32))); err != nil {
			t.Fatal(err)
		}
	case "enable":
		if _, err := b.client.DisableKey(t.Context(), "raw", api.Ask{}); err != nil {
			t.Fatal(err)
		}
	case "cancel-destroy":
		if _, err := b.client.DestroyKey(t.Context(), "raw", api.DestroyKey{}); err != nil {
			t.Fatal(err)
		}
	case "revoke":
		path = strings.Replace(path, "{name}", "nothing", 1)
	}
	if method == "GET" {
		body = ""
	}
	return strings.NewReplacer("{name}", key, "{id}", "op_01j00000000000000000000000", "{$}", "", "{path...}", "0/000.p/1").Replace(path), body
}

func TestWhoGetsWhat(t *testing.T) {
	for _, route := range native.Routes(nil, native.Node{}) {
		name := route.Method + " " + route.Path
		want, ok := access[name]
		if !ok {
			t.Errorf("%s has no row in the table of access", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.key(t, "raw", "ECC_NIST_EDWARDS25519", "")
			b.key(t, "aes", "AES_256", "")
			b.key(t, "hmac", "HMAC_256", "")
			_, token := b.service(t, "nothing")
			if _, err := b.client.AuditCheckpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			path, body := b.orderly(t, name)
			for i, who := range []string{"nobody", "service", "operator"} {
				var w *httptest.ResponseRecorder
				switch who {
				case "nobody":
					w = b.remote(route.Method, path, "", body)
				case "service":
					w = b.remote(route.Method, path, token, body)
				case "operator":
					w = b.ask(route.Method, path, "", body)
				}
				if w.Code != want[i] {
					t.Errorf("%s: got %d %s, want %d", who, w.Code, w.Body, want[i])
				}
				if w.Header().Get(api.HeaderRequestID) == "" || w.Header().Get(api.HeaderCheckpoint) == "" {
					t.Errorf("%s: got headers %v, want a request id and a checkpoint", who, w.Header())
				}
			}
		})
	}
	if got := len(native.Routes(nil, native.Node{})); got != len(access) {
		t.Errorf("got %d routes and %d rows of access", got, len(access))
	}
}

// seen is what a client asked for.
type seen map[string]bool

func (s seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s[r.Method+" "+r.URL.Path] = true
	http.Error(w, "no", http.StatusTeapot)
}

func TestTheClientHasAMethodForEachRoute(t *testing.T) {
	asked := seen{}
	c, err := client.New(client.Options{Handler: asked})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, call := range []func(){
		func() { c.CreateKey(ctx, api.CreateKey{}) }, func() { c.Keys(ctx, "", 0) }, func() { c.Key(ctx, "NAME") },
		func() { c.RotateKey(ctx, "NAME", api.Ask{}) }, func() { c.CreateSeed(ctx, api.CreateSeed{}) }, func() { c.ImportSeed(ctx, api.ImportSeed{}) }, func() { c.DisableKey(ctx, "NAME", api.Ask{}) }, func() { c.EnableKey(ctx, "NAME", api.Ask{}) },
		func() { c.DestroyKey(ctx, "NAME", api.DestroyKey{}) }, func() { c.CancelDestroy(ctx, "NAME", api.Ask{}) },
		func() { c.Sign(ctx, "NAME", api.Sign{}) }, func() { c.SignBatch(ctx, "NAME", api.SignBatch{}) }, func() { c.Verify(ctx, "NAME", api.Verify{}) },
		func() { c.Encrypt(ctx, "NAME", api.Encrypt{}) }, func() { c.Decrypt(ctx, "NAME", api.Decrypt{}) }, func() { c.DataKey(ctx, "NAME", api.MakeDataKey{}) },
		func() { c.MAC(ctx, "NAME", api.MakeMAC{}) }, func() { c.VerifyMAC(ctx, "NAME", api.VerifyMAC{}) }, func() { c.Decode(ctx, api.Decode{}) },
		func() { c.Requests(ctx, "", "", 0) }, func() { c.Request(ctx, "ID") }, func() { c.Collect(ctx, "ID") }, func() { c.Withdraw(ctx, "ID") },
		func() { c.Policy(ctx) }, func() { c.ApplyPolicy(ctx, api.ApplyPolicy{}) }, func() { c.CheckPolicy(ctx, api.CheckPolicy{}) },
		func() { c.CreateService(ctx, api.CreateService{}) }, func() { c.Services(ctx) }, func() { c.RevokeService(ctx, "NAME", api.Ask{}) },
		func() { c.Status(ctx) }, func() { c.Seal(ctx) }, func() { c.Unseal(ctx, "k", []byte("c")) }, func() { c.Slots(ctx) },
		func() { c.AddSlot(ctx, "k", "n", []byte("c")) }, func() { c.RemoveSlot(ctx, "ID", api.Ask{}) }, func() { c.RotateRoot(ctx, api.Ask{}) },
		func() { c.AcceptClock(ctx, api.AcceptClock{}) },
		func() { c.AuditRecords(ctx, client.AuditQuery{}) }, func() { c.AuditEntries(ctx, 1) }, func() { c.AuditCheckpoint(ctx) },
		func() { c.PublishedCheckpoint(ctx) }, func() { c.Tile(ctx, "tile/PATH") },
	} {
		call()
	}
	for _, r := range native.Routes(nil, native.Node{}) {
		path := strings.NewReplacer("{name}", "NAME", "{id}", "ID", "{path...}", "PATH").Replace(r.Path)
		if path == "/{$}" || path == "/openapi.json" {
			continue // for people and programs without our client
		}
		if !asked[r.Method+" "+path] {
			t.Errorf("the client has no method for %s %s", r.Method, r.Path)
		}
	}
}
