package kms_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/secret"
	"keyward/internal/store"
)

// rootVersions tells under which versions of the root key anything lies.
func rootVersions(b *bed) map[int64]bool {
	b.t.Helper()
	all := map[int64]bool{}
	for _, table := range []string{"material", "slot", "system_key"} {
		for row, err := range b.reader.Query(context.Background(), "SELECT DISTINCT root_version FROM "+table) {
			b.must(err)
			all[row.Int(0)] = true
		}
	}
	return all
}

func TestRootRotatesWhileCallersSignAndCreate(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	for i := range 80 { // more than one batch to seal anew
		b.key(fmt.Sprintf("old-%d", i), key.P256, key.Raw)
	}
	var stop atomic.Bool
	var made sync.Map
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if _, err := b.sign(fmt.Sprintf("old-%d", (n*16+i)%80), "hello", kms.Ask{}); err != nil {
					t.Errorf("sign: %v (%v)", err, errors.Unwrap(err))
				}
				if n%8 != 0 {
					continue
				}
				name := fmt.Sprintf("new-%d-%d", i, n)
				if _, _, err := b.kms.CreateKey(context.Background(), operator, kms.NewKey{Name: name, Spec: key.P256}); err != nil {
					t.Errorf("create: %v (%v)", err, errors.Unwrap(err))
				}
				made.Store(name, true)
			}
		})
	}
	for range 3 {
		if _, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{}); err != nil {
			t.Errorf("rotate: %v (%v)", err, errors.Unwrap(err))
		}
	}
	stop.Store(true)
	wg.Wait()
	for range 2 {
		if got := rootVersions(b); len(got) != 1 || !got[4] {
			t.Errorf("got rows under the root keys %v, want all under version 4", got)
		}
		made.Range(func(name, _ any) bool {
			if _, err := b.sign(name.(string), "hello", kms.Ask{}); err != nil {
				t.Errorf("sign by %s: %v", name, err)
			}
			return true
		})
		b.again(nil)
		b.unseal()
	}
}

// held lets everything be drawn but the nth id, which waits.
type held struct {
	n       atomic.Int64 // ids until the one that waits; 0 or less for none
	reached chan struct{}
	release chan struct{}
}

func (h *held) Read(p []byte) (int, error) {
	const idSize = 10 // of a ULID's randomness
	if len(p) == idSize && h.n.Add(-1) == 0 {
		close(h.reached)
		<-h.release
	}
	return io.ReadFull(rand.Reader, p)
}

// births are the ways in which material comes to be.
var births = map[string]struct {
	make func(*bed) error
	key  string
	ids  int64 // drawn until it is to be stored: its own, then its operation's
}{
	"created": {func(b *bed) error {
		_, _, err := b.kms.CreateKey(context.Background(), operator, kms.NewKey{Name: "k", Spec: key.P256})
		return err
	}, "k", 2},
	"rotated": {func(b *bed) error {
		_, _, err := b.kms.RotateKey(context.Background(), operator, "r", kms.Ask{})
		return err
	}, "r", 1},
}

// A key is made and sealed under one root key, and by the time that it is to be
// stored that one has been replaced and is gone.
func TestKeyBornBeforeARotationSurvivesIt(t *testing.T) {
	for name, born := range births {
		t.Run(name, func(t *testing.T) {
			h := &held{reached: make0(), release: make0()}
			b := newBed(t)
			b.rand = h
			b.again(nil)
			b.unseal()
			b.key("r", key.P256, key.Raw)
			b.key("k2", key.P256, key.Raw)
			h.n.Store(born.ids)
			done := make1()
			go func() { done <- born.make(b) }()
			<-h.reached
			_, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{})
			b.must(err)
			close(h.release)
			b.must(<-done)
			b.again(nil)
			b.unseal()
			for _, k := range []string{"r", "k2"} {
				if _, err := b.sign(k, "hello", kms.Ask{}); err != nil {
					t.Errorf("after a restart, key %s: %v (%v)", k, err, errors.Unwrap(err))
				}
			}
			if name == "created" {
				if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
					t.Errorf("after a restart: %v (%v)", err, errors.Unwrap(err))
				}
			}
		})
	}
}

// The root key's replacement is on disk, but nobody knows that yet: a key that is
// made in between is sealed under the older one, and judged under the epoch of the
// replacement. By the time that it is to be stored, the older one is gone.
func TestKeyBornWhileARotationIsUnknownSurvivesIt(t *testing.T) {
	for name, born := range births {
		t.Run(name, func(t *testing.T) {
			h := &held{reached: make0(), release: make0()}
			failing := &failEngine{}
			b := newBed(t)
			b.rand, b.engine = h, failing.wrap
			b.again(nil)
			b.unseal()
			b.key("r", key.P256, key.Raw)
			failing.unknown(true)
			_, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{})
			wantKind(t, err, kms.Unknown)
			b.ready()
			b.key("first", key.P256, key.Raw) // the commit that finds another connection makes all older decisions stale
			h.n.Store(born.ids)
			done := make1()
			go func() { done <- born.make(b) }()
			<-h.reached
			b.must(b.kms.Reseal(context.Background()))
			if got := rootVersions(b); len(got) != 1 || !got[2] {
				t.Fatalf("got rows under the root keys %v, want version 2", got)
			}
			close(h.release)
			b.must(<-done)
			if got := rootVersions(b); len(got) != 1 || !got[2] {
				t.Errorf("got rows under the root keys %v, want version 2", got)
			}
			b.again(nil)
			b.unseal()
			if _, err := b.sign(born.key, "hello", kms.Ask{}); err != nil {
				t.Errorf("after a restart: %v (%v)", err, errors.Unwrap(err))
			}
		})
	}
}

