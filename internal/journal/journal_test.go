package journal_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"keyward/internal/approval"
	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

func newKey(t testing.TB, name string) key.Key {
	t.Helper()
	id, err := key.NewID(1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.Key{
		ID: id, Name: name, Spec: key.P256, Usage: key.SignVerify, Domain: key.Raw, State: key.Active, Current: 1,
		Versions: []key.VersionInfo{{Version: 1, Public: key.Public("public")}},
	}
}

func message(t testing.TB, text string) chain.Parsed {
	t.Helper()
	p, err := chain.ParsePlain(key.Sign, chain.TypeMsg, crypto.SHA256, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func grant(t testing.TB, d policy.Decision) approval.Grant {
	t.Helper()
	g, err := approval.Tally(d, d.Request().Created())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestBeginIsOnDiskBeforeThePermit(t *testing.T) {
	h := journaltest.New(t)
	p := h.Permit(newKey(t, "k"), 1, key.ECDSASHA256, message(t, "hello"))
	op, err := h.Journal.Find(context.Background(), p.Operation(), "")
	if err != nil || op.State != journal.Begun || op.Begun != p.Position().Sequence {
		t.Fatalf("got %+v, %v; want a begun operation at %d", op, err, p.Position().Sequence)
	}
	head, err := h.Reader.Head(context.Background())
	if err != nil || head.Sequence != p.Position().Sequence || head.Hash != p.Position().Hash {
		t.Fatalf("got head %+v, %v; want the permit's position %+v", head, err, p.Position())
	}
}

func TestPermitIsGoodForOneUse(t *testing.T) {
	h := journaltest.New(t)
	p := h.Permit(newKey(t, "k"), 1, key.ECDSASHA256, message(t, "hello"))
	copied := p
	if _, err := p.Take(key.Decrypt); !errors.Is(err, journal.ErrWrongVerb) {
		t.Errorf("another verb: got %v, want ErrWrongVerb", err)
	}
	if _, err := p.Take(key.Sign); err != nil {
		t.Fatal(err)
	}
	if _, err := copied.Take(key.Sign); !errors.Is(err, journal.ErrSpent) {
		t.Errorf("a copy of a spent permit: got %v, want ErrSpent", err)
	}
	if _, err := (journal.Permit{}).Take(key.Sign); !errors.Is(err, journal.ErrNoPermit) {
		t.Errorf("the zero permit: got %v, want ErrNoPermit", err)
	}
}

func TestForeignRulesEarnNothing(t *testing.T) {
	h := journaltest.Under(t, "version: 1\nrules:\n  - {name: none, who: [operator], keys: [other], do: [encrypt], then: allow}\n")
	generous, err := policy.Parse([]byte(journaltest.Policy))
	if err != nil {
		t.Fatal(err)
	}
	h.Policy = generous // not the one in force
	d := h.Decide(newKey(t, "k"), 1, key.ECDSASHA256, message(t, "hello"))
	if _, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{}); !errors.Is(err, journal.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
}

func TestForeignKeyFactsEarnNothing(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	d := h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))
	k.State = key.Suspended // what truth says
	h.Know(k)
	if _, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{}); !errors.Is(err, journal.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
}

func TestRaisedEpochMakesDecisionsStale(t *testing.T) {
	h := journaltest.New(t)
	d := h.Decide(newKey(t, "k"), 1, key.ECDSASHA256, message(t, "hello"))
	h.Commit(func(tx *store.Tx) error { tx.RaiseEpoch(); return nil })
	if _, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{}); !errors.Is(err, journal.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
}

func TestIdempotencyKeySpendsOnce(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	ctx := context.Background()
	terms := journal.Terms{Idempotency: "once"}
	first, err := h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))), terms)
	if err != nil {
		t.Fatal(err)
	}
	var again *journal.Replay
	_, err = h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))), terms)
	if !errors.As(err, &again) || again.Operation.ID != first.Operation() {
		t.Errorf("the same request: got %v, want a replay of %s", err, first.Operation())
	}
	_, err = h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "another"))), terms)
	if !errors.Is(err, journal.ErrReused) {
		t.Errorf("another body: got %v, want ErrReused", err)
	}
	terms.Index = 1
	if _, err = h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "another"))), terms); err != nil {
		t.Errorf("another place in the batch: got %v, want a permit", err)
	}
}

