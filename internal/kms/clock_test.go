package kms_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/kms"
)

const day = 24 * time.Hour

// machine gives the bed a wall's clock that can be set, and a time since boot
// that cannot.
type machine struct {
	mu   sync.Mutex
	wall time.Time
	boot time.Duration
}

func newMachine(b *bed) *machine {
	m := &machine{wall: time.Now().Add(time.Second), boot: time.Hour}
	b.clock = func() time.Time {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.wall
	}
	b.boot = func() time.Duration {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.boot
	}
	b.again(nil)
	b.unseal()
	return m
}

// pass lets time go by.
func (m *machine) pass(d time.Duration) { m.move(d, d) }

// set sets the wall's clock.
func (m *machine) set(d time.Duration) { m.move(d, 0) }

func (m *machine) move(wall, boot time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall, m.boot = m.wall.Add(wall), m.boot+boot
}

// untimely wants the node unready for its clock, and nothing used, loosened or
// destroyed.
func (b *bed) untimely(sentence string) {
	b.t.Helper()
	ctx := context.Background()
	const command = "keyward clock accept"
	_, signing := b.sign("k", "hello", kms.Ask{})
	_, _, creating := b.kms.CreateKey(ctx, operator, kms.NewKey{Name: "new", Spec: key.P256})
	_, _, applying := b.kms.ApplyPolicy(ctx, operator, []byte(solo), kms.Ask{})
	for what, err := range map[string]error{
		"ready": b.kms.Ready(), "sign": signing, "create": creating, "apply": applying, "destroy what is due": b.kms.DestroyDue(ctx),
	} {
		e := wantKind(b.t, err, kms.Unready)
		if !strings.Contains(e.Message, sentence) || !strings.Contains(e.Hint, command) {
			b.t.Errorf("%s: got %q, hint %q; want %q and the next step", what, e.Message, e.Hint, sentence)
		}
	}
	if s := b.kms.Status(ctx); s.Sealed || s.Ready || !strings.Contains(s.Why, sentence) || !strings.Contains(s.Why, command) {
		b.t.Errorf("got status %+v, want it open and not ready: %q", s, sentence)
	}
}

// accept does what the local operator does who has looked at the clock.
func (b *bed) accept() kms.ClockView {
	b.t.Helper()
	v, err := b.kms.AcceptClock(context.Background(), operator, b.clock().UnixMilli(), kms.Ask{})
	b.must(err)
	return v
}

func TestAJumpOfTheClockIsNotBelievedAtAStart(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	b.key("doomed", key.P256, key.Raw)
	b.key("leaked", key.P256, key.Raw)
	b.key("saved", key.P256, key.Raw)
	m := newMachine(b)
	for _, name := range []string{"doomed", "saved"} {
		_, _, err := b.kms.DestroyKey(ctx, operator, name, 30, kms.Ask{})
		b.must(err)
	}
	state := func(name string, want key.State) {
		t.Helper()
		if k, err := b.kms.Key(ctx, operator, name, ""); err != nil || k.State != want {
			t.Errorf("%s: got %s, %v; want %s", name, k.State, err, want)
		}
	}
	_, token := b.serviceToken("program")
	program, err := b.kms.Authenticate(ctx, token, netip.Addr{})
	b.must(err)
	before := b.kms.Status(ctx).LogTime

	m.pass(400 * day)
	b.again(nil)
	b.unseal()
	b.untimely("the clock is 400 days ahead of the newest record (")
	state("doomed", key.PendingDestruction)
	if now := b.kms.Status(ctx).LogTime; now-before > 1000 {
		t.Errorf("log time moved by %d ms with the clock", now-before)
	}

	// What tightens goes on, and what saves.
	_, _, err = b.kms.DisableKey(ctx, operator, "leaked", kms.Ask{})
	b.must(err)
	_, _, err = b.kms.DestroyKey(ctx, operator, "leaked", 7, kms.Ask{})
	b.must(err)
	_, _, err = b.kms.CancelDestroy(ctx, operator, "saved", kms.Ask{})
	b.must(err)
	_, err = b.kms.RevokeService(ctx, operator, "program", kms.Ask{})
	b.must(err)

	// Only who sits there may accept, and only what they saw.
	_, err = b.kms.AcceptClock(ctx, program, m.wall.UnixMilli(), kms.Ask{})
	wantKind(t, err, kms.Denied)
	_, err = b.kms.AcceptClock(ctx, identity.Actor{}, m.wall.UnixMilli(), kms.Ask{})
	wantKind(t, err, kms.Denied)
	_, err = b.kms.AcceptClock(ctx, operator, m.wall.Add(-time.Hour).UnixMilli(), kms.Ask{})
	wantKind(t, err, kms.Conflict)
	b.untimely("400 days ahead")

	v := b.accept()
	if v.To != m.wall.UnixMilli() || v.To-v.From < (399*day).Milliseconds() || v.Position.Sequence == 0 {
		t.Errorf("got %+v, want 400 days accepted, in a record", v)
	}
	b.must(b.kms.Ready())
	b.must(b.kms.DestroyDue(ctx))
	state("doomed", key.Destroyed)
	state("saved", key.Suspended)
	state("leaked", key.PendingDestruction) // its seven days begin with the accepted clock
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Error(err)
	}
	_, err = b.kms.AcceptClock(ctx, operator, m.wall.UnixMilli(), kms.Ask{})
	wantKind(t, err, kms.Conflict)

	found := 0
	for _, r := range b.settled() {
		if r.Action == "clock.accept" {
			found++
			for _, at := range []int64{v.From, v.To} {
				if text := time.UnixMilli(at).UTC().Format(time.RFC3339)[:19]; !strings.Contains(r.Detail, text) {
					t.Errorf("got the record %q, want it to say %s", r.Detail, text)
				}
			}
			if r.Time != v.From || r.Actor != operator.Name() || r.Outcome != "done" {
				t.Errorf("got record %+v, want the operator's, at the old time", r)
			}
		}
	}
	if found != 1 {
		t.Errorf("got %d records of the acceptance, want 1", found)
	}
}

