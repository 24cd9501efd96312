package software_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/seal"
	"keyward/internal/seal/sealtest"
	"keyward/internal/secret"
)

// A child makes and uses keys of every spec, tells their bytes to this process,
// seals, and collects twice. Then no part of any key is in its memory: not of
// the user keys, not of their wrapping keys, not of the root key. This holds for
// a build with runtime/secret, so the child is built with it.
func TestNothingOfAKeyIsInMemoryAfterSealing(t *testing.T) {
	program := childProgram(t)
	cmd := exec.Command(program, "-test.run=^TestMemoryOfTheChild$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), "KEYWARD_TEST_MEMORY=child")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	tell, told, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{told}, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told.Close()
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v\n%s", err, log.Bytes())
		}
	}()

	needles := newNeedles()
	r := bufio.NewReader(tell)
	for phase := range 2 {
		for {
			name, value, err := receive(r)
			if err != nil {
				t.Fatalf("child: %v\n%s", err, log.Bytes())
			}
			if name == "scan" {
				break
			}
			needles.add(t, name, value)
		}
		found := needles.scan(t, cmd.Process.Pid)
		if phase == 0 { // the scan has teeth: it finds what is in use
			for _, name := range []string{"root key", "AES_256", "HMAC_256", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "RSA_2048", "HD_SEED node"} {
				if len(found[name]) == 0 {
					t.Errorf("before sealing: %s is not found", name)
				}
			}
		} else {
			for name, where := range found {
				t.Errorf("after sealing: %s is found %d times: %v", name, len(where), where[:min(3, len(where))])
			}
		}
		if _, err := in.Write([]byte{'\n'}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("looked for %d pieces of %d secrets", len(needles.windows), needles.secrets)
}

// childProgram is this test's program, built with runtime/secret.
func childProgram(t *testing.T) string {
	if secret.Status().Runtime {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		return self
	}
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("short: there is no runtime/secret on this processor")
	}
	if testing.Short() {
		t.Skip("short: this needs a build of its own")
	}
	program := filepath.Join(t.TempDir(), "child")
	build := exec.Command("go", "test", "-c", "-vet=off", "-o", program, ".")
	build.Env = append(os.Environ(), "GOEXPERIMENT=runtimesecret")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// needles are all pieces of 16 bytes of the secrets, in the orders in which
// libraries keep them.
type needles struct {
	windows map[[16]byte]string
	first   []bool // by the first three bytes
	secrets int
}

func newNeedles() *needles {
	return &needles{windows: map[[16]byte]string{}, first: make([]bool, 1<<24)}
}

// add takes a secret with what is computed from it at once.
func (n *needles) add(t *testing.T, name string, value []byte) {
	n.secrets++
	switch {
	case strings.HasPrefix(name, "RSA"):
		k, err := x509.ParsePKCS1PrivateKey(value)
		if err != nil {
			t.Fatal(err)
		}
		n.piece(name, k.D.Bytes())
		for _, p := range k.Primes {
			n.piece(name, p.Bytes())
		}
		n.piece(name, k.Precomputed.Dp.Bytes())
		n.piece(name, k.Precomputed.Dq.Bytes())
		n.piece(name, k.Precomputed.Qinv.Bytes())
		return
	case strings.HasPrefix(name, "HD_SEED"):
		n.seed(t, name, value)
		return
	case name == "ECC_SECG_P256K1":
		n.tweaked(name, value)
	case name == "ECC_NIST_EDWARDS25519":
		expanded := sha512.Sum512(value)
		n.piece(name, expanded[:])
	case strings.HasPrefix(name, "HMAC"):
		h := map[string]hash.Hash{"HMAC_256": sha256.New(), "HMAC_384": sha512.New384(), "HMAC_512": sha512.New()}[name]
		for _, pad := range []byte{0x36, 0x5c} {
			block := bytes.Repeat([]byte{pad}, h.BlockSize())
			for i, b := range value {
				block[i] ^= b
			}
			n.piece(name, block[:len(value)])
			h.Reset()
			h.Write(block)
			state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			words := state[4 : 4+32*h.BlockSize()/64] // behind the magic: eight words, big-endian
			native := bytes.Clone(words)
			for w := range slices.Chunk(native, len(words)/8) {
				slices.Reverse(w)
			}
			n.piece(name, native)
		}
	}
	n.piece(name, value)
}

func (n *needles) piece(name string, value []byte) {
	backward := bytes.Clone(value)
	slices.Reverse(backward) // limbs, the least significant first
	for _, v := range [][]byte{value, backward} {
		for i := 0; i+16 <= len(v); i++ {
			w := [16]byte(v[i:])
			n.windows[w] = name
			n.first[int(w[0])|int(w[1])<<8|int(w[2])<<16] = true
		}
	}
}

// scan returns where the child's memory has a piece of which secret.
func (n *needles) scan(t *testing.T, pid int) map[string][]string {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skipf("root is needed here to read the memory of a child: %v", err)
	}
	defer mem.Close()
	found := map[string][]string{}
	buf := make([]byte, 1<<20)
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to uint64
		var access string
		if c, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &access); c != 3 || access[0] != 'r' || strings.Contains(lines.Text(), "[v") {
			continue
		}
		for at := from; at < to; at += uint64(len(buf) - 15) {
			c, err := mem.ReadAt(buf[:min(uint64(len(buf)), to-at)], int64(at))
			for i := 0; i+16 <= c; i++ {
				if !n.first[int(buf[i])|int(buf[i+1])<<8|int(buf[i+2])<<16] {
					continue
				}
				if name, ok := n.windows[[16]byte(buf[i:])]; ok {
					found[name] = append(found[name], fmt.Sprintf("%x in %s", at+uint64(i), lines.Text()))
					i += 15
				}
			}
			if err != nil {
				break
			}
		}
	}
	return found
}

