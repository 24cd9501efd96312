package journal

import (
	"cmp"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"keyward/internal/store"
)

// On a disk that fills up the harmless stops first and the tightening last:
// whoever finds a leak must be able to disable a key when nothing else works.

// Floors are bytes that must be free on the disk.
type Floors struct {
	// Waiting is for what anybody may cause: below it nothing new waits, and
	// denials and counts stay in memory. 0 for 64 MiB.
	Waiting int64
	// Uses is for the uses and the making of keys, and for every change that does
	// not tighten. 0 for 32 MiB, which the log of the database may grow by within
	// one burst.
	Uses int64
}

const lookEvery = 100 * time.Millisecond // at full load the log grows by a few MiB meanwhile

// class says which entries are refused first when the disk fills up.
type class int

const (
	must     class = iota // tightenings, notes and ends: to the last byte, and out of the engine's reserve
	ordinary              // uses, and changes that do not tighten
	harmless              // what waits; denials and counts, which are told later
)

func (e *entry) class() class {
	switch e.phase {
	case phaseEnded, phaseNoted:
		return must
	case phaseBegun, phaseDone:
		if e.decision.Request().Verb().Tightens() {
			return must
		}
		return ordinary
	case phaseExpired: // nothing is granted that is past its time, whether its row says so or not
		return ordinary
	}
	return harmless
}

// Room is what is left of the disk, as seen within the last 100 ms.
type Room struct {
	Free    int64 // bytes; math.MaxInt64 when the engine cannot tell
	Waiting bool  // there is room for requests that wait, denials and counts
	Uses    bool  // there is room for uses
	Reserve bool  // the engine's reserve is whole
}

func (r Room) admits(c class) error {
	if c == harmless && !r.Waiting || c == ordinary && !r.Uses {
		return ErrNoRoom
	}
	return nil
}

type room struct {
	mu     sync.Mutex
	looked time.Time
	seen   Room
}

// Room looks how much space is left, and makes the engine's reserve whole again
// as soon as there is enough.
func (j *Journal) Room() Room {
	r := &j.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.looked.IsZero() && time.Since(r.looked) < lookEvery {
		return r.seen
	}
	ctx := context.Background()
	free, err := j.opt.Pen.w.Space(ctx)
	if err != nil { // not known to be short: the engine itself says when it is full
		free = math.MaxInt64
	}
	whole, err := j.opt.Pen.w.Refill(ctx)
	if err != nil && r.seen.Reserve {
		j.warn("the reserve of disk space cannot be kept", "error", err)
	}
	f := j.opt.Floors
	r.looked = time.Now()
	r.seen = Room{
		Free: free, Reserve: whole && err == nil,
		Waiting: free >= cmp.Or(f.Waiting, 64<<20), Uses: free >= cmp.Or(f.Uses, 32<<20),
	}
	return r.seen
}

func (j *Journal) warn(what string, args ...any) {
	if j.opt.Log != nil {
		j.opt.Log.Warn(what, args...)
	}
}

// insist does a commit that must succeed, again and again while the disk is full
// and the engine has something to give.
func (j *Journal) insist(ctx context.Context, commit func() error) error {
	for {
		err := commit()
		if !errors.Is(err, store.ErrFull) {
			return err
		}
		given, lost := j.opt.Pen.w.Yield(ctx)
		if lost != nil || !given {
			return errors.Join(err, lost)
		}
		j.room.mu.Lock()
		j.room.looked = time.Time{}
		j.room.mu.Unlock()
		j.warn("the disk is full: a part of the reserve was given up")
	}
}

// urgent parts the entries that must be written from the rest.
func urgent(group []*entry) (first, rest []*entry) {
	for _, e := range group {
		if e.class() == must {
			first = append(first, e)
		} else {
			rest = append(rest, e)
		}
	}
	return first, rest
}
