package journal

import (
	"context"
	"fmt"
	"time"

	"keyward/internal/approval"
	"keyward/internal/audit"
	"keyward/internal/clock"
	"keyward/internal/store"
)

// Now is log time in ms: the time to believe, never before the newest record.
func (j *Journal) Now() int64 {
	now, _ := j.time(j.lastTime.Load())
	return now
}

// Newest is log time of the newest record, in ms.
func (j *Journal) Newest() int64 { return j.lastTime.Load() }

// Timely is nil while the clock is trusted; else ErrClock, and why not. Until
// then nothing is used, loosened or destroyed, and log time is the newest
// record's with what has passed since.
func (j *Journal) Timely() error {
	_, err := j.clock.Now()
	return err
}

// time is log time in ms, after newest, and why nothing may rest on it.
func (j *Journal) time(newest int64) (int64, error) {
	now, err := j.clock.Now()
	return max(now.UnixMilli(), newest), err
}

// timely refuses, while the clock cannot be trusted, whatever gives a right or
// rests on time gone by. What tightens is always written, and what happened is
// always told.
func (e *entry) timely(late error) error {
	switch e.phase {
	case phaseBegun, phaseWaiting, phaseExpired:
		return late
	case phaseDone:
		if !e.decision.Request().Verb().Untimely() {
			return late
		}
	}
	return nil
}

// Acceptance is a time that somebody may say is right.
type Acceptance struct {
	From, To time.Time // log time now, and what it would go on from
	reading  clock.Reading
}

// Clock is what Accept would accept. err is why the clock cannot be trusted, nil
// when there is nothing to accept.
func (j *Journal) Clock() (Acceptance, error) {
	r, err := j.clock.Read()
	return Acceptance{time.UnixMilli(max(r.Believed.UnixMilli(), j.lastTime.Load())), r.Wall, r}, err
}

// Accept does what was granted: it records that the clock is right, and only
// then believes it. The head row moves in the same commit, so that the next
// start does not ask again. Errors as Begin.
func (j *Journal) Accept(ctx context.Context, g approval.Grant, t Terms, a Acceptance) (id string, at audit.Position, err error) {
	t.Detail = fmt.Sprintf("log time goes on from %s, after %s", stamp(a.To), stamp(a.From))
	t.Effect = func(tx *store.Tx) error {
		tx.Head().Time = max(tx.Head().Time, a.To.UnixMilli())
		return nil
	}
	if id, at, err = j.Do(ctx, g, t); err == nil {
		j.clock.Accept(a.reading)
	}
	return id, at, err
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
