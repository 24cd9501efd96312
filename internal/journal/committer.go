package journal

import (
	"context"
	"fmt"
	"time"
)

const (
	groupMax  = 256                    // records in one commit
	lazyDelay = 100 * time.Millisecond // the longest that a record nobody waits for is kept back
	gatherMax = 2 * time.Millisecond   // the longest that a commit waits for its siblings
	crowdMin  = 8                      // so few operations under way are not waited for
	probe     = time.Second            // after a failure the journal itself finds out when it can write again
)

// submit hands an entry to the committer and waits until it is on disk or
// refused. Once it is queued it is waited for, whatever becomes of ctx: only the
// committer knows whether it was written.
func (j *Journal) submit(ctx context.Context, e *entry) error {
	if e.done == nil {
		e.done = make(chan struct{})
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done := e.done
	if err := j.enqueue(e); err != nil {
		return err
	}
	return j.await(e, done)
}

// await waits until a queued entry is on disk or refused.
func (j *Journal) await(e *entry, done <-chan struct{}) error {
	select {
	case <-done:
		return e.err
	case <-j.ended:
	}
	select {
	case <-done:
		return e.err
	default: // it came into the queue after the committer had looked for the last time
		return fmt.Errorf("%w: %w", ErrUnready, ErrStopped)
	}
}

func (j *Journal) enqueue(e *entry) error {
	stopped := j.stopping.Load() && e.phase != phaseEnded
	select {
	case <-j.stop:
		stopped = true
	default:
	}
	if !stopped {
		select {
		case j.queue <- e:
			return nil
		case <-j.ended:
		}
	}
	return fmt.Errorf("%w: %w", ErrUnready, ErrStopped)
}

// run is the committer: it takes all that wait, writes one transaction, syncs
// once, then releases all.
func (j *Journal) run() {
	defer close(j.ended)
	var group, lazy []*entry
	timer, armed := time.NewTimer(time.Hour), false
	defer timer.Stop()
	// Set once for the oldest that waits, not anew for each: else a steady drip
	// would keep all of them back.
	arm := func() {
		if len(lazy) > 0 && !armed {
			timer.Reset(lazyDelay)
			armed = true
		}
	}
	tick, again := time.NewTicker(time.Minute), time.NewTicker(probe)
	defer tick.Stop()
	defer again.Stop()
	for {
		flush := false
		select {
		case e := <-j.queue:
			group = append(group, e)
		case <-timer.C:
			flush, armed = true, false
		case <-tick.C:
			if j.Room().Waiting {
				lazy = append(lazy, j.counted()...)
			}
		case <-again.C:
			flush = j.failed.Load() != nil
		case <-j.stop:
			j.last(group, lazy)
			return
		}
		group = j.gather(group)
		waited := group[:0]
		for _, e := range group {
			if e.lazy {
				lazy = append(lazy, e)
			} else {
				waited = append(waited, e)
			}
		}
		group = waited
		if len(group) == 0 && !flush && len(lazy) < groupMax {
			arm()
			continue
		}
		// Finishes go in first: they never depend on what is begun beside them.
		n := min(len(lazy), 2*groupMax)
		all := append(append(make([]*entry, 0, n+len(group)), lazy[:n]...), group...)
		if j.commit(all) {
			lazy = append(lazy[:0], lazy[n:]...)
		} else {
			rest := lazy[n:]
			lazy = append(keep(all), rest...) // what was done must still be told
		}
		clear(group)
		group = group[:0]
		arm()
	}
}

// gather takes what else waits. When many operations were lately under way at
// once, their callers are about to arrive, and one sync for most of them is
// cheaper than one for each: then it waits a little for three quarters of them.
// A few callers never wait.
func (j *Journal) gather(group []*entry) []*entry {
	waited := 0
	for _, e := range group {
		if !e.lazy {
			waited++
		}
	}
	take := func(e *entry) {
		group = append(group, e)
		if !e.lazy {
			waited++
		}
	}
	j.crowd = max(int(j.inflight.Load()), j.crowd-1-j.crowd/16)
	var deadline <-chan time.Time
	for len(group) < groupMax {
		select {
		case e := <-j.queue:
			take(e)
			continue
		default:
		}
		if waited == 0 || j.crowd < crowdMin || waited >= j.crowd*3/4 {
			return group
		}
		if deadline == nil {
			deadline = time.After(gatherMax)
		}
		select {
		case e := <-j.queue:
			take(e)
		case <-deadline:
			return group
		}
	}
	return group
}

// last empties the queue when the journal closes.
func (j *Journal) last(group, lazy []*entry) {
	lazy = append(lazy, j.counted()...)
	for {
		select {
		case e := <-j.queue:
			group = append(group, e)
			continue
		default:
		}
		break
	}
	all := append(lazy, group...)
	for len(all) > 0 {
		n := min(len(all), groupMax)
		j.commit(all[:n])
		all = all[n:]
	}
}

// keep is what of a commit that failed must not be lost: what happened to a begun
// operation.
func keep(all []*entry) []*entry {
	var kept []*entry
	for _, e := range all {
		if e.phase == phaseEnded {
			e.lazy = true // whoever waited has been told of the failure
			kept = append(kept, e)
		}
	}
	return kept
}
