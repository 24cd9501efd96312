package secret

// MemoryStatus says how well secrets in memory are protected.
type MemoryStatus struct {
	LockedBytes int64 // bytes of memory for secrets that are locked and out of core dumps, used or not
	LockFailed  bool  // some memory for secrets was not: it may be swapped or dumped (RLIMIT_MEMLOCK)
	Runtime     bool  // Do erases what it leaves behind
	Dumpable    bool  // the process may dump core, or be read by a debugger of the same user
}

// Status reports how secrets are protected at this moment. LockFailed, once
// true, stays true.
func Status() MemoryStatus {
	memory.mu.Lock()
	defer memory.mu.Unlock()
	return MemoryStatus{
		LockedBytes: memory.locked,
		LockFailed:  memory.exposed,
		Runtime:     erases,
		Dumpable:    dumpable(),
	}
}

// Harden forbids core dumps of this process, and debuggers of the same user.
// Call it before the first secret. An error is worth a warning and no reason to
// stop; on systems other than Linux it is errors.ErrUnsupported.
//
// From then on /proc/self/mem and the like belong to root.
func Harden() error { return harden() }