func make0() chan struct{} { return make(chan struct{}) }
func make1() chan error    { return make(chan error, 1) }

func TestRotatingTheRootTwiceUnderOneIdempotencyKeyRotatesOnce(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	for range 2 {
		if _, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{Idempotency: "once"}); err != nil {
			t.Fatal(err)
		}
	}
	b.key("k2", key.P256, key.Raw)
	b.again(nil)
	b.unseal()
	for _, k := range []string{"k", "k2"} {
		if _, err := b.sign(k, "hello", kms.Ask{}); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}
	if got := rootVersions(b); len(got) != 1 || !got[2] {
		t.Errorf("got rows under the root keys %v, want version 2", got)
	}
}

// The process dies after the new root key is stored and before the rows are
// sealed anew: the next one goes on with it.
func TestInterruptedRotationIsCompleted(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	broken := errors.New("the machine stops here")
	failing := &failEngine{}
	b.engine = failing.wrap
	b.again(nil)
	b.unseal()
	failing.at(2, broken)
	if _, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{}); err == nil {
		t.Fatal("got no error from an interrupted rotation")
	}
	if got := rootVersions(b); !got[1] || !got[2] {
		t.Fatalf("got rows under the root keys %v, want both", got)
	}
	b.engine = nil
	b.again(nil)
	b.unseal()
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Errorf("before it is completed: %v", err)
	}
	b.must(b.kms.Reseal(context.Background()))
	if got := rootVersions(b); len(got) != 1 || !got[2] {
		t.Errorf("got rows under the root keys %v, want version 2", got)
	}
	b.again(nil)
	b.unseal()
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Errorf("after it was completed: %v", err)
	}
}

// Of the commit that stores the new root key nobody knows whether it happened:
// nothing is sealed under it until that is known.
func TestRotationOfUnknownOutcomeIsSettled(t *testing.T) {
	for name, happened := range map[string]bool{"it happened": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			failing := &failEngine{}
			b := newBed(t)
			b.engine = failing.wrap
			b.again(nil)
			b.unseal()
			b.key("k", key.P256, key.Raw)
			failing.unknown(happened)
			_, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{})
			wantKind(t, err, kms.Unknown)
			b.ready()
			b.key("between", key.P256, key.Raw)
			want := int64(2)
			if happened {
				want = 3
			}
			if _, err := b.kms.RotateRoot(context.Background(), operator, kms.Ask{}); err != nil {
				t.Fatalf("%v (%v)", err, errors.Unwrap(err))
			}
			if got := rootVersions(b); len(got) != 1 || !got[want] {
				t.Errorf("got rows under the root keys %v, want version %d", got, want)
			}
			b.again(nil)
			b.unseal()
			for _, k := range []string{"k", "between"} {
				if _, err := b.sign(k, "hello", kms.Ask{}); err != nil {
					t.Errorf("key %s: %v", k, err)
				}
			}
		})
	}
}

func TestSlotsAddedAndRemovedOpenAndDoNot(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	ctx := context.Background()
	bytes, err := secret.Random(rand.Reader, seal.KeySize)
	b.must(err)
	second := seal.Credential{Kind: keyfile.Kind, Secret: bytes}
	slot, _, err := b.kms.AddSlot(ctx, operator, "second", second, kms.Ask{Idempotency: "add"})
	b.must(err)
	_, _, err = b.kms.AddSlot(ctx, operator, "second", second, kms.Ask{Idempotency: "add"})
	wantKind(t, err, kms.Conflict)                      // the name is taken
	_, err = b.kms.RotateRoot(ctx, operator, kms.Ask{}) // needs no credential of any slot
	b.must(err)
	b.again(nil)
	b.must(b.kms.Unseal(ctx, operator, second))
	_, err = b.kms.RemoveSlot(ctx, operator, slot.ID, kms.Ask{})
	b.must(err)
	b.again(nil)
	wantKind(t, b.kms.Unseal(ctx, operator, second), kms.Unverified)
	b.unseal()
	slots, err := b.kms.Slots(ctx, operator)
	b.must(err)
	if len(slots) != 1 {
		t.Fatalf("got %d slots, want 1", len(slots))
	}
	_, err = b.kms.RemoveSlot(ctx, operator, slots[0].ID, kms.Ask{})
	wantKind(t, err, kms.Conflict)
	failed := 0
	for _, r := range b.records() {
		if r.Action == "seal.unseal" && r.Outcome == "failed: wrong credential" {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("got %d records of a wrong credential, want 1", failed)
	}
	if err := b.reader.VerifyAll(ctx, []store.Table{}); err != nil {
		t.Error(err)
	}
}
