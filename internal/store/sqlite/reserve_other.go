//go:build !linux

package sqlite

import "os"

// allocate gives a file blocks of its own, from its start up to size.
func allocate(f *os.File, size int64) error { return fill(f, size) }
