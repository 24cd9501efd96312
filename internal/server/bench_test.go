package server_test

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

// What this package costs, without kms: a sign request decoded, its answer
// encoded, and everything around it, beside a bare JSON server of net/http. The
// difference of cpu-µs/op is keyward's share (docs/design/wire.md).

const signBody = `{"payload":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=","type":"message"}`

func signed(*server.Call, *api.Sign) api.Signed {
	return api.Signed{
		Key: "payouts", KeyID: "key_01j9zq6m7t0000000000000000", Version: 1, Algorithm: "ECDSA_SHA_256", Type: "message", Signature: make([]byte, 71),
		Intent:  &api.Intent{Kind: "plain", Sentence: "sign 32 bytes"},
		Reasons: []api.Reason{{Code: "allowed", Rule: "payouts", Text: "rule payouts allows it"}},
		Answer:  api.Answer{Operation: "op_01j9zq6m7t0000000000000000", Audit: &api.Audit{Sequence: 1234567, Hash: make([]byte, 32)}},
	}
}

func keywardRoute() server.Route {
	return server.Route{Method: "POST", Path: "/v1/keys/{name}/sign", Name: "sign", Handle: func(c *server.Call) error {
		var in api.Sign
		if err := c.Decode(&in); err != nil {
			return err
		}
		out := signed(c, &in)
		return c.JSON(&out)
	}}
}

// quiet is a server that logs nothing, as most do.
func quiet(b *testing.B) *server.Server {
	s, err := server.New(server.Options{KMS: kms.New(kms.Options{Clock: time.Now}), Routes: []server.Route{keywardRoute()}})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

type bareIn struct {
	Payload []byte `json:"payload"`
	Type    string `json:"type"`
}

type bareOut struct {
	Key       string `json:"key"`
	Signature []byte `json:"signature"`
}

func bareHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/keys/{name}/sign", func(w http.ResponseWriter, r *http.Request) {
		var in bareIn
		if err := stdjson.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = stdjson.NewEncoder(w).Encode(bareOut{r.PathValue("name"), make([]byte, 71)})
	})
	return mux
}

// nowhere is a ResponseWriter that keeps nothing.
type nowhere struct{ h http.Header }

func (w nowhere) Header() http.Header         { return w.h }
func (w nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w nowhere) WriteHeader(int)             {}

func BenchmarkHandler(b *testing.B) {
	for _, tt := range []struct {
		name string
		h    http.Handler
	}{{"bare", bareHandler()}, {"keyward", quiet(b).InProcess()}} {
		b.Run(tt.name, func(b *testing.B) {
			r, err := http.NewRequest("POST", "/v1/keys/payouts/sign", nil)
			if err != nil {
				b.Fatal(err)
			}
			body := strings.NewReader("")
			r.Body, r.ContentLength = io.NopCloser(body), int64(len(signBody))
			w := nowhere{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(signBody)
				clear(w.h)
				tt.h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkSocket(b *testing.B) {
	dir := b.TempDir()
	l, err := net.Listen("unix", dir+"/bare")
	if err != nil {
		b.Fatal(err)
	}
	bare := &http.Server{Handler: bareHandler()}
	go bare.Serve(l)
	defer bare.Close()
	ours := quiet(b)
	if err := ours.ListenSocket(dir + "/keyward"); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go ours.Serve(ctx)
	request := []byte("POST /v1/keys/payouts/sign HTTP/1.1\r\nHost: keyward\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(signBody)) + "\r\n\r\n" + signBody)
	for _, name := range []string{"bare", "keyward"} {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(32)
			start := cpu()
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("unix", dir+"/"+name)
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				answer := make([]byte, 4096)
				for pb.Next() {
					if _, err := c.Write(request); err != nil {
						b.Error(err)
						return
					}
					n, err := c.Read(answer)
					if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) {
						b.Errorf("%v %s", err, answer[:n])
						return
					}
				}
			})
			b.ReportMetric(float64((cpu()-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is what this process, client included, has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
