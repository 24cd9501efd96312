package seal_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyward/internal/seal"
)

var errElse = errors.New("something else")

func attempt(l *seal.Limiter, result error) (ran bool, err error) {
	err = l.Try(context.Background(), func() error {
		ran = true
		return result
	})
	return ran, err
}

func TestWrongCredentialsWaitLongerAndLonger(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := seal.NewLimiter(func() time.Time { return now })
	wrong := fmt.Errorf("wrapped: %w", seal.ErrWrongCredential)

	if ran, err := attempt(l, wrong); !ran || !errors.Is(err, seal.ErrWrongCredential) {
		t.Fatalf("the first: got %v, %v, want it to run", ran, err)
	}
	for _, delay := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		delay *= time.Second
		if ran, _ := attempt(l, wrong); !ran {
			t.Fatalf("before a delay of %v: did not run", delay)
		}
		now = now.Add(delay - time.Millisecond)
		ran, err := attempt(l, nil)
		var wait *seal.WaitError
		if ran || !errors.As(err, &wait) || wait.Left != time.Millisecond {
			t.Fatalf("1 ms early of %v: got %v, %v", delay, ran, err)
		}
		now = now.Add(time.Millisecond)
	}
	if _, err := attempt(l, errElse); !errors.Is(err, errElse) {
		t.Fatalf("got %v, want %v", err, errElse)
	}
	if ran, _ := attempt(l, wrong); !ran {
		t.Fatal("another error delayed the next attempt")
	}
	if ran, _ := attempt(l, nil); ran {
		t.Fatal("another error reset the count")
	}
	now = now.Add(time.Minute)
	if ran, err := attempt(l, nil); !ran || err != nil {
		t.Fatalf("got %v, %v, want success", ran, err)
	}
	for range 2 {
		if ran, _ := attempt(l, wrong); !ran {
			t.Fatal("success did not reset the count")
		}
	}
}

func TestOneDerivationAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := seal.NewLimiter(time.Now)
		var running, most, ran, early atomic.Int32
		for range 20 {
			go func() {
				err := l.Try(t.Context(), func() error {
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(100 * time.Millisecond)
					running.Add(-1)
					ran.Add(1)
					return seal.ErrWrongCredential
				})
				var wait *seal.WaitError
				if errors.As(err, &wait) {
					early.Add(1)
				}
			}()
		}
		time.Sleep(time.Hour)
		if most.Load() != 1 {
			t.Errorf("got %d at once, want 1", most.Load())
		}
		// Those that waited for their turn see the failures before them.
		if ran.Load() != 2 || early.Load() != 18 {
			t.Errorf("got %d attempts and %d refused, want 2 and 18", ran.Load(), early.Load())
		}
	})
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := seal.NewLimiter(time.Now)
		go l.Try(t.Context(), func() error {
			time.Sleep(time.Second)
			return nil
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := l.Try(ctx, func() error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		time.Sleep(time.Second)
	})
}