func receive(r io.Reader) (name string, value []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", nil, err
	}
	both := make([]byte, binary.BigEndian.Uint32(head[:])&0xffffff)
	if _, err := io.ReadFull(r, both); err != nil {
		return "", nil, err
	}
	return string(both[:head[0]]), both[head[0]:], nil
}

// told is the pipe to the parent. Nothing of a value is copied on its way.
type told struct {
	mu   sync.Mutex
	file *os.File
}

func (p *told) send(t testing.TB, name string, value []byte) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	head := binary.BigEndian.AppendUint32(nil, uint32(len(name)+len(value)))
	head[0] = byte(len(name))
	for _, b := range [][]byte{append(head, name...), value} {
		if _, err := p.file.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// telling is crypto/rand that tells the parent every key that is drawn.
type telling struct {
	t    testing.TB
	told *told
	name string
}

func (r *telling) Read(p []byte) (int, error) {
	n, err := rand.Read(p)
	if len(p) == seal.KeySize {
		r.told.send(r.t, r.name, p)
	}
	return n, err
}

// TestMemoryOfTheChild is the child of TestNothingOfAKeyIsInMemoryAfterSealing.
func TestMemoryOfTheChild(t *testing.T) {
	if os.Getenv("KEYWARD_TEST_MEMORY") != "child" {
		t.Skip("KEYWARD_TEST_MEMORY is set by the test that starts this as its child")
	}
	p := &told{file: os.NewFile(3, "told")}
	credential := sealtest.Credential(t, "word")
	draw := &telling{t, p, "root key"}
	root, _, err := seal.Init(t.Context(), draw, [32]byte{1}, seal.NewSlot{Method: new(sealtest.Method), Credential: credential, Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	draw.name = "wrapping key"
	w := &world{House: journaltest.New(t), root: root}
	w.Keystore = software.New(software.Options{Reader: w.Reader, Root: root, Rand: draw, Size: 16})

	stop := make(chan struct{})
	var used, ended sync.WaitGroup
	for i, k := range []key.Key{
		{Spec: key.P256}, {Spec: key.RSA2048}, {Spec: key.RSA3072}, // these are evicted
		{Spec: key.AES256}, {Spec: key.HMAC256}, {Spec: key.HMAC384}, {Spec: key.HMAC512}, {Spec: key.P256}, {Spec: key.P384}, {Spec: key.P521},
		{Spec: key.Secp256k1}, {Spec: key.Secp256k1, Domain: key.Ethereum}, {Spec: key.Ed25519}, {Spec: key.RSA2048},
		{Spec: key.Secp256k1, Domain: key.Bitcoin}, {Spec: key.HDSeed}, {Spec: key.HDSeed, Origin: key.Imported},
		{Spec: key.RSA2048, Usage: key.EncryptDecrypt}, {Spec: key.RSA4096},
	} {
		if k.Origin == key.Imported {
			k = w.types(t)
		} else {
			k = w.create(t, k)
		}
		ref := key.Ref{ID: k.ID, Version: 1}
		material, err := w.Reveal(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		p.send(t, string(k.Spec), material.View())
		material.Destroy()
		for range 1 + 3*(i%2) { // callers whose stacks stay
			used.Add(1)
			ended.Go(func() {
				w.exercise(t, k)
				used.Done()
				<-stop
			})
		}
		used.Wait()
	}
	pause := func() {
		p.send(t, "scan", nil)
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	pause()
	w.Lock()
	root.Destroy()
	credential.Destroy()
	runtime.GC()
	time.Sleep(100 * time.Millisecond) // what the first collection found is let go by goroutines of the runtime
	runtime.GC()
	pause()
	close(stop)
	ended.Wait()
}

// exercise uses a key in every way that it can.
func (w *world) exercise(t testing.TB, k key.Key) {
	do := func(alg key.Algorithm, p chain.Parsed, err error) []byte {
		if err != nil {
			t.Error(err)
			return nil
		}
		permit := w.permit(k, alg, p)
		r, err := w.Use(t.Context(), permit)
		w.finish(permit)
		if err != nil {
			t.Error(err)
			return nil
		}
		r.Secret().Destroy()
		return r.Output()
	}
	for range 5 {
		if _, err := w.Prove(t.Context(), key.Ref{ID: k.ID, Version: 1}, k.Versions[0].Public, software.Drill); err != nil {
			t.Error(err)
		}
		if k.Domain != key.Raw {
			w.exerciseTasks(t, k)
			continue
		}
		for _, alg := range k.Spec.Algorithms(k.Usage) {
			plain := func(verb key.Verb, b []byte) []byte {
				p, err := chain.ParsePlain(verb, chain.TypeMsg, alg.Hash(), b, nil)
				return do(alg, p, err)
			}
			switch k.Usage {
			case key.SignVerify:
				plain(key.Sign, []byte("message"))
			case key.EncryptDecrypt:
				plain(key.Decrypt, plain(key.Encrypt, []byte("plaintext")))
				plain(key.DataKey, nil)
			case key.GenerateVerifyMAC:
				plain(key.MAC, []byte("message"))
			}
		}
	}
}
