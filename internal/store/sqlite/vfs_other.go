//go:build !linux || (!amd64 && !arm64)

package sqlite

// vfs is SQLite's own choice of file system.
func vfs() (string, error) { return "", nil }