// The next start knows what was accepted, also when nothing was written since.
func TestAnAcceptedClockIsNotAskedForAgain(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	m := newMachine(b)
	m.pass(400 * day)
	b.again(nil)
	b.unseal()
	b.accept()
	b.again(nil)
	b.unseal()
	b.must(b.kms.Ready())
}

func TestAJumpOfTheClockEmptiesNoWindow(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.key("k", key.P256, key.Raw)
	b.apply(payouts("1"))
	service := b.service("payouts")
	m := newMachine(b)
	pay := func(nonce int) error {
		_, err := b.pay(service, "hot", payee, 900, nonce, kms.Ask{})
		return err
	}
	b.must(pay(0))
	wantKind(t, pay(1), kms.Denied)

	// While it runs: nothing is believed, and all goes on once it is set right.
	m.set(2 * day)
	b.untimely("the clock was set forward by 2 days while keyward ran")
	wantKind(t, pay(1), kms.Denied)
	m.set(-2 * day)
	b.must(b.kms.Ready())
	wantKind(t, pay(1), kms.Denied)

	// After a restart.
	m.set(400 * day)
	b.again(nil)
	b.unseal()
	wantKind(t, pay(1), kms.Denied)
	b.untimely("400 days ahead")
	b.accept()
	b.must(pay(1))
	if s := b.kms.Status(ctx); !s.Ready || s.LogTime < m.wall.UnixMilli() {
		t.Errorf("got status %+v, want it ready at the accepted time", s)
	}
}

func TestAClockBehindTheNewestRecordIsToldAndCatchesUp(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	m := newMachine(b)
	m.set(-time.Hour)
	b.again(nil)
	b.unseal()
	b.untimely("behind the newest record (")
	m.pass(2 * time.Hour)
	b.must(b.kms.Ready())
	m.set(-time.Hour)
	b.untimely("the clock was set back by 1h0m0s while keyward ran")
	last := b.kms.Status(context.Background()).LogTime
	b.accept() // then time stands still until the clock has caught up
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Error(err)
	}
	if now := b.kms.Status(context.Background()).LogTime; now != last {
		t.Errorf("log time went from %d to %d", last, now)
	}
}

// A month without a request is no clock that was set.
func TestAQuietMonthIsNoJump(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	m := newMachine(b)
	before := len(b.records())
	for range 30 * 24 {
		m.pass(time.Hour)
		b.must(b.kms.MarkTime(ctx))
	}
	if n := len(b.records()) - before; n != 30 {
		t.Errorf("got %d records of 30 quiet days, want one a day", n)
	}
	b.again(nil)
	m.pass(6 * day)
	b.unseal()
	b.must(b.kms.Ready())
	m.set(2 * day)
	before = len(b.records())
	b.must(b.kms.MarkTime(ctx)) // log time did not move with it
	if n := len(b.records()) - before; n != 0 {
		t.Errorf("got %d records of a day that did not pass", n)
	}
}

func TestAJumpOfTheClockExpiresNothing(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	b.apply("  - {name: patience, who: [service:a], keys: [k], do: [sign], then: {delay: 1h}}\n")
	_, token, _, err := b.kms.CreateService(ctx, operator, kms.NewService{Name: "a", ExpiresIn: day.Milliseconds()})
	b.must(err)
	defer token.Destroy()
	m := newMachine(b)
	authenticate := func() identity.Actor {
		a, err := b.kms.Authenticate(ctx, token.View(), netip.Addr{})
		b.must(err)
		return a
	}
	a := authenticate()
	ask := kms.SignRequest{Ask: kms.Ask{ExpiresIn: (90 * time.Minute).Milliseconds()}, Key: "k", Payload: []byte("x")}
	_, err = b.kms.Sign(ctx, a, ask)
	id := wantKind(t, err, kms.Waiting).Operation
	m.set(400 * day)
	b.again(nil)
	b.unseal()
	b.untimely("400 days ahead")
	a = authenticate() // its token is good for a day
	_, err = b.kms.Collect(ctx, a, id)
	wantKind(t, err, kms.Waiting)
	_, err = b.kms.Sign(ctx, a, ask) // and nothing new begins to wait
	wantKind(t, err, kms.Unready)
	m.set(-400 * day)
	m.pass(time.Hour)
	if _, err := b.kms.Collect(ctx, a, id); err != nil {
		t.Errorf("collected in time: got %v", err)
	}
}

// Whoever is denied the verb by policy cannot accept; sealing is always possible.
func TestAcceptingTheClockIsJudged(t *testing.T) {
	ctx := context.Background()
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	m := newMachine(b)
	b.apply("  - {name: never, who: [operator], keys: [any], do: [accept-clock], then: deny}\n")
	m.pass(400 * day)
	b.again(nil)
	b.unseal()
	_, err := b.kms.AcceptClock(ctx, operator, m.wall.UnixMilli(), kms.Ask{})
	wantKind(t, err, kms.Denied)
	b.untimely("400 days ahead")
	b.must(b.kms.Seal(ctx, operator))
}
