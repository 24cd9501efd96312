package server_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"keyward/api"
	"keyward/internal/server"
)

// sink decodes a body of T and says "taken".
func sink[T any](name string) server.Route {
	return server.Route{Method: "POST", Path: "/" + name, Name: name, Access: server.Anyone, Handle: func(c *server.Call) error {
		var in T
		if err := c.Decode(&in); err != nil {
			return err
		}
		return c.Answer("text/plain", []byte("taken"))
	}}
}

func TestRequestsAreReadStrictly(t *testing.T) {
	b := start(t, server.Limits{}, sink[api.Sign]("sign"), sink[api.SignBatch]("sign-batch"), sink[api.CreateKey]("create-key"), sink[api.Ask]("seal"),
		sink[api.Encrypt]("encrypt"))
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	for _, tt := range []struct{ route, body, want string }{
		{"sign", `{"payload":"aGk="}`, ""},
		{"sign", `{"v":1,"payload":"aGk=","version":2,"dryRun":true}`, ""},
		{"sign", "\n {\"payload\":\"\"} \n", ""},
		{"seal", "", ""},
		{"seal", "{}", ""},
		{"sign", "", "sign: body: want a JSON object"},
		{"sign", "   ", "sign: body: want a JSON object"},
		{"sign", "null", "sign: body: want a JSON object"},
		{"sign", "[]", "sign: body: want a JSON object"},
		{"sign", `"x"`, "sign: body: want a JSON object"},
		{"sign", `{}`, "sign: payload: missing"},
		{"sign", `{"payload":null}`, "sign: payload: missing"},
		{"sign", `{"payload":"aGk=`, "sign: body: it ends too early"},
		{"sign", `{"payload":"aGk="}{}`, "sign: body: no JSON at byte 18"},
		{"sign", `{"payload":"aGk="} x`, "sign: body: no JSON at byte 19"},
		{"sign", `{"payload":"aGk=",}`, "sign: body: no JSON at byte 17"},
		{"sign", `{'payload':1}`, "sign: body: no JSON at byte 1"},
		{"sign", `{"payload":"aGk=","payload":"aGk="}`, "sign: payload: given twice"},
		{"sign", `{"payload":"aGk=","Payload":"aGk="}`, "sign: Payload: unknown field"},
		{"sign", `{"payload":"aGk=","sidePayload":` + deep + `}`, "sign: sidePayload: unknown field"},
		{"sign", `{"payload":` + deep + `}`, "sign: payload: want base64"},
		{"sign", `{"payload":"a"}`, "sign: payload: want base64"},
		{"sign", `{"payload":"aGk"}`, "sign: payload: want base64"},
		{"sign", `{"payload":"aG k="}`, "sign: payload: want base64"},
		{"sign", `{"payload":[1,2]}`, "sign: payload: want base64"},
		{"sign", `{"payload":"aGk=","version":"1"}`, "sign: version: want a whole number of at least 0"},
		{"sign", `{"payload":"aGk=","version":-1}`, "sign: version: want a whole number of at least 0"},
		{"sign", `{"payload":"aGk=","version":1.5}`, "sign: version: want a whole number of at least 0"},
		{"sign", `{"payload":"aGk=","version":4294967296}`, "sign: version: want a whole number of at least 0"},
		{"sign", `{"payload":"aGk=","expiresInSeconds":1e3}`, "sign: expiresInSeconds: want a whole number"},
		{"sign", `{"payload":"aGk=","dryRun":1}`, "sign: dryRun: want true or false"},
		{"sign", `{"payload":"aGk=","type":5}`, "sign: type: want a string"},
		{"sign", `{"payload":"aGk=","v":2}`, "sign: v: want 1"},
		{"sign", "{\"payload\":\"aGk=\",\"type\":\"\xff\"}", "sign: body: no JSON at byte 26"},
		{"sign-batch", `{"items":[{"payload":"aGk="},{"payload":7}]}`, "sign-batch: items[1].payload: want base64"},
		{"sign-batch", `{"items":{}}`, "sign-batch: items: want a list"},
		{"sign-batch", `{"items":[7]}`, "sign-batch: items[0]: want an object"},
		{"create-key", `{"name":"a"}`, "create-key: spec: missing"},
		{"create-key", `{"name":"a","spec":"AES_256","tags":{"a":"b","a":"c"}}`, "create-key: tags.a: given twice"},
		{"create-key", `{"name":"a","spec":"AES_256","tags":["a"]}`, "create-key: tags: want an object"},
		{"encrypt", `{"plaintext":"","context":{"a":5}}`, "encrypt: context.a: want a string"},
		{"seal", "\ufeff{}", "seal: body: want a JSON object"},
	} {
		r := httptest.NewRequest("POST", "/"+tt.route, strings.NewReader(tt.body))
		w := httptest.NewRecorder()
		b.InProcess().ServeHTTP(w, r)
		got := ""
		if w.Code != 200 {
			got = problem(t, w.Body.String()).Detail
		}
		body := tt.body[:min(len(tt.body), 60)]
		if got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.route, body, got, tt.want)
		}
		if tt.want != "" && w.Code != 400 {
			t.Errorf("%s %s: got %d, want 400", tt.route, body, w.Code)
		}
	}
}

func TestContentTypeMustBeJSON(t *testing.T) {
	b := start(t, server.Limits{}, sink[api.Sign]("sign"))
	for kind, want := range map[string]int{
		"": 200, "application/json": 200, "application/json; charset=utf-8": 200, "application/x-www-form-urlencoded": 400, "text/plain": 400, "application/json;;": 400,
	} {
		r := httptest.NewRequest("POST", "/sign", strings.NewReader(`{"payload":"aGk="}`))
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		w := httptest.NewRecorder()
		b.InProcess().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: got %d, want %d", kind, w.Code, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"payload":"aGk="}`, `{"v":1,"payload":"aGk=","version":2,"dryRun":true}`, `{"items":[{"payload":"aGk="}]}`, `{"name":"a","spec":"AES_256","tags":{"a":"b"}}`,
		`{"payload":"aGk=","payload":""}`, `{"items":[[[[[[`, "null", "", "{}", "\xff", `{"context":{"a":"b"},"plaintext":""}`, `{"v":2}`,
	} {
		f.Add([]byte(seed))
	}
	b := start(f, server.Limits{}, sink[api.Sign]("sign"), sink[api.SignBatch]("sign-batch"), sink[api.CreateKey]("create-key"),
		sink[api.Encrypt]("encrypt"), sink[api.CreateService]("create-service"), sink[api.Verify]("verify"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, name := range []string{"sign", "sign-batch", "create-key", "encrypt", "create-service", "verify"} {
			w := httptest.NewRecorder()
			b.InProcess().ServeHTTP(w, httptest.NewRequest("POST", "/"+name, strings.NewReader(string(body))))
			switch {
			case w.Code == 200:
			case w.Code != 400 && w.Code != 413:
				t.Errorf("got %d, want 400", w.Code)
			case !strings.HasPrefix(problem(t, w.Body.String()).Detail, name+": "):
				t.Errorf("got %s, want the route's name first", w.Body)
			}
		}
	})
}
