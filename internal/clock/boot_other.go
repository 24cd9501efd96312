//go:build !linux

package clock

import "time"

var started = time.Now()

// sinceBoot is the runtime's monotonic time.
//
// BUG(clock): where that stops while the machine sleeps, keyward takes waking up
// for a clock that was set forward, and asks the operator.
func sinceBoot() time.Duration { return time.Since(started) }
