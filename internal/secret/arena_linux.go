package secret

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// acquire maps at least n bytes between two guard pages, locked in memory, out
// of core dumps and empty in a forked child. What the system refuses is gone
// without: a key server that stops for want of locked memory helps nobody.
func acquire(n int) mapping {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	whole, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return mapping{mem: make([]byte, size)}
	}
	mem := whole[page : page+size : page+size]
	if unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE) != nil {
		_ = unix.Munmap(whole)
		return mapping{mem: make([]byte, size)}
	}
	// Before any secret is in it. The result does not matter: Go forks only to
	// execute another program, which sees none of our memory.
	_ = unix.Madvise(mem, unix.MADV_WIPEONFORK)
	dumped := unix.Madvise(mem, unix.MADV_DONTDUMP)
	swapped := unix.Mlock(mem)
	return mapping{mem: mem, whole: whole, locked: dumped == nil && swapped == nil}
}

func (m mapping) release() {
	if m.whole != nil {
		_ = unix.Munmap(m.whole) // unlocks; can fail only for a slice that Mmap never returned
	}
}

func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core dump limit: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable flag: %w", err)
	}
	return nil
}

func dumpable() bool {
	v, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return err != nil || v != 0
}
