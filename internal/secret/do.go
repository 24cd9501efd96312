package secret

// Do calls f. In a build with runtime/secret (see Status) the registers and the
// stack that f and all it calls have used are erased before Do returns, and what
// they allocated is erased when the garbage collector finds it unreachable;
// goroutines that f starts, and globals, are not covered. Allocate little in f:
// every allocation costs twice.
func Do(f func()) { do(f) }
