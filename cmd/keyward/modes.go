package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"keyward/api"
)

// What others than a file's owner must not be allowed to do with it.
const (
	toUse   fs.FileMode = 0o077 // neither read nor write: a secret, or what tells of others
	toWrite fs.FileMode = 0o022 // public, but what stands in it is believed
)

// guarded are the files of a data directory, in the order in which they are
// looked at, before any of them is read.
var guarded = []struct {
	name string
	bars fs.FileMode
}{
	{".", toUse}, {configName, toWrite},
	{"keyward.db", toUse}, {"keyward.db-wal", toUse}, {"keyward.db-shm", toUse},
	{"derived.db", toUse}, {"derived.db-wal", toUse}, {"derived.db-shm", toUse},
	{"tls", toWrite}, {leafKey, toUse}, {leafName, toWrite}, {caName, toWrite},
}

// guard refuses a data directory in which others could read a secret, or change
// what keyward goes by. The directory's own mode keeps them out as a rule; but it
// may have been open for a while, and a copy may lie elsewhere tomorrow.
func guard(dir string) error {
	for _, g := range guarded {
		if err := guardFile(filepath.Join(dir, g.name), g.bars); err != nil {
			return err
		}
	}
	return nil
}

// guardFile refuses one file; what is not there is refused by whoever opens it.
func guardFile(path string, bars fs.FileMode) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mode := info.Mode()
	if mode.Perm()&bars == 0 || !mode.IsRegular() && !mode.IsDir() || handed(info) {
		return nil
	}
	f := &failure{code: exitFailed, kind: string(api.Failed), message: fmt.Sprintf("%s is open to others (mode %04o)", path, mode.Perm()), hint: "run: chmod go-rwx " + path}
	if bars == toWrite {
		f.message, f.hint = fmt.Sprintf("%s can be changed by others (mode %04o)", path, mode.Perm()), "see that it is as you want it, then run: chmod go-w "+path
	}
	return f
}

// handed knows a credential that systemd hands to a service's user, by an access
// list on a file of root:root whose mask shows as the group's bits.
func handed(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == 0 && stat.Gid == 0 && info.Mode().Perm() == 0o440
}
