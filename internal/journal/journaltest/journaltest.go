// Package journaltest builds a real journal, over a real database in a
// temporary folder, for the tests of rooms that need a Permit. Nothing in it is
// a mock: a Permit from here was judged, granted and recorded.
package journaltest

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"keyward/internal/approval"
	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// Policy allows the operator everything, also blind signatures.
const Policy = `version: 1
rules:
  - name: everything
    who: [operator]
    keys: [any]
    do: [any, sign-blind]
    then: allow
`

// House is a journal with what it stands on.
type House struct {
	T       testing.TB
	Reader  *store.Reader
	Writer  *store.Writer
	Journal *journal.Journal
	Policy  *policy.Policy
	Dir     string
	RowKey  [32]byte
	Now     func() time.Time
	Boot    func() time.Duration // nil: it goes with Now

	commit func(commit func() error) error // around every COMMIT; nil for none

	mu   sync.Mutex
	keys map[key.ID]key.Key
}

// New builds a house under Policy.
func New(t testing.TB) *House { return Under(t, Policy) }

// Under builds a house under a policy of the test's own.
func Under(t testing.TB, text string) *House {
	t.Helper()
	return Over(t, text, nil)
}

// Over builds a house whose every COMMIT, once it stands, goes through commit: it
// may run the real one that it is given, or not, and return ErrLost.
func Over(t testing.TB, text string, commit func(commit func() error) error) *House {
	t.Helper()
	h := &House{T: t, Dir: filepath.Join(t.TempDir(), "data"), keys: map[key.ID]key.Key{}, Now: time.Now}
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h.Policy = p
	if _, err := rand.Read(h.RowKey[:]); err != nil {
		t.Fatal(err)
	}
	h.open(func(ctx context.Context) error {
		return journal.Birth(ctx, journal.Hold(h.Writer), "node", time.Now(), rand.Reader, h.RowKey[:], func(tx *store.Tx) error {
			tx.Head().Rules = p.Hash()
			return nil
		})
	})
	t.Cleanup(h.Close)
	if commit != nil {
		h.commit = commit
		h.Reopen()
	}
	return h
}

func (h *House) open(unlock func(context.Context) error) {
	h.T.Helper()
	if err := h.tryOpen(unlock); err != nil {
		h.T.Fatal(err)
	}
}

func (h *House) tryOpen(unlock func(context.Context) error) error {
	h.T.Helper()
	ctx := context.Background()
	var engine store.Engine
	engine, err := sqlite.Open(ctx, h.Dir)
	if err != nil {
		h.T.Fatal(err)
	}
	if h.commit != nil {
		engine = &watched{engine, h.commit}
	}
	if h.Reader, h.Writer, err = store.Open(ctx, engine); err != nil {
		h.T.Fatal(err)
	}
	if err := unlock(ctx); err != nil {
		h.T.Fatal(err)
	}
	j, err := journal.Open(ctx, journal.Options{
		Reader: h.Reader, Pen: journal.Hold(h.Writer), Node: "node", Clock: func() time.Time { return h.Now() }, Boot: h.boot,
		Rand: rand.Reader, Key: h.truth,
	})
	if err != nil {
		if err := h.Writer.Close(); err != nil {
			h.T.Error(err)
		}
		return err
	}
	h.Journal = j
	return nil
}

// boot is the time since boot of a machine on which nobody sets the clock.
func (h *House) boot() time.Duration {
	if h.Boot != nil {
		return h.Boot()
	}
	return time.Duration(h.Now().UnixNano())
}

// Close stops the journal and closes the database.
func (h *House) Close() {
	if h.Journal == nil {
		return
	}
	h.Journal.Close()
	h.Journal = nil
	if err := h.Writer.Close(); err != nil {
		h.T.Error(err)
	}
}

// Reopen is Close and a new start over the same files.
func (h *House) Reopen() {
	h.T.Helper()
	h.Close()
	h.open(h.unlock)
}

// TryOpen opens a closed house again, which may fail; then it stays closed.
func (h *House) TryOpen() error {
	h.T.Helper()
	return h.tryOpen(h.unlock)
}

func (h *House) unlock(ctx context.Context) error { return h.Writer.Unlock(ctx, h.RowKey[:]) }

// Know makes a key part of truth.
func (h *House) Know(k key.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[k.ID] = k
}

func (h *House) truth(_ *store.Tx, id key.ID) (key.Key, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.keys[id]
	if !ok {
		return key.Key{}, store.ErrNotFound
	}
	return k, nil
}

// Commit runs an effect in a recorded commit.
func (h *House) Commit(effect func(*store.Tx) error) {
	h.T.Helper()
	err := h.Journal.Note(context.Background(), journal.Notice{Actor: "operator", Action: "test.commit"}, effect)
	if err != nil {
		h.T.Fatal(err)
	}
}

// Decide judges a request of the operator about a key.
func (h *House) Decide(k key.Key, v key.Version, alg key.Algorithm, p chain.Parsed) policy.Decision {
	h.T.Helper()
	return h.decide(k, v, "", alg, p)
}

func (h *House) decide(k key.Key, v key.Version, path string, alg key.Algorithm, p chain.Parsed) policy.Decision {
	h.T.Helper()
	h.Know(k)
	now := h.Journal.Now()
	req, err := policy.NewRequest(policy.Input{
		Actor: identity.Operator("offline"), Parsed: p, Key: k, Version: v, Path: path, Algorithm: alg, Epoch: h.Journal.Epoch(), Created: now,
	})
	if err != nil {
		h.T.Fatal(err)
	}
	d, err := policy.Decide(req, h.Policy, now, h.Journal.Facts(context.Background()))
	if err != nil {
		h.T.Fatal(err)
	}
	return d
}

// Permit walks the corridor for the operator, as far as a Permit.
func (h *House) Permit(k key.Key, v key.Version, alg key.Algorithm, p chain.Parsed) journal.Permit {
	h.T.Helper()
	return h.PermitAt(k, v, "", alg, p)
}

// PermitAt is Permit for an account below the key.
func (h *House) PermitAt(k key.Key, v key.Version, path string, alg key.Algorithm, p chain.Parsed) journal.Permit {
	h.T.Helper()
	permit, err := h.try(k, v, path, alg, p)
	if err != nil {
		h.T.Fatal(err)
	}
	return permit
}

// Try is Permit that may fail.
func (h *House) Try(k key.Key, v key.Version, alg key.Algorithm, p chain.Parsed) (journal.Permit, error) {
	h.T.Helper()
	return h.try(k, v, "", alg, p)
}

func (h *House) try(k key.Key, v key.Version, path string, alg key.Algorithm, p chain.Parsed) (journal.Permit, error) {
	h.T.Helper()
	for {
		d := h.decide(k, v, path, alg, p)
		g, err := approval.Tally(d, h.Journal.Now())
		if err != nil {
			return journal.Permit{}, err
		}
		permit, err := h.Journal.Begin(context.Background(), g, journal.Terms{})
		if !errors.Is(err, journal.ErrStale) {
			return permit, err
		}
	}
}
