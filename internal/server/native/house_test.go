package native_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyward/api"
	"keyward/client"
	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/ethereum"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/secret"
	"keyward/internal/server"
	"keyward/internal/server/native"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// bed is a whole keyward, unsealed, with the solo policy.
type bed struct {
	kms     *kms.KMS
	server  *server.Server
	local   http.Handler // as the operator
	net     http.Handler // as whoever comes over the network
	client  *client.Client
	keyFile []byte
	off     atomic.Int64 // by how much the wall's clock is wrong, ns
}

func newBed(t testing.TB) *bed {
	t.Helper()
	return newBedWithLog(t, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func newBedWithLog(t testing.TB, log *slog.Logger) *bed {
	t.Helper()
	return newBedOn(t, log, journal.Floors{})
}

// newBedOn is a bed on a disk that counts as full below these floors.
func newBedOn(t testing.TB, log *slog.Logger, floors journal.Floors) *bed {
	t.Helper()
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "d")
	engine, err := sqlite.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := store.Open(ctx, engine)
	if err != nil {
		t.Fatal(err)
	}
	pen := journal.Hold(writer)
	key, err := secret.Random(rand.Reader, seal.KeySize)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{keyFile: append([]byte(nil), key.View()...)}
	cred := seal.Credential{Kind: keyfile.Kind, Secret: key}
	_, err = kms.Init(ctx, kms.Birth{Pen: pen, Node: "a", Clock: time.Now, Rand: rand.Reader, Slot: func([32]byte) (seal.NewSlot, error) {
		return seal.NewSlot{Method: keyfile.Method{}, Credential: cred, Name: "first", Created: time.Now().UnixMilli()}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	pen.Lock() // as another process would find it
	derived, err := sqlite.OpenDerived(filepath.Join(dir, "derived.db"))
	if err != nil {
		t.Fatal(err)
	}
	b.kms = kms.New(kms.Options{
		Reader: reader, Pen: pen, Derived: derived, Methods: []seal.Method{keyfile.Method{}}, Decoders: []chain.Decoder{ethereum.Decoder{}, bitcoin.Decoder{}},
		Node: "a", Clock: func() time.Time { return time.Now().Add(time.Duration(b.off.Load())) }, Rand: rand.Reader, Log: log,
		Floors: floors,
	})
	t.Cleanup(func() {
		b.kms.Close()
		derived.Close()
		pen.Close()
		key.Destroy()
	})
	if err := b.kms.Unseal(ctx, identity.Operator("unix"), cred); err != nil {
		t.Fatal(err)
	}
	node := native.Node{Version: "test", Listen: func() []string { return []string{"unix:/secret/path", "https://127.0.0.1:7443"} }}
	b.server, err = server.New(server.Options{KMS: b.kms, Routes: native.Mount(native.Routes(b.kms, node)), Log: log, Certificate: b.certificate})
	if err != nil {
		t.Fatal(err)
	}
	b.local, b.net = b.server.InProcess(), b.server.Handler()
	if b.client, err = client.New(client.Options{Handler: b.local}); err != nil {
		t.Fatal(err)
	}
	return b
}

// certificate is issued by the installation's own authority.
func (b *bed) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	leaf, _, err := b.kms.Leaf(identity.Leaf{}, []string{"127.0.0.1"})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(leaf.Certificate, leaf.Key)
	return &pair, err
}

// service makes a service and returns a client of it.
func (b *bed) service(t testing.TB, name string) (*client.Client, string) {
	t.Helper()
	s, err := b.client.CreateService(t.Context(), api.CreateService{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	token := string(s.Token)
	c, err := client.New(client.Options{Handler: b.local, Token: func() ([]byte, error) { return []byte(token), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c, token
}

func (b *bed) key(t testing.TB, name, spec, domain string) api.Key {
	t.Helper()
	k, err := b.client.CreateKey(t.Context(), api.CreateKey{Name: name, Spec: spec, Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// apply puts a policy in force that lets everybody of who do everything, too.
func (b *bed) apply(t testing.TB, rules string) {
	t.Helper()
	text := "version: 1\nrules:\n  - {name: solo, who: [operator], keys: [any], do: [any], then: allow}\n" + rules
	if _, err := b.client.ApplyPolicy(t.Context(), api.ApplyPolicy{Text: text}); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request into the process; token "" makes it the operator's.
func (b *bed) ask(method, path, token, body string) *httptest.ResponseRecorder {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	request := httptest.NewRequestWithContext(context.Background(), method, path, r)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	b.local.ServeHTTP(w, request)
	return w
}

func kindOf(t testing.TB, err error, want api.Kind) {
	t.Helper()
	if got := client.KindOf(err); got != want {
		t.Errorf("got %v (%s), want %s", err, got, want)
	}
}
