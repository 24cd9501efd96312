package identity_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"keyward/internal/identity"
	"keyward/internal/journal/journaltest"
	"keyward/internal/store"
)

type directory struct {
	*journaltest.House
	*identity.Directory
}

func newDirectory(t *testing.T) directory {
	h := journaltest.New(t)
	return directory{h, identity.NewDirectory(h.Reader)}
}

// add makes a service and returns it with its token.
func (d directory) add(name string, expires int64, networks ...string) (identity.Service, []byte) {
	d.T.Helper()
	s, token, err := identity.NewService(rand.Reader, name, networks, 1, expires)
	if err != nil {
		d.T.Fatal(err)
	}
	defer token.Destroy()
	d.Commit(s.Insert)
	return s, []byte(string(token.View()))
}

func (d directory) try(token []byte, from string, now int64) (identity.Actor, error) {
	source := netip.Addr{}
	if from != "" {
		source = netip.MustParseAddr(from)
	}
	return d.Authenticate(context.Background(), token, source, now, d.Journal.Epoch())
}

func TestTokensAreBoundToNetworksAndTimes(t *testing.T) {
	d := newDirectory(t)
	_, free := d.add("free", 0)
	_, bound := d.add("bound", 1000, "10.1.0.0/16", "fd00::/8")
	for _, c := range []struct {
		name  string
		token []byte
		from  string
		now   int64
		want  string // source; "" for refused
	}{
		{"anywhere, unix socket", free, "", 1 << 60, "unix"},
		{"anywhere, network", free, "192.0.2.1", 1, "192.0.2.1"},
		{"inside", bound, "10.1.2.3", 999, "10.1.2.3"},
		{"inside, mapped into IPv6", bound, "::ffff:10.1.2.3", 999, "10.1.2.3"},
		{"inside, IPv6", bound, "fd00::1", 999, "fd00::1"},
		{"outside", bound, "10.2.0.1", 999, ""},
		{"outside, IPv6", bound, "2001:db8::1", 999, ""},
		{"a link of its own", bound, "fd00::1%eth0", 999, ""},
		{"the unix socket is no network", bound, "", 999, ""},
		{"expired", bound, "10.1.2.3", 1000, ""},
		{"one character less", free[:len(free)-1], "", 1, ""},
		{"one character more", append(append([]byte(nil), free...), 'A'), "", 1, ""},
		{"another prefix", append([]byte("kwx_"), free[4:]...), "", 1, ""},
		{"empty", nil, "", 1, ""},
		{"huge", []byte(identity.TokenPrefix + strings.Repeat("A", 1<<20)), "", 1, ""},
	} {
		a, err := d.try(c.token, c.from, c.now)
		switch {
		case c.want == "" && (!errors.Is(err, identity.ErrUnauthenticated) || a.Valid() || err.Error() != identity.ErrUnauthenticated.Error()):
			t.Errorf("%s: got %v, %v; want refused, without saying why", c.name, a.Name(), err)
		case c.want != "" && (err != nil || a.Source() != c.want || a.Kind() != identity.Program):
			t.Errorf("%s: got source %q, %v; want %q", c.name, a.Source(), err, c.want)
		}
	}
}

func TestRevokedServiceIsRefusedAtOnceAndItsActorsToo(t *testing.T) {
	d := newDirectory(t)
	s, token := d.add("a", 0)
	a, err := d.try(token, "", 1)
	if err != nil || a.Name() != "service:a" || a.ID() != s.ID {
		t.Fatalf("got %q, %v", a.Name(), err)
	}
	ctx := context.Background()
	if err := d.Current(ctx, a, 1, d.Journal.Epoch()); err != nil {
		t.Fatal(err)
	}
	before := d.Journal.Epoch()
	d.Commit(func(tx *store.Tx) error { return s.Revoke(tx, 5) })
	if d.Journal.Epoch() == before {
		t.Error("revoking did not raise the epoch")
	}
	if _, err := d.try(token, "", 6); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("token: got %v", err)
	}
	if err := d.Current(ctx, a, 6, d.Journal.Epoch()); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("actor authenticated before: got %v", err)
	}
	// Who read an old epoch before the commit must not bring the old row back.
	if err := d.Current(ctx, a, 6, before); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("under the old epoch: got %v", err)
	}
	if err := d.Current(ctx, a, 6, d.Journal.Epoch()); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("after that: got %v", err)
	}
	if err := d.Current(ctx, identity.Operator("unix"), 6, d.Journal.Epoch()); err != nil {
		t.Errorf("operator: %v", err)
	}
	if err := d.Current(ctx, identity.Actor{}, 6, d.Journal.Epoch()); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("nobody: got %v", err)
	}
}

func TestNobodyHasNoName(t *testing.T) {
	var a identity.Actor
	if a.Valid() || a.Name()+a.ID()+a.Source()+string(a.Kind()) != "" {
		t.Errorf("got %q %q %q %q", a.Name(), a.ID(), a.Source(), a.Kind())
	}
}

func TestBadServicesAreRefused(t *testing.T) {
	for name, networks := range map[string][]string{"": nil, "A": nil, "a b": nil, "ok": {"10.0.0.1"}, "ok2": {"10.0.0.0/33"}, "ok3": {"all"}} {
		if _, token, err := identity.NewService(rand.Reader, name, networks, 1, 0); err == nil {
			token.Destroy()
			t.Errorf("service %q from %v: got no error", name, networks)
		}
	}
}

func TestServiceNamesAreNeverUsedTwice(t *testing.T) {
	d := newDirectory(t)
	d.add("a", 0)
	s, token, err := identity.NewService(rand.Reader, "a", nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	token.Destroy()
	err = d.Journal.Note(context.Background(), noted, s.Insert)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	all, err := d.List(context.Background())
	if err != nil || len(all) != 1 {
		t.Errorf("got %d services, %v; want 1", len(all), err)
	}
}

func FuzzAuthenticate(f *testing.F) {
	h := journaltest.New(f)
	d := identity.NewDirectory(h.Reader)
	f.Add([]byte("kwt_" + strings.Repeat("A", 43)))
	f.Add([]byte("kwt_"))
	f.Add([]byte("kwt_\x00' OR 1=1 --"))
	f.Fuzz(func(t *testing.T, token []byte) {
		if a, err := d.Authenticate(context.Background(), token, netip.Addr{}, 1, 1); err == nil || a.Valid() {
			t.Errorf("%q was taken for a token", token)
		}
	})
}
