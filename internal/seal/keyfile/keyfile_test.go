package keyfile_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/sealtest"
)

// golden is the key file of the 32 bytes 0, 1, 2, … 31 (docs/formats/slots.md).
const golden = "keyward-key-file-v1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8wygZ/\n"

func counting() []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestMethod(t *testing.T) {
	credential := func(seed byte) func(t testing.TB) seal.Credential {
		return func(t testing.TB) seal.Credential {
			dir := t.TempDir()
			c, err := keyfile.Create(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)), dir+"/key", dir+"/data")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	sealtest.Run(t, sealtest.Harness{Method: keyfile.Method{}, Right: credential(1), Wrong: credential(2)})
}

func TestCreatedFileIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "config", "keyward", "a.key"), filepath.Join(dir, "data")
	made, err := keyfile.Create(bytes.NewReader(counting()), path, data)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Destroy()
	content, err := os.ReadFile(path)
	if err != nil || string(content) != golden {
		t.Fatalf("got %q, %v, want %q", content, err, golden)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	read, err := keyfile.Read(path, data)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Destroy()
	if read.Kind != keyfile.Kind || !read.Secret.Equal(made.Secret) || !bytes.Equal(read.Secret.View(), counting()) {
		t.Fatal("another key was read")
	}
}

func TestAnExistingFileIsNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "a.key"), filepath.Join(dir, "data")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "link.key")
	if err := os.Symlink(filepath.Join(dir, "target"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, dangling} {
		if _, err := keyfile.Create(rand.Reader, p, data); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: got %v, want %v", p, err, fs.ErrExist)
		}
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Fatalf("got %q, %v", content, err)
	}
}

func TestAFileOpenToOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "a.key"), filepath.Join(dir, "data")
	if err := os.WriteFile(path, []byte(golden), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[fs.FileMode]bool{
		0o600: false, 0o400: false, 0o700: false,
		0o640: true, 0o660: true, 0o644: true, 0o604: true, 0o610: true, 0o601: true, 0o602: true, 0o444: true, 0o450: true,
		0o440: os.Getuid() != 0, // of root:root it is a systemd credential with an ACL
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		c, err := keyfile.Read(path, data)
		if refused != errors.Is(err, keyfile.ErrExposed) || !refused && err != nil {
			t.Errorf("mode %#o: got %v, want refused: %v", mode, err, refused)
		}
		c.Destroy()
	}
}

func TestAFileInsideTheDataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(data, "a.key"), filepath.Join(dir, "link.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "a.key"), []byte(golden), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(data)
	for _, path := range []string{
		filepath.Join(data, "a.key"),
		filepath.Join(data, "tls", "a.key"),
		filepath.Join(data, "missing", "deep", "a.key"),
		filepath.Join(dir, "other", "a.key"),
		filepath.Join(dir, "other", "missing", "a.key"),
		filepath.Join(dir, "link.key"),
		"a.key",
		"./tls/../a.key",
	} {
		for _, d := range []string{data, filepath.Join(dir, "other"), "."} {
			if _, err := keyfile.Create(rand.Reader, path, d); !errors.Is(err, keyfile.ErrInside) {
				t.Errorf("Create %s, data %s: got %v, want %v", path, d, err, keyfile.ErrInside)
			}
			if _, err := keyfile.Read(path, d); !errors.Is(err, keyfile.ErrInside) {
				t.Errorf("Read %s, data %s: got %v, want %v", path, d, err, keyfile.ErrInside)
			}
		}
	}
	if _, err := keyfile.Create(rand.Reader, filepath.Join(dir, "new", "a.key"), filepath.Join(dir, "new")); !errors.Is(err, keyfile.ErrInside) {
		t.Errorf("a data directory that does not exist yet: got %v, want %v", err, keyfile.ErrInside)
	}
	if c, err := keyfile.Create(rand.Reader, filepath.Join(dir, "data-keys", "a.key"), data); err != nil {
		t.Errorf("a directory whose name only begins alike: %v", err)
	} else {
		c.Destroy()
	}
	for _, v := range [][2]string{{"", data}, {"/tmp/x.key", ""}} {
		if _, err := keyfile.Create(rand.Reader, v[0], v[1]); err == nil {
			t.Errorf("path %q, data %q: got no error", v[0], v[1])
		}
	}
}

func TestWhatIsNoKeyFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "pipe"), "/dev/zero"} {
		if c, err := keyfile.Read(path, data); err == nil {
			c.Destroy()
			t.Errorf("%s: got no error", path)
		}
	}
	if _, err := keyfile.Read(filepath.Join(dir, "none"), data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want %v", err, fs.ErrNotExist)
	}
	for name, content := range map[string]string{
		"empty":          "",
		"cut":            golden[:40],
		"no line feed":   golden[:len(golden)-1],
		"two line feeds": golden + "\n",
		"carriage":       golden[:len(golden)-1] + "\r\n",
		"twice":          golden + golden,
		"huge":           strings.Repeat(golden, 1000),
		"other header":   strings.Replace(golden, "v1", "v2", 1),
		"other letter":   strings.Replace(golden, "AAEC", "AAED", 1),
		"no base64":      strings.Replace(golden, "AAEC", "AA!C", 1),
		"line break in":  strings.Replace(golden, "AAEC", "AA\nC", 1),
		"padding in":     golden[:len(golden)-5] + "DQ==\n",
	} {
		path := filepath.Join(dir, "a.key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Read(path, data); !errors.Is(err, keyfile.ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, keyfile.ErrMalformed)
		} else if strings.Contains(err.Error(), "AwQF") {
			t.Errorf("%s: the error has key bytes: %v", name, err)
		}
	}
}

func TestNoFileWithoutRandomness(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	if _, err := keyfile.Create(io.LimitReader(rand.Reader, 31), path, filepath.Join(dir, "data")); err == nil {
		t.Fatal("got no error")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want no file", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(golden[:len(golden)-1]))
	f.Add([]byte("keyward-key-file-v1 " + strings.Repeat("A", 48) + "\n"))
	f.Add([]byte("keyward-key-file-v1 " + strings.Repeat("\n", 49)))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := keyfile.Parse(file)
		if err != nil {
			return
		}
		defer c.Destroy()
		// One key has one file: what parses is exactly what Create writes.
		dir := t.TempDir()
		again, err := keyfile.Create(bytes.NewReader(c.Secret.View()), dir+"/a", dir+"/data")
		if err != nil {
			t.Fatal(err)
		}
		again.Destroy()
		if content, err := os.ReadFile(dir + "/a"); err != nil || !bytes.Equal(content, file) {
			t.Fatalf("got %q, %v, want %q", content, err, file)
		}
	})
}

func ExampleRead() {
	_, err := keyfile.Read("/var/lib/keyward/x.key", "/var/lib/keyward")
	fmt.Println(err)
	// Output: /var/lib/keyward/x.key: key file inside the data directory
}