func TestRacingRetriesBeginOnce(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	d := h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))
	var permits atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{Idempotency: "once"})
			var again *journal.Replay
			switch {
			case err == nil:
				permits.Add(1)
			case !errors.As(err, &again):
				t.Errorf("got %v, want a replay", err)
			}
		})
	}
	wg.Wait()
	if permits.Load() != 1 {
		t.Errorf("got %d permits, want 1", permits.Load())
	}
}

func TestCrashLeavesUnknownAndResumes(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	ctx := context.Background()
	terms := journal.Terms{Idempotency: "once"}
	p, err := h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))), terms)
	if err != nil {
		t.Fatal(err)
	}
	h.Reopen() // without Finish: as after a crash
	op, err := h.Journal.Find(ctx, p.Operation(), "")
	if err != nil || op.State != journal.Unknown {
		t.Fatalf("got %v %v, want state unknown", op.State, err)
	}
	resumed, err := h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))), terms)
	if err != nil || resumed.Operation() != p.Operation() {
		t.Fatalf("a deterministic signature: got %v, want it resumed under its own id", err)
	}
	if err := h.Journal.Finish(ctx, resumed, journal.Outcome{Result: []byte("sig"), Keep: true, Wait: true}); err != nil {
		t.Fatal(err)
	}
	var again *journal.Replay
	_, err = h.Journal.Begin(ctx, grant(t, h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))), terms)
	if !errors.As(err, &again) || again.Operation.State != journal.Done || string(again.Operation.Result) != "sig" {
		t.Errorf("got %v, want a replay of the stored result", err)
	}
}

func TestUnknownRandomizedOperationIsNotRepeated(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	k.Spec, k.Usage = key.AES256, key.EncryptDecrypt
	parsed, err := chain.ParsePlain(key.Encrypt, chain.TypeMsg, 0, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	terms := journal.Terms{Idempotency: "once"}
	if _, err := h.Journal.Begin(context.Background(), grant(t, h.Decide(k, 1, key.XAES256GCM, parsed)), terms); err != nil {
		t.Fatal(err)
	}
	h.Reopen()
	_, err = h.Journal.Begin(context.Background(), grant(t, h.Decide(k, 1, key.XAES256GCM, parsed)), terms)
	var again *journal.Replay
	if !errors.As(err, &again) || again.Operation.State != journal.Unknown {
		t.Errorf("got %v, want a replay of state unknown", err)
	}
}

func TestEffectFailsAlone(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	boom := errors.New("boom")
	d := h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))
	_, _, err := h.Journal.Do(context.Background(), grant(t, d), journal.Terms{Effect: func(tx *store.Tx) error {
		if err := tx.Insert(journal.Spending(), store.Row{int64(0), "k", "a", "asset", "to", make([]byte, 32)}); err != nil {
			return err
		}
		tx.RaiseEpoch()
		return boom
	}})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v, want the effect's own error", err)
	}
	if err := h.Reader.VerifyAll(context.Background(), []store.Table{journal.Spending()}); err != nil {
		t.Errorf("the failed effect left something: %v", err)
	}
	if _, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{}); err != nil {
		t.Errorf("the epoch moved with the failed effect: %v", err)
	}
}

func BenchmarkBegin(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			h := journaltest.New(b)
			k := newKey(b, "k")
			h.Know(k)
			g := grant(b, h.Decide(k, 1, key.ECDSASHA256, message(b, "hello")))
			b.SetParallelism(callers / 2)
			if callers == 1 {
				b.SetParallelism(1)
			}
			b.ReportAllocs()
			b.ResetTimer()
			work := func(next func() bool) {
				for next() {
					p, err := h.Journal.Begin(context.Background(), g, journal.Terms{})
					if err != nil {
						b.Fatal(err)
					}
					if err := h.Journal.Finish(context.Background(), p, journal.Outcome{}); err != nil {
						b.Fatal(err)
					}
				}
			}
			if callers == 1 {
				i := 0
				work(func() bool { i++; return i <= b.N })
				return
			}
			b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
		})
	}
}
