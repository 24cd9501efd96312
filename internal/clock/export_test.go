package clock

import "time"

// Sleeping is New on a machine that sleeps, which quick does not see.
func Sleeping(newest time.Time, wall func() time.Time, quick, exact func() time.Duration) *Clock {
	return start(newest, wall, boot{quick, exact})
}
