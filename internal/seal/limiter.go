package seal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Delays after wrong credentials: none after the first, then these, doubling.
const (
	firstDelay = time.Second
	maxDelay   = time.Minute
)

// A WaitError says how long to wait before the next attempt to unseal.
type WaitError struct{ Left time.Duration }

func (e *WaitError) Error() string {
	return fmt.Sprintf("too many wrong credentials, try again in %.0f s", math.Ceil(e.Left.Seconds()))
}

// A Limiter bounds attempts to unseal: one derivation at a time, so that memory
// is bounded; and after the second wrong credential in a row, one second until
// the next attempt, doubling up to a minute, so that the rightful operator is
// never locked out for longer. It counts in memory: a restart forgets, which
// only somebody on the machine can bring about, and no credential is in memory
// then. An owner with several doors (socket, network) gives each its own
// Limiter, lest guesses at one keep people out at the other.
type Limiter struct {
	now  func() time.Time
	turn chan struct{} // holds one token: one derivation at a time

	mu       sync.Mutex
	failures int
	next     time.Time // no attempt before
}

// NewLimiter returns a Limiter with that clock.
func NewLimiter(now func() time.Time) *Limiter {
	return &Limiter{now: now, turn: make(chan struct{}, 1)}
}

// Try runs one attempt, alone. When it is too early it returns a *WaitError at
// once and the attempt does not run. ErrWrongCredential from the attempt counts
// as a failure, success forgets the failures, other errors change nothing.
func (l *Limiter) Try(ctx context.Context, attempt func() error) error {
	if err := l.early(); err != nil {
		return err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	// The attempt that ran before ours may have failed.
	if err := l.early(); err != nil {
		return err
	}
	err := attempt()
	l.count(err)
	return err
}

func (l *Limiter) early() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.next.Sub(l.now()); left > 0 {
		return &WaitError{left}
	}
	return nil
}

func (l *Limiter) count(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.failures = 0
	case errors.Is(err, ErrWrongCredential):
		l.failures++
		if l.failures > 1 {
			doublings := min(l.failures-2, 10)
			l.next = l.now().Add(min(firstDelay<<doublings, maxDelay))
		}
	}
}
