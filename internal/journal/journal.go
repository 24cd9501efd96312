// Package journal writes every operation down before it happens, so that after
// a crash we know what may have been signed. It re-checks epoch, rules, key and
// budgets inside the commit that spends them, and it alone writes truth. It
// never judges and never signs.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"keyward/internal/approval"
	"keyward/internal/audit"
	"keyward/internal/clock"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// Errors that callers branch on.
var (
	// ErrStale: what the decision rested on has changed; load and judge again.
	ErrStale = errors.New("the decision is stale")
	// ErrUnready: the journal cannot write now; nothing was begun.
	ErrUnready = errors.New("the journal cannot be written")
	// ErrStopped comes with ErrUnready once Close was called.
	ErrStopped = errors.New("the journal is closed")
	// ErrUnknown: the commit's outcome is not known yet. No permit was issued; the
	// operation counts as begun and spent until the log says otherwise.
	ErrUnknown = errors.New("it is not known whether the operation was recorded")
	// ErrExpired: the request's time has passed.
	ErrExpired = errors.New("the request has expired")
	// ErrReused: the idempotency key was used for a request with another body.
	ErrReused = errors.New("idempotency key was used for another request")
	// ErrOverflow: what was spent in one minute would pass 2^256-1 base units.
	ErrOverflow = errors.New("no room to count what would be spent")
	// ErrCrowded: as many requests wait already as may.
	ErrCrowded = errors.New("too many requests are waiting")
	// ErrNoRoom: the disk is so full that only what is more urgent is written.
	ErrNoRoom = errors.New("the rest of the disk is kept for what is more urgent")
	// ErrState: the operation is not in a state in which this can happen.
	ErrState = errors.New("the operation is in another state")
	// ErrClock: nothing may rest on the clock now. Only what tightens is written.
	ErrClock = clock.ErrUntrusted
)

// Replay is returned when the same request was made before under the same
// idempotency key: nothing is begun again.
type Replay struct{ Operation Operation }

func (r *Replay) Error() string { return "this request was made before: " + r.Operation.ID }

// Options is what a Journal is built from.
type Options struct {
	Reader *store.Reader
	Pen    Pen
	Node   string
	Clock  func() time.Time     // the wall's
	Boot   func() time.Duration // time since boot; nil for the machine's own
	Rand   io.Reader
	// Key returns the key as truth has it, inside a commit. A decision about any
	// other key than that is stale.
	Key    func(tx *store.Tx, id key.ID) (key.Key, error)
	Drain  time.Duration // how long Close waits for those who hold a permit
	Floors Floors        // of free space
	Log    *slog.Logger
}

// Journal is the one writer of truth. Its methods are safe for concurrent use.
type Journal struct {
	opt    Options
	clock  *clock.Clock
	queue  chan *entry
	stop   chan struct{}
	ended  chan struct{}
	closed sync.Once

	stopping atomic.Bool    // nothing new is taken; what is begun may still end
	repairs  sync.WaitGroup // under way

	crowd    int                   // the committer's own: how many were lately under way at once
	inflight atomic.Int64          // permits issued or asked for and not finished yet
	broken   atomic.Pointer[error] // until the repair is done
	failed   atomic.Pointer[error] // what the newest commit failed with
	looks    atomic.Uint64
	tampered atomic.Pointer[error] // what a commit found; there is none after it
	lastTime atomic.Int64          // log time of the newest commit, ms
	epoch    atomic.Uint64
	position atomic.Pointer[audit.Position]

	keys   keyDigests // the committer's own
	left   Room       // the committer's own: as it was when the open commit began
	wait   waitlist   // the committer's own
	room   room
	ledger ledger
	counts counter
	finds  chan struct{} // who looks through the log now
	live   liveSet       // begun by this process and not finished yet
}

// Terms is what a caller adds to a Grant.
type Terms struct {
	Idempotency string // the caller's key; "" for none
	Index       int    // within a batch
	Parent      string // operation id of the batch's first; "" for none
	Waiting     string // id of the waiting operation that this Grant completes
	// Effect changes keyward's own state, in the same commit as the record. It
	// may run more than once; its error refuses this operation alone.
	Effect func(*store.Tx) error
	Detail string // what the record says beside; "" for nothing
}

// Open recovers what the last process left, then starts the committer. The
// store must be unlocked.
func Open(ctx context.Context, opt Options) (*Journal, error) {
	j := &Journal{
		opt: opt, queue: make(chan *entry, 4096), stop: make(chan struct{}), ended: make(chan struct{}),
		finds: make(chan struct{}, findAtOnce),
	}
	j.keys.init()
	j.live.init()
	head, err := opt.Reader.Head(ctx)
	if err != nil {
		return nil, err
	}
	j.clock = clock.New(time.UnixMilli(head.Time), opt.Clock, opt.Boot)
	j.publish(written{audit.Position{Sequence: head.Sequence, Hash: head.Hash}, head.Time, head.Epoch})
	if err := j.recover(ctx); err != nil {
		return nil, err
	}
	go j.run()
	return j, nil
}

