package kms_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/store/sqlite"
	"keyward/internal/twintest"
)

// smallDisk mounts a disk that can be filled.
func smallDisk(t *testing.T, size string) (mount string) {
	t.Helper()
	mount = t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		needAll(t, "root, who can mount a small tmpfs", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return mount
}

// onSmallDisk makes a bed on such a disk, with floors of nothing.
func onSmallDisk(t *testing.T, size string) (b *bed, mount string) {
	t.Helper()
	mount = smallDisk(t, size)
	b = &bed{
		t: t, dir: filepath.Join(mount, "data"), keyFile: filepath.Join(t.TempDir(), "key"), clock: time.Now, rand: random,
		floors: journal.Floors{Waiting: 1, Uses: 1},
	}
	b.init()
	b.open()
	b.unseal()
	t.Cleanup(b.close)
	return b, mount
}

// stuff lets a file grow until the disk has not one byte left.
func (b *bed) stuff(path string) {
	b.t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	b.must(err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		switch n, err := f.Write(make([]byte, size)); {
		case errors.Is(err, unix.ENOSPC) && n == 0:
			size /= 2
		case err != nil && !errors.Is(err, unix.ENOSPC):
			b.t.Fatal(err)
		}
	}
}

// looked waits until the journal has looked at the disk again.
func looked() { time.Sleep(150 * time.Millisecond) }

const asking = `  - name: asking
    who: [service:asking]
    keys: [k]
    do: [sign]
    then: {approvals: 1, of: crew}
groups:
  crew: [first, second]
`

func (b *bed) ask(a identity.Actor, size, n int, ask kms.Ask) error {
	payload := make([]byte, size)
	copy(payload, fmt.Sprint(n))
	_, err := b.kms.Sign(context.Background(), a, kms.SignRequest{Ask: ask, Key: "k", Type: chain.TypeMsg, Payload: payload})
	return err
}

// A service that nobody answers asks for ever for what needs approvals.
func TestWaitingRequestsDoNotFillTheDisk(t *testing.T) {
	b, mount := onSmallDisk(t, "96m")
	b.key("k", key.P256, key.Raw)
	b.apply(asking)
	a := b.service("asking")
	n := 0
	var full error
	for ; full == nil || kms.KindOf(full) == kms.Waiting; n++ {
		if n > 200 {
			t.Fatal("one service keeps 200 MiB waiting")
		}
		full = b.ask(a, 1<<20-4096, n, kms.Ask{})
	}
	if e := wantKind(t, full, kms.Busy); !strings.Contains(e.Hint, "keyward request list") {
		t.Errorf("got hint %q, want what to do", e.Hint)
	}
	if n < 16 || n > 18 {
		t.Errorf("got %d requests of a MiB, want 16 MiB of them", n)
	}
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Errorf("another actor: %v", err)
	}
	var s unix.Statfs_t
	b.must(unix.Statfs(mount, &s))
	if free := int64(s.Bavail) * s.Bsize; free < 32<<20 {
		t.Errorf("got %d bytes free", free)
	}
	refused := 0
	for _, r := range b.settled() {
		if r.Phase == "denied" && r.Detail == journal.ErrCrowded.Error() {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("got %d records of the refusal, want 1", refused)
	}
}

// What nobody grants ends by itself, and gives its place free.
func TestWaitingRequestsExpire(t *testing.T) {
	b := newBed(t)
	now := time.Now()
	b.clock = func() time.Time { return now }
	b.key("k", key.P256, key.Raw)
	b.apply(asking)
	a := b.service("asking")
	ctx := context.Background()
	wantKind(t, b.ask(a, 1000, 0, kms.Ask{ExpiresIn: 1000}), kms.Waiting)
	for n := range 99 {
		wantKind(t, b.ask(a, 1000, n+1, kms.Ask{}), kms.Waiting)
	}
	wantKind(t, b.ask(a, 1000, 100, kms.Ask{}), kms.Busy)
	all, err := b.kms.Requests(ctx, a, journal.Waiting, "", 1000)
	b.must(err)
	if len(all) != 100 {
		t.Fatalf("got %d requests waiting, want 100", len(all))
	}
	days, id := map[float64]int{}, ""
	for _, op := range all {
		after := float64(op.Expires-op.Created) / 86_400_000
		if days[after]++; after == 7 {
			id = op.ID
		}
	}
	if days[7] != 99 || len(days) != 2 {
		t.Errorf("got expiries after so many days: %v; want 99 after 7", days)
	}
	now = now.Add(time.Minute)
	b.must(b.kms.ExpireRequests(ctx))
	wantKind(t, b.ask(a, 1000, 101, kms.Ask{}), kms.Waiting) // one has gone
	wantKind(t, b.ask(a, 1000, 102, kms.Ask{}), kms.Busy)
	now = now.Add(7 * 24 * time.Hour)
	_, err = b.kms.Collect(ctx, a, id)
	wantKind(t, err, kms.Denied) // also before its row says so
	b.must(b.kms.ExpireRequests(ctx))
	_, err = b.kms.Collect(ctx, a, id)
	wantKind(t, err, kms.Expired)
	for _, op := range all {
		now, _, err := b.kms.Request(ctx, a, op.ID)
		b.must(err)
		if now.State != journal.Expired || len(now.Request) != 0 || now.Ended == 0 {
			t.Fatalf("got %s with %d bytes, ended at %d; want it expired and empty", now.State, len(now.Request), now.Ended)
		}
	}
	var ends []audit.Record
	for _, r := range b.records() {
		if strings.HasPrefix(r.Outcome, "expired") {
			ends = append(ends, r)
		}
	}
	if len(ends) != 101 || ends[0].Actor != "service:asking" || ends[0].Action != "key.sign" {
		t.Errorf("got %d ends, %+v", len(ends), ends[0])
	}
	wantKind(t, b.ask(a, 1000, 103, kms.Ask{}), kms.Waiting)
	b.apply(asking + "# again\n")
	b.must(b.kms.ExpireRequests(ctx)) // its policy is gone, so it can never be granted
	left, err := b.kms.Requests(ctx, a, journal.Waiting, "", 10)
	if err != nil || len(left) != 0 {
		t.Errorf("got %d requests waiting, %v", len(left), err)
	}
}

// Two who collect the same granted request in one moment: one of them gets it.
func TestGrantedRequestBeginsOnce(t *testing.T) {
	b := newBed(t)
	now := time.Now()
	b.clock = func() time.Time { return now }
	b.key("k", key.P256, key.Raw)
	b.apply("  - {name: later, who: [service:later], keys: [k], do: [sign], then: {delay: 1h}}\n")
	a := b.service("later")
	for round := range 20 {
		e := wantKind(t, b.ask(a, 100, round, kms.Ask{}), kms.Waiting)
		now = now.Add(2 * time.Hour)
		got := make(chan error, 64) // so many that some share a commit
		for range cap(got) {
			go func() {
				s, err := b.kms.Collect(context.Background(), a, e.Operation)
				if err == nil && s.Replayed {
					err = errors.New("replayed")
				}
				got <- err
			}()
		}
		made := 0
		for range cap(got) {
			if <-got == nil {
				made++
			}
		}
		if made != 1 {
			t.Fatalf("got %d signatures for one granted request", made)
		}
	}
}

// Something else takes the disk to the last byte: no key is used, but whoever
// has found a leak can still disable one, also after a restart.
func TestFullDiskStopsTheTighteningLast(t *testing.T) {
	b, mount := onSmallDisk(t, "72m")
	b.floors = journal.Floors{Waiting: 24 << 20, Uses: 16 << 20}
	b.again(nil)
	b.unseal()
	b.key("k", key.P256, key.Raw)
	b.key("leaked", key.P256, key.Raw)
	b.apply(asking)
	a, ctx, filler := b.service("asking"), context.Background(), filepath.Join(mount, "filler")

	var s unix.Statfs_t
	b.must(unix.Statfs(mount, &s))
	b.must(os.WriteFile(filler, make([]byte, int64(s.Bavail)*s.Bsize-(20<<20)), 0o600))
	looked()
	wantKind(t, b.ask(a, 100, 1, kms.Ask{}), kms.Unready)
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Errorf("between the floors: %v", err)
	}
	if err := b.kms.Ready(); err != nil {
		t.Errorf("between the floors: %v", err)
	}
	before := len(b.records())
	if _, err := b.pay(a, "k", payee, 1, 1, kms.Ask{}); err == nil {
		t.Error("got a payment by a raw key")
	}
	for range 3 {
		_, err := b.kms.RevokeService(ctx, a, "asking", kms.Ask{})
		wantKind(t, err, kms.Denied)
	}
	time.Sleep(150 * time.Millisecond) // for which a denial waits at most
	for _, r := range b.records()[before:] {
		if r.Phase == "denied" || r.Phase == "waiting" {
			t.Errorf("got a record of phase %s", r.Phase)
		}
	}

	b.stuff(filler)
	looked()
	full := func() {
		t.Helper()
		_, err := b.sign("k", "hello", kms.Ask{})
		if e := wantKind(t, err, kms.Unready); e.Message != "the disk is full: nothing was begun" {
			t.Errorf("got %q", e.Message)
		}
		if e := wantKind(t, b.kms.Ready(), kms.Unready); e.Message != "the disk is full: nothing was begun" {
			t.Errorf("ready: got %q", e.Message)
		}
		_, _, err = b.kms.CreateKey(ctx, operator, kms.NewKey{Name: "more", Spec: key.P256})
		wantKind(t, err, kms.Unready)
	}
	full()
	answer, err := b.kms.RevokeService(ctx, operator, "asking", kms.Ask{})
	b.must(err)
	_, disabled, err := b.kms.DisableKey(ctx, operator, "leaked", kms.Ask{})
	b.must(err)
	for _, at := range []audit.Position{answer.Position, disabled.Position} {
		if r := b.records()[at.Sequence-1]; r.Phase != "done" {
			t.Errorf("got %+v in the log", r)
		}
	}
	for range 3 {
		b.close()
		b.stuff(filler)
		b.open()
		b.unseal()
		looked()
		full()
		if k, err := b.kms.Key(ctx, operator, "leaked", ""); err != nil || k.State != key.Suspended {
			t.Errorf("got %s, %v", k.State, err)
		}
	}
	_, _, err = b.kms.DestroyKey(ctx, operator, "leaked", 30, kms.Ask{})
	b.must(err)
	warnings := strings.Join(b.kms.Status(ctx).Warnings, "\n")
	if !strings.Contains(warnings, "the disk is full (0 MiB left)") || !strings.Contains(warnings, "reserve of disk space is not whole") {
		t.Errorf("got warnings\n%s", warnings)
	}

	b.must(os.Remove(filler))
	looked()
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	b.must(b.kms.Ready())
	if info, err := os.Stat(filepath.Join(b.dir, sqlite.ReserveFile)); err != nil || info.Size() != 8<<20 {
		t.Errorf("got %v, %v; want the reserve made again", info, err)
	}
	for _, w := range b.kms.Status(ctx).Warnings {
		if strings.Contains(w, "reserve") {
			t.Errorf("got %q", w)
		}
	}
	b.again(nil)
	b.unseal()
	afterACrash(t, b, nil)
}

