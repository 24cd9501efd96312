//go:build !linux

package secret

import "errors"

// acquire returns plain memory: here secrets are wiped, but may be swapped and
// dumped.
func acquire(n int) mapping { return mapping{mem: make([]byte, n)} }

func (m mapping) release() {}

func harden() error { return errors.ErrUnsupported }

func dumpable() bool { return true }
