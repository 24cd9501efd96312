package clock

import (
	"sync/atomic"
	"time"
)

// boot is the machine's time since boot. quick costs no system call: it is the
// runtime's monotonic time, and so misses what the machine slept since exact was
// asked last, which asks the kernel.
type boot struct{ quick, exact func() time.Duration }

func machine() boot {
	start, before := time.Now(), new(atomic.Int64)
	quick := func() time.Duration { return time.Since(start) + time.Duration(before.Load()) }
	exact := func() time.Duration {
		now := sinceBoot()
		before.Store(int64(now - time.Since(start)))
		return now
	}
	exact()
	return boot{quick, exact}
}
