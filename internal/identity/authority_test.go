package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/secret"
)

var noted = journal.Notice{Actor: "operator", Action: "test"}

func newAuthority(t *testing.T, now time.Time) identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority("0123456789abcdef0123456789abcdef", now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Destroy)
	return a
}

func TestLeafIsOfItsAuthorityForItsHosts(t *testing.T) {
	now := time.Now()
	a, other := newAuthority(t, now), newAuthority(t, now)
	hosts := []string{"127.0.0.1", "keys.example", "::1"}
	leaf, err := a.Issue(hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(leaf.Certificate, leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM())
	for _, h := range []string{"127.0.0.1", "keys.example", "[::1]"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: h}); err != nil {
			t.Errorf("%s: %v", h, err)
		}
	}
	if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Error("a leaf that can issue")
	}
	for name, c := range map[string]struct {
		of    identity.Authority
		hosts []string
		at    time.Time
		want  bool
	}{
		"as issued":           {a, hosts, now, true},
		"fewer hosts":         {a, hosts[:1], now, true},
		"another host":        {a, []string{"other.example"}, now, false},
		"another authority":   {other, hosts, now, false},
		"soon to end":         {a, hosts, now.Add(21 * 24 * time.Hour), false},
		"a clock that is off": {a, hosts, now.Add(-2 * time.Hour), false},
	} {
		if got := c.of.Serves(leaf, c.hosts, c.at); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if a.Serves(identity.Leaf{}, hosts, now) || a.Serves(identity.Leaf{Certificate: []byte("x")}, hosts, now) {
		t.Error("no certificate serves")
	}
}

func TestAuthorityWithoutItsKeyIssuesNothing(t *testing.T) {
	a := newAuthority(t, time.Now())
	public, err := identity.TakeAuthority(secret.Bytes{}, a.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := public.Issue(nil, time.Now()); err == nil {
		t.Error("issued without a key")
	}
	if _, err := identity.TakeAuthority(secret.Bytes{}, []byte("no certificate")); err == nil {
		t.Error("took what is no certificate")
	}
}

func FuzzServes(f *testing.F) {
	a, err := identity.NewAuthority("0123456789abcdef", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add(a.PEM())
	f.Fuzz(func(t *testing.T, pem []byte) {
		a.Serves(identity.Leaf{Certificate: pem}, []string{"localhost"}, time.Now())
	})
}
