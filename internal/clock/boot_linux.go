package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot goes on while the machine sleeps (CLOCK_BOOTTIME), which the
// runtime's monotonic time does not: a lid that was closed is no clock that was
// set.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("no time since boot: %v", err)) // every Linux since 2.6.39 has it
	}
	return time.Duration(t.Nano())
}