// Without floors the engine itself says that it is full, in the middle of a
// group: the tightening gets the reserve, what stands beside it is refused.
func TestReserveIsGivenToTheTightening(t *testing.T) {
	b, mount := onSmallDisk(t, "56m")
	b.key("k", key.P256, key.Raw)
	for n := range 4 {
		b.key(fmt.Sprint("leaked-", n), key.P256, key.Raw)
	}
	ctx := context.Background()
	b.again(nil) // so that the log file starts small
	b.unseal()
	b.stuff(filepath.Join(mount, "filler"))
	var full error
	for n := 0; full == nil; n++ {
		_, full = b.sign("k", fmt.Sprint(n), kms.Ask{Idempotency: fmt.Sprint(n)})
	}
	wantKind(t, full, kms.Unready)
	for n := range 4 {
		if _, _, err := b.kms.DisableKey(ctx, operator, fmt.Sprint("leaked-", n), kms.Ask{}); err != nil {
			t.Errorf("key %d: %v (%v)", n, err, errors.Unwrap(err))
		}
		b.stuff(filepath.Join(mount, "filler"))
	}
	b.again(nil)
	b.unseal()
	b.must(os.Remove(filepath.Join(mount, "filler")))
	looked()
	if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
		t.Error(err)
	}
	b.again(nil)
	b.unseal()
	afterACrash(t, b, nil)
}

func TestBrokenTwinsOfTheDiskAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("short: a broken twin is a build of its own")
	}
	smallDisk(t, "1m")
	const journal = "../journal/"
	for _, twin := range []struct{ name, test, original, old, broken string }{
		{"the bound of what waits is not checked", "^TestWaitingRequestsDoNotFillTheDisk$", journal + "admit.go",
			"return j.wait.check(tx, e.row.actor, len(e.row.request))", "return nil"},
		{"the reserve is not given up", "^TestReserveIsGivenToTheTightening$", journal + "room.go",
			"given, lost := j.opt.Pen.w.Yield(ctx)", "given, lost := false, error(nil)"},
		{"the tightening is refused with its group", "^TestReserveIsGivenToTheTightening$", journal + "room.go",
			"if e.class() == must {", "if e.phase == phaseEnded {"},
		{"uses have no floor", "^TestFullDiskStopsTheTighteningLast$", journal + "room.go",
			"c == ordinary && !r.Uses", "c == ordinary && r.Free < 0"},
		{"opening gives nothing up", "^TestFullDiskStopsTheTighteningLast$", "../store/sqlite/reserve.go",
			"if err != nil || free >= openRoom {", "if err != nil || free >= 0 {"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.test, twin.original, twintest.Edited(t, twin.original, twin.old, twin.broken))
		})
	}
}
