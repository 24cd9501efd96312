//go:build linux && (amd64 || arm64)

package sqlite

import (
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite appends each page to the log in two writes, of a frame's header and of
// the page: a commit of 64 operations makes some 60 system calls, a fifth of
// what it costs. Here they are gathered and written at once. Nothing else
// changes: what was gathered is written before anything else is done with the
// file, and as soon as the frame that commits is complete, so it is never
// SQLite's word that something was written that was not.

const (
	vfsName = "keyward"

	frameHeader = 24        // bytes before each page in the log
	gatherMax   = 256 << 10 // bytes held back at most
	writeMax    = 64 << 10  // SQLite's own write of more than 128 KiB is cut short
)

// gatherer is the log file as SQLite sees it: its methods, which SQLite finds
// at the start, and what they need. It lies outside Go's heap.
type gatherer struct {
	methods sqlite3.Tsqlite3_io_methods
	file    uintptr // *sqlite3_io_methods of the file system
	buffer  uintptr // gatherMax bytes
	offset  int64   // in the file, of the first byte held back
	length  int32   // bytes held back
	commits bool    // the frame at the end is one that commits
}

type (
	openFunc   = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	closeFunc  = func(tls *libc.TLS, file uintptr) int32
	moveFunc   = func(tls *libc.TLS, file, p uintptr, n int32, offset int64) int32
	lengthFunc = func(tls *libc.TLS, file uintptr, length int64) int32
	syncFunc   = func(tls *libc.TLS, file uintptr, flags int32) int32
	sizeFunc   = func(tls *libc.TLS, file, size uintptr) int32
)

// at is the object at an address outside Go's heap.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// pointer and function turn a Go function into C's function pointer and back.
// Only functions that are no closures: nothing holds on to one from there.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func function[F any](p uintptr) F {
	held := &p
	return *(*F)(unsafe.Pointer(held))
}

// vfs makes a file system that gathers known to SQLite, once for the process,
// and returns its name. Twice by a race is no harm.
func vfs() (string, error) {
	tls := libc.NewTLS()
	defer tls.Close()
	if rc := sqlite3.Xsqlite3_initialize(tls); rc != sqlite3.SQLITE_OK {
		return "", fmt.Errorf("initialize sqlite: code %d", rc)
	}
	name, err := libc.CString(vfsName)
	if err != nil {
		return "", err
	}
	if sqlite3.Xsqlite3_vfs_find(tls, name) != 0 {
		libc.Xfree(tls, name)
		return vfsName, nil
	}
	base := sqlite3.Xsqlite3_vfs_find(tls, 0)
	p := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	if base == 0 || p == 0 {
		return "", errors.New("sqlite has no file system")
	}
	v := at[sqlite3.Tsqlite3_vfs](p)
	*v = *at[sqlite3.Tsqlite3_vfs](base)
	v.FpNext, v.FzName, v.FxOpen = 0, name, pointer(gatherOpen)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, p, 0); rc != sqlite3.SQLITE_OK {
		return "", fmt.Errorf("register file system: code %d", rc)
	}
	return vfsName, nil
}

// gatherOpen opens a file as the default file system does, and puts a gatherer
// before it if it is the log.
func gatherOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	base := at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	rc := function[openFunc](base.FxOpen)(tls, vfs, name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return rc
	}
	p := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(gatherer{}))+gatherMax)
	if p == 0 {
		return rc // it works as well without
	}
	f := at[sqlite3.Tsqlite3_file](file)
	g := at[gatherer](p)
	*g = gatherer{
		methods: *at[sqlite3.Tsqlite3_io_methods](f.FpMethods),
		file:    f.FpMethods,
		buffer:  p + unsafe.Sizeof(gatherer{}),
	}
	g.methods.FxClose = pointer(gatherClose)
	g.methods.FxRead = pointer(gatherRead)
	g.methods.FxWrite = pointer(gatherWrite)
	g.methods.FxTruncate = pointer(gatherTruncate)
	g.methods.FxSync = pointer(gatherSync)
	g.methods.FxFileSize = pointer(gatherFileSize)
	f.FpMethods = p
	return rc
}

// gathererOf finds what gatherOpen put there.
func gathererOf(file uintptr) *gatherer {
	return at[gatherer](at[sqlite3.Tsqlite3_file](file).FpMethods)
}

func (g *gatherer) base() *sqlite3.Tsqlite3_io_methods {
	return at[sqlite3.Tsqlite3_io_methods](g.file)
}

// flush writes what is held back.
func (g *gatherer) flush(tls *libc.TLS, file uintptr) int32 {
	n := g.length
	g.length, g.commits = 0, false
	write := function[moveFunc](g.base().FxWrite)
	for done := int32(0); done < n; done += writeMax {
		rc := write(tls, file, g.buffer+uintptr(done), min(n-done, writeMax), g.offset+int64(done))
		if rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	return sqlite3.SQLITE_OK
}

// gatherWrite holds back a header, and what follows it without a gap, until the
// page of a frame that commits.
func gatherWrite(tls *libc.TLS, file, p uintptr, n int32, offset int64) int32 {
	g := gathererOf(file)
	if g.length > 0 && (offset != g.offset+int64(g.length) || n > gatherMax-g.length) {
		if rc := g.flush(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if g.length == 0 {
		if n != frameHeader {
			return function[moveFunc](g.base().FxWrite)(tls, file, p, n, offset)
		}
		g.offset = offset
	}
	data := unsafe.Slice(at[byte](p), n)
	copy(unsafe.Slice(at[byte](g.buffer+uintptr(g.length)), n), data)
	g.length += n
	if n == frameHeader {
		// Bytes 4 to 7 are the size of the database after a commit, else 0.
		g.commits = [4]byte(data[4:8]) != [4]byte{}
		return sqlite3.SQLITE_OK
	}
	if g.commits {
		return g.flush(tls, file)
	}
	return sqlite3.SQLITE_OK
}

func gatherClose(tls *libc.TLS, file uintptr) int32 {
	g := gathererOf(file)
	rc := g.flush(tls, file)
	closed := function[closeFunc](g.base().FxClose)(tls, file)
	libc.Xfree(tls, uintptr(unsafe.Pointer(g)))
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	return closed
}

func gatherRead(tls *libc.TLS, file, p uintptr, n int32, offset int64) int32 {
	g := gathererOf(file)
	if rc := g.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[moveFunc](g.base().FxRead)(tls, file, p, n, offset)
}

func gatherTruncate(tls *libc.TLS, file uintptr, length int64) int32 {
	g := gathererOf(file)
	if rc := g.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[lengthFunc](g.base().FxTruncate)(tls, file, length)
}

func gatherSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	g := gathererOf(file)
	if rc := g.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[syncFunc](g.base().FxSync)(tls, file, flags)
}

func gatherFileSize(tls *libc.TLS, file, size uintptr) int32 {
	g := gathererOf(file)
	if rc := g.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[sizeFunc](g.base().FxFileSize)(tls, file, size)
}
