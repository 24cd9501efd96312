package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"keyward/internal/key"
	"keyward/internal/secret"
	"keyward/internal/store"
)

// TokenPrefix begins every bearer token, so that scanners find leaked ones.
const TokenPrefix = "kwt_"

const tokenBytes = 32

// ErrUnauthenticated is returned for every token that proves nobody; it never
// says why.
var ErrUnauthenticated = errors.New("token refused")

// Service is a program that may ask, with a bearer token of which only the hash
// is kept.
type Service struct {
	ID       string // "svc_…"
	Name     string
	Networks []netip.Prefix // empty: from anywhere
	Created  int64          // log time, ms
	Expires  int64          // log time, ms; 0 never
	Revoked  int64          // log time, ms; 0 while valid

	tokenHash [32]byte
}

var services = store.Table{
	Name: "service", Key: []string{"id"},
	Columns: []string{"id", "name", "token_hash", "networks", "created", "expires", "revoked"}, Summed: true,
}

// Services is where they are kept.
func Services() store.Table { return services }

// NewService makes a service and its token: TokenPrefix and 43 characters of
// base64url, which the caller must Destroy and which cannot be shown again.
func NewService(rand io.Reader, name string, networks []string, now, expires int64) (Service, secret.Bytes, error) {
	if err := key.ValidName(name); err != nil {
		return Service{}, secret.Bytes{}, fmt.Errorf("service: %w", err)
	}
	s := Service{Name: name, Created: now, Expires: expires}
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return Service{}, secret.Bytes{}, fmt.Errorf("service %q: network %q: want CIDR, as in 10.0.0.0/8", name, n)
		}
		s.Networks = append(s.Networks, p.Masked())
	}
	ulid, err := key.ULID(now, rand)
	if err != nil {
		return Service{}, secret.Bytes{}, err
	}
	s.ID = "svc_" + ulid
	raw, err := secret.Random(rand, tokenBytes)
	if err != nil {
		return Service{}, secret.Bytes{}, err
	}
	defer raw.Destroy()
	token := secret.New(len(TokenPrefix) + base64.RawURLEncoding.EncodedLen(tokenBytes))
	copy(token.View(), TokenPrefix)
	base64.RawURLEncoding.Encode(token.View()[len(TokenPrefix):], raw.View())
	s.tokenHash = sha256.Sum256(token.View())
	return s, token, nil
}

// Insert adds the service; store.ErrConflict when the name was ever used.
func (s Service) Insert(tx *store.Tx) error { return tx.Insert(services, s.row()) }

// Revoke ends the service for ever and raises the epoch.
func (s Service) Revoke(tx *store.Tx, now int64) error {
	s.Revoked = now
	if err := tx.Put(services, s.row()); err != nil {
		return err
	}
	tx.RaiseEpoch()
	return nil
}

func (s Service) row() store.Row {
	var networks []string
	for _, p := range s.Networks {
		networks = append(networks, p.String())
	}
	return store.Row{s.ID, s.Name, s.tokenHash[:], strings.Join(networks, " "), s.Created, s.Expires, s.Revoked}
}

func scanService(r store.Row) (Service, error) {
	s := Service{ID: r.Text(0), Name: r.Text(1), Created: r.Int(4), Expires: r.Int(5), Revoked: r.Int(6)}
	copy(s.tokenHash[:], r.Bytes(2))
	for _, n := range strings.Fields(r.Text(3)) {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return Service{}, fmt.Errorf("service %q: %w", s.Name, err)
		}
		s.Networks = append(s.Networks, p)
	}
	return s, nil
}

// Directory finds services. It caches what it read until the epoch moves.
type Directory struct {
	reader *store.Reader

	mu    sync.RWMutex
	epoch uint64
	known map[[32]byte]Service // by token hash
	byID  map[string]Service
}

const directoryMax = 4096

// NewDirectory reads services from r.
func NewDirectory(r *store.Reader) *Directory {
	return &Directory{reader: r, known: map[[32]byte]Service{}, byID: map[string]Service{}}
}

