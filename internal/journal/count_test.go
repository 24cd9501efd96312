package journal_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// refusing is a house in which nobody may do anything, and time stands still.
func refusing(t *testing.T) *journaltest.House {
	h := journaltest.Under(t, "version: 1\nrules:\n  - {name: none, who: [operator], keys: [other], do: [encrypt], then: allow}\n")
	now := time.Now().Add(time.Second)
	h.Now = func() time.Time { return now }
	h.Reopen()
	return h
}

// deny has an actor denied once, and tells whether that is a record of its own.
func deny(t *testing.T, h *journaltest.House, k key.Key, a identity.Actor) bool {
	t.Helper()
	req, err := policy.NewRequest(policy.Input{
		Actor: a, Parsed: message(t, "hello"), Key: k, Version: 1, Algorithm: key.ECDSASHA256, Epoch: h.Journal.Epoch(), Created: h.Journal.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Decide(req, h.Policy, h.Journal.Now(), h.Journal.Facts(context.Background()))
	if err != nil || d.Outcome() != policy.Denied {
		t.Fatalf("got %s, %v; want a denial", d.Outcome(), err)
	}
	id, err := h.Journal.Deny(d, journal.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	return id != ""
}

// written counts the records of a phase and all that they stand for, once the
// journal has written everything.
func written(t *testing.T, h *journaltest.House, phase string) (n, things int) {
	t.Helper()
	h.Reopen()
	for _, r := range records(t, h) {
		if r.Phase == phase {
			n++
			things += int(r.Count)
		}
	}
	return n, things
}

func TestDenialsAreBoundedForEachActorFromWhereverItComes(t *testing.T) {
	const many, burst = 3000, 50
	h := refusing(t)
	k := newKey(t, "k")
	for i := range many {
		deny(t, h, k, identity.Operator(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	if n, _ := written(t, h, "denied"); n != burst {
		t.Errorf("got %d records of denials, want the %d of one actor", n, burst)
	}
	n, things := written(t, h, "counted")
	if things != many-burst {
		t.Errorf("got %d denials counted, want the other %d", things, many-burst)
	}
	if n > 65 {
		t.Errorf("got %d counted records of one actor from %d addresses, want at most 65", n, many)
	}
}

func TestManyAddressesTakeNobodyElsesCounter(t *testing.T) {
	h := refusing(t)
	for i := range 5000 {
		h.Journal.Count("service:loud", fmt.Sprint(i), "read")
	}
	h.Journal.Count("service:quiet", "10.0.0.1", "read")
	h.Reopen()
	for _, r := range records(t, h) {
		if r.Phase == "counted" && r.Actor == "service:quiet" && r.Source == "10.0.0.1" && r.Count == 1 {
			return
		}
	}
	t.Error("the counter of the quiet one is lost among those of the loud one")
}

// Whoever brings more names than rates are remembered gives nobody a new burst.
func TestManyActorsResetNobodysRate(t *testing.T) {
	const names = 1100
	h := refusing(t)
	k := newKey(t, "k")
	loud := identity.Operator("unix")
	for deny(t, h, k, loud) {
	}
	var tokens [][]byte
	h.Commit(func(tx *store.Tx) error {
		for i := range names {
			s, token, err := identity.NewService(rand.Reader, fmt.Sprintf("s%d", i), nil, h.Journal.Now(), 0)
			if err != nil {
				return err
			}
			tokens = append(tokens, append([]byte(nil), token.View()...))
			token.Destroy()
			if err := s.Insert(tx); err != nil {
				return err
			}
		}
		return nil
	})
	directory := identity.NewDirectory(h.Reader)
	var later atomic.Int64
	now := h.Now()
	h.Now = func() time.Time { return now.Add(time.Duration(later.Load())) }
	for i, token := range tokens {
		a, err := directory.Authenticate(context.Background(), token, netip.Addr{}, h.Journal.Now(), h.Journal.Epoch())
		if err != nil {
			t.Fatal(err)
		}
		later.Add(int64(time.Microsecond))
		deny(t, h, k, a)
		if i%100 == 99 && deny(t, h, k, loud) { // it is never the one idle longest
			t.Fatalf("after %d other actors the loud one's denials are written again", i+1)
		}
	}
}