// Begin records the granted operation as started, spends its budget, runs its
// effect, and returns the Permit for it. When Begin returns, all of that is on
// disk. It returns ErrStale, *Replay, ErrReused, ErrExpired, ErrUnready or
// ErrUnknown, or the effect's own error; then nothing was begun (but see
// ErrUnknown).
func (j *Journal) Begin(ctx context.Context, g approval.Grant, t Terms) (Permit, error) {
	if !g.Valid() {
		return Permit{}, errors.New("begin without a grant")
	}
	j.inflight.Add(1)
	e, err := j.newEntry(ctx, g.Decision(), t, phaseBegun)
	if err == nil {
		err = j.submit(ctx, e)
	}
	if err != nil {
		j.inflight.Add(-1)
		return Permit{}, err
	}
	return e.permit(), nil
}

// Do is Begin and Finish in one for an operation that is nothing but an effect
// on keyward's own state: one record, one commit. Errors as Begin.
func (j *Journal) Do(ctx context.Context, g approval.Grant, t Terms) (id string, at audit.Position, err error) {
	if !g.Valid() || t.Effect == nil {
		return "", at, errors.New("do without a grant or without an effect")
	}
	j.inflight.Add(1)
	defer j.inflight.Add(-1)
	e, err := j.newEntry(ctx, g.Decision(), t, phaseDone)
	if err == nil {
		err = j.submit(ctx, e)
	}
	return e.row.id, e.position, err
}

// Wait records a request that needs more than is there yet. It is durable when
// Wait returns. Errors as Begin.
func (j *Journal) Wait(ctx context.Context, d policy.Decision, t Terms) (Operation, error) {
	e, err := j.newEntry(ctx, d, t, phaseWaiting)
	if err == nil {
		err = j.submit(ctx, e)
	}
	return e.operation(), err
}

// Deny records a denial in the next commit, without waiting for it. Beyond a
// rate for each actor, and on a disk that is nearly full, the records are
// counted instead of written.
func (j *Journal) Deny(d policy.Decision, t Terms) (id string, err error) {
	return j.refuse(d, t, "")
}

// Refuse is Deny for a request that the journal, not the policy, has refused; why
// is the reason that the record gives.
func (j *Journal) Refuse(d policy.Decision, t Terms, why error) (id string, err error) {
	return j.refuse(d, t, why.Error())
}

func (j *Journal) refuse(d policy.Decision, t Terms, why string) (id string, err error) {
	req := d.Request()
	if !j.Room().Waiting || !j.counts.allow(req.Actor().Name(), j.clock.Elapsed()) {
		j.Count(req.Actor().Name(), req.Actor().Source(), action(req.Verb())+deniedSuffix)
		return "", nil
	}
	e, err := j.newEntry(context.Background(), d, t, phaseDenied)
	if err != nil {
		return "", err
	}
	if why != "" {
		e.record.Decision, e.record.Detail = string(policy.Denied), why
	}
	e.lazy = true
	return e.row.id, j.enqueue(e)
}

// Finish records what came of a permitted operation. It rides in the next commit,
// or alone after at most 100 ms, and is waited for when o.Wait asks for it.
func (j *Journal) Finish(ctx context.Context, p Permit, o Outcome) error {
	if !p.Valid() || p.p.ended.Swap(true) {
		return ErrNoPermit
	}
	j.inflight.Add(-1)
	e := j.finishEntry(p, o)
	if o.Wait {
		return j.submit(ctx, e)
	}
	e.lazy = true
	return j.enqueue(e)
}

// Note records something that is nobody's request: a start, a failed unseal. It
// is durable when Note returns. The effect, which may be nil, is in the same commit.
func (j *Journal) Note(ctx context.Context, n Notice, effect func(*store.Tx) error) error {
	return j.submit(ctx, &entry{record: n.record(), effect: effect, phase: phaseNoted, ctx: ctx})
}

// Epoch is the epoch of this node's newest commit. Read it before the rows that
// a decision shall rest on.
func (j *Journal) Epoch() uint64 { return j.epoch.Load() }

// Position is the newest committed record of this node.
func (j *Journal) Position() audit.Position { return *j.position.Load() }

// Tampered is the ErrTampered that a commit failed with, nil while none did. The
// journal writes nothing any more: what it holds in memory may rest on rows that
// were put there by somebody else.
func (j *Journal) Tampered() error {
	if err := j.tampered.Load(); err != nil {
		return *err
	}
	return nil
}

// Looks is how often all rows were verified because somebody else had written.
func (j *Journal) Looks() uint64 { return j.looks.Load() }

// Ready is nil while uses can be written down: nothing was tampered with or is
// under repair, the newest commit did not fail, and there is room.
func (j *Journal) Ready() error {
	if err := j.sound(); err != nil {
		return err
	}
	if err := j.failed.Load(); err != nil {
		return *err
	}
	if err := j.Room().admits(ordinary); err != nil {
		return fmt.Errorf("%w: %w", ErrUnready, err)
	}
	return nil
}

// sound is nil unless rows were tampered with, or the store must be opened anew.
func (j *Journal) sound() error {
	if err := j.Tampered(); err != nil {
		return err
	}
	if err := j.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Close begins nothing any more, waits a little (Options.Drain) until what was
// begun has its end, writes what is waiting to be written, and stops.
func (j *Journal) Close() {
	j.closed.Do(func() {
		j.stopping.Store(true)
		for end := time.Now().Add(j.opt.Drain); j.inflight.Load() > 0 && j.sound() == nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		close(j.stop)
	})
	<-j.ended
	j.repairs.Wait()
}