// Authenticate finds whose token this is, coming from source (the zero Addr for
// the unix socket), at log time now and under the epoch of now. It returns
// ErrUnauthenticated for an unknown, revoked, expired or misplaced token.
func (d *Directory) Authenticate(ctx context.Context, token []byte, source netip.Addr, now int64, epoch uint64) (Actor, error) {
	if !bytes.HasPrefix(token, []byte(TokenPrefix)) || len(token) > 128 {
		return Actor{}, ErrUnauthenticated
	}
	s, err := d.find(ctx, sha256.Sum256(token), epoch)
	if err != nil {
		return Actor{}, err
	}
	if !s.valid(now) || !s.allows(source) {
		return Actor{}, ErrUnauthenticated
	}
	from := "unix"
	if source.IsValid() {
		from = source.Unmap().String()
	}
	return Actor{&actor{kind: Program, id: s.ID, name: "service:" + s.Name, source: from}}, nil
}

// allows: a service bound to networks is not served over the unix socket.
func (s Service) allows(source netip.Addr) bool {
	return len(s.Networks) == 0 ||
		source.IsValid() && slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(source.Unmap()) })
}

// Current refuses, with ErrUnauthenticated, the actor of a service that was
// revoked or has expired since it was authenticated. Without that, a request that
// began slowly would outlive its service. Now and epoch are as in Authenticate.
func (d *Directory) Current(ctx context.Context, a Actor, now int64, epoch uint64) error {
	if !a.Valid() {
		return ErrUnauthenticated
	}
	if a.Kind() != Program {
		return nil
	}
	d.mu.RLock()
	s, ok := d.byID[a.ID()]
	ok = ok && d.epoch == epoch
	d.mu.RUnlock()
	if !ok {
		var err error
		if s, err = d.load(ctx, epoch, "id = $1", a.ID()); err != nil {
			return err
		}
	}
	if !s.valid(now) {
		return ErrUnauthenticated
	}
	return nil
}

func (s Service) valid(now int64) bool { return s.Revoked == 0 && (s.Expires == 0 || now < s.Expires) }

func (d *Directory) find(ctx context.Context, hash [32]byte, epoch uint64) (Service, error) {
	d.mu.RLock()
	s, ok := d.known[hash]
	ok = ok && d.epoch == epoch
	d.mu.RUnlock()
	if ok {
		return s, nil
	}
	return d.load(ctx, epoch, "token_hash = $1", hash[:])
}

func (d *Directory) load(ctx context.Context, epoch uint64, where string, arg any) (Service, error) {
	for row, err := range d.reader.Rows(ctx, services, where, arg) {
		if err != nil {
			return Service{}, err
		}
		s, err := scanService(row)
		if err != nil {
			return Service{}, err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.epoch != epoch || len(d.known) >= directoryMax {
			clear(d.known)
			clear(d.byID)
			d.epoch = epoch
		}
		d.known[s.tokenHash], d.byID[s.ID] = s, s
		return s, nil
	}
	return Service{}, ErrUnauthenticated
}

// List returns all services, by name.
func (d *Directory) List(ctx context.Context) ([]Service, error) {
	var all []Service
	for row, err := range d.reader.Rows(ctx, services, "TRUE ORDER BY name") {
		if err != nil {
			return nil, err
		}
		s, err := scanService(row)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Named finds a service by name; store.ErrNotFound when there is none.
func (d *Directory) Named(ctx context.Context, name string) (Service, error) {
	for row, err := range d.reader.Rows(ctx, services, "name = $1", name) {
		if err != nil {
			return Service{}, err
		}
		return scanService(row)
	}
	return Service{}, fmt.Errorf("service %q: %w", name, store.ErrNotFound)
}

// Operator is the local operator: whoever runs keyward itself, on the same
// machine and under the same user. The caller has proved that by the peer of the
// unix socket ("unix") or by running in the process itself ("offline").
func Operator(source string) Actor {
	return Actor{&actor{kind: LocalOperator, id: "operator", name: "operator", source: source}}
}
