package native_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"keyward/api"
	"keyward/client"
)

// serve binds the bed to loopback and to a socket, until the test ends.
func (b *bed) serve(t *testing.T) (url, socket string) {
	t.Helper()
	url, err := b.server.ListenTLS("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(t.TempDir(), "keyward.sock")
	if err := b.server.ListenSocket(socket); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return url, socket
}

func (b *bed) overTLS(t *testing.T, url, token string) *client.Client {
	t.Helper()
	ca, err := b.kms.AuthorityPEM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	c, err := client.New(client.Options{Server: url, CA: pool, Token: func() ([]byte, error) { return []byte(token), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestProgramsSignOverTheNetwork(t *testing.T) {
	b := newBed(t)
	b.key(t, "programs", "ECC_NIST_P256", "")
	_, token := b.service(t, "payouts")
	b.apply(t, "  - {name: payouts, who: ['service:payouts'], keys: [programs], do: [sign], then: allow}\n")
	url, socket := b.serve(t)
	c := b.overTLS(t, url, token)
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for i := range 64 {
		all.Go(func() {
			s, err := c.Sign(t.Context(), "programs", api.Sign{Payload: fmt.Append(nil, i)})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[s.Audit.Sequence] {
				t.Errorf("record %d was given to two signatures", s.Audit.Sequence)
			}
			seen[s.Audit.Sequence] = true
		})
	}
	all.Wait()
	// The same token over the socket is the same service, and no operator.
	local, err := client.New(client.Options{Socket: socket, Token: func() ([]byte, error) { return []byte(token), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	if _, err := local.Sign(t.Context(), "programs", api.Sign{Payload: []byte("a")}); err != nil {
		t.Error(err)
	}
	_, err = local.CreateKey(t.Context(), api.CreateKey{Name: "mine", Spec: "AES_256"})
	kindOf(t, err, api.Denied)
	_, err = local.Unseal(t.Context(), "keyfile", b.keyFile)
	kindOf(t, err, api.Denied)
	_, err = c.Unseal(t.Context(), "keyfile", b.keyFile)
	kindOf(t, err, api.Denied)
}

func TestTokensCountOnlyFromTheirNetworks(t *testing.T) {
	b := newBed(t)
	url, socket := b.serve(t)
	for network, want := range map[string]api.Kind{"127.0.0.0/8": "", "10.0.0.0/8": api.Unauthenticated} {
		s, err := b.client.CreateService(t.Context(), api.CreateService{Name: "from-" + network[:2], Networks: []string{network}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.overTLS(t, url, string(s.Token)).Requests(t.Context(), "", "", 0)
		if got := client.KindOf(err); got != want {
			t.Errorf("%s over TLS: got %v, want %q", network, err, want)
		}
		local, err := client.New(client.Options{Socket: socket, Token: func() ([]byte, error) { return []byte(string(s.Token)), nil }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = local.Requests(t.Context(), "", "", 0)
		kindOf(t, err, api.Unauthenticated)
		local.Close()
	}
}
