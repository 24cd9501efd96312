package keyfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"keyward/internal/seal"
	"keyward/internal/secret"
)

// Create makes a key, writes it to a new file of mode 0600 and returns the
// credential, which the caller destroys. When it returns, the file is on disk;
// when it returns an error, there is no such file, or (fs.ErrExist) the one that
// was there before. Missing directories are made, of mode 0700.
func Create(rand io.Reader, path, dataDir string) (seal.Credential, error) {
	if err := outside(path, dataDir); err != nil {
		return seal.Credential{}, err
	}
	key, err := secret.Random(rand, seal.KeySize)
	if err != nil {
		return seal.Credential{}, fmt.Errorf("key file: %w", err)
	}
	file := format(key)
	defer file.Destroy()
	if err := write(path, file.View()); err != nil {
		key.Destroy()
		return seal.Credential{}, fmt.Errorf("key file: %w", err)
	}
	return seal.Credential{Kind: Kind, Secret: key}, nil
}

// Read returns the credential in the file, which the caller destroys. It
// refuses a file inside the data directory, and one that others may use.
func Read(path, dataDir string) (seal.Credential, error) {
	if err := outside(path, dataDir); err != nil {
		return seal.Credential{}, err
	}
	// Without O_NONBLOCK a named pipe would hold the server up for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return seal.Credential{}, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return seal.Credential{}, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return seal.Credential{}, fmt.Errorf("%s: %w", path, ErrMalformed)
	}
	if exposed(info) {
		return seal.Credential{}, fmt.Errorf("%s: mode %#o, want 0600: %w: run chmod go-rwx %s", path, info.Mode().Perm(), ErrExposed, path)
	}
	file, err := secret.Read(f, fileSize)
	if errors.Is(err, secret.ErrTooLong) {
		err = ErrMalformed
	}
	if err != nil {
		return seal.Credential{}, fmt.Errorf("%s: %w", path, err)
	}
	defer file.Destroy()
	cred, err := Parse(file.View())
	if err != nil {
		return seal.Credential{}, fmt.Errorf("%s: %w", path, err)
	}
	return cred, nil
}

// exposed reports whether anybody but the owner may use the file. systemd hands
// a credential to a service's user by an ACL on a file of root:root, whose mask
// shows as the group's bits, 0440: that one passes.
func exposed(info fs.FileInfo) bool {
	perm := info.Mode().Perm()
	if perm&0o077 == 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Uid != 0 || stat.Gid != 0 || perm != 0o440
}

// write makes the file whole and durable, or not at all.
func write(path string, content []byte) (err error) {
	made, err := makeDirs(filepath.Dir(path))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, dir := range made {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// makeDirs makes dir with its missing parents, and returns the directories that
// got a new entry, or will: dir itself, and each parent of one that it made.
func makeDirs(dir string) ([]string, error) {
	changed := []string{dir}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		changed = append(changed, filepath.Dir(d))
	}
	return changed, os.MkdirAll(dir, 0o700)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// outside refuses a path inside the data directory, whatever links lead there.
func outside(path, dataDir string) error {
	if path == "" || dataDir == "" {
		return errors.New("key file: its path and the data directory must be given")
	}
	data, err := resolve(dataDir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	file, err := resolve(path)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	info, _ := os.Stat(data) // nil where there is none yet
	for d := file; ; d = filepath.Dir(d) {
		if d == data {
			return fmt.Errorf("%s: %w", path, ErrInside)
		}
		// Other names of the same directory: bind mounts, letter case.
		if at, err := os.Stat(d); err == nil && info != nil && os.SameFile(at, info) {
			return fmt.Errorf("%s: %w", path, ErrInside)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// resolve makes a path absolute and follows its links, as far as it exists.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for at := abs; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, strings.TrimPrefix(abs, at)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return "", err
		}
	}
}
