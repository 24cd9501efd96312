package kms_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/secret"
)

// recorder keeps the keys that were drawn from it.
type recorder struct{ keys [][]byte }

func (r *recorder) Read(p []byte) (int, error) {
	n, err := rand.Read(p)
	if len(p) == seal.KeySize {
		r.keys = append(r.keys, bytes.Clone(p))
	}
	return n, err
}

// lookForSecrets is the child: it uses keys of every spec, some of its own making,
// seals, closes everything, and waits to be looked into.
func lookForSecrets(t *testing.T, b *bed) {
	ctx := context.Background()
	for _, spec := range key.Specs() {
		if spec == key.RSA3072 || spec == key.RSA4096 || spec == key.HDSeed {
			continue // as RSA_2048, and slow to make; seeds are looked for in the keystore's own test
		}
		b.key("own-"+strings.ToLower(string(spec)), spec, key.Raw)
	}
	keys, err := b.kms.Keys(ctx, operator, "", 0)
	b.must(err)
	for _, k := range keys {
		for range 3 {
			switch {
			case k.Domain == key.Ethereum:
				_, err = b.pay(operator, k.Name, payee, 1, 0, kms.Ask{})
			case k.Usage == key.SignVerify:
				_, err = b.kms.Sign(ctx, operator, kms.SignRequest{Key: k.Name, Type: chain.TypeMsg, Payload: []byte("hello")})
			case k.Usage == key.GenerateVerifyMAC:
				_, err = b.kms.MAC(ctx, operator, kms.CryptRequest{Key: k.Name, Input: []byte("hello")})
			default:
				var made, opened kms.Crypt
				if made, err = b.kms.Encrypt(ctx, operator, kms.CryptRequest{Key: k.Name, Input: []byte("hello")}); err == nil {
					opened, err = b.kms.Decrypt(ctx, operator, kms.CryptRequest{Input: made.Output})
					opened.Plaintext.Destroy()
				}
			}
			b.must(err)
		}
	}
	fmt.Println("working")
	in := bufio.NewReader(os.Stdin)
	_, err = in.ReadString('\n')
	b.must(err)
	b.must(b.kms.Seal(ctx, operator))
	b.close()
	collect()
	collect()
	fmt.Println("sealed")
	_, _ = io.ReadAll(in)
}

// collect runs the collector, and then what waited for something to be collected:
// the standard library lets go of its copies of ECDSA and Ed25519 keys there.
func collect() {
	done := make(chan struct{})
	runtime.AddCleanup(new([64]byte), func(struct{}) { close(done) }, struct{}{})
	runtime.GC()
	<-done
}

func TestNothingOfAnyKeyIsInMemoryAfterSealing(t *testing.T) {
	b := newBed(t)
	b.close()
	b.dir, b.keyFile = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "key")
	drawn := &recorder{}
	b.initWith(drawn)
	b.open()
	b.unseal()
	b.key("hot", key.Secp256k1, key.Ethereum)
	for _, spec := range key.Specs() {
		if spec == key.HDSeed {
			continue
		}
		if slow := spec == key.RSA3072 || spec == key.RSA4096; !slow || os.Getenv("KEYWARD_TEST_LONG") == "1" {
			b.key(strings.ToLower(string(spec)), spec, key.Raw)
		}
	}
	b.close()
	before := b.secrets(t, drawn.keys)

	cmd := b.child("memory")
	if !secret.Status().Runtime {
		cmd.Path = built(t)
	}
	in, err := cmd.StdinPipe()
	b.must(err)
	out, err := cmd.StdoutPipe()
	b.must(err)
	b.must(cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	until := func(word string) {
		var said strings.Builder
		for lines.Scan() {
			if lines.Text() == word {
				return
			}
			fmt.Fprintln(&said, lines.Text())
		}
		t.Fatal(said.String())
	}
	until("working")
	memory, found := memoryOf(t, cmd.Process.Pid), 0
	for name, needle := range before {
		if bytes.Contains(memory, needle) {
			found++
		} else if name == "the root key" {
			t.Error("the root key is not in memory while it is used: this test looks in the wrong place")
		}
	}
	if found < 10 {
		t.Errorf("got %d secrets of a working keyward, want to find more: this test looks for the wrong things", found)
	}
	_, err = fmt.Fprintln(in)
	b.must(err)
	until("sealed")
	needles := b.secrets(t, drawn.keys)
	if len(needles) < len(before)+20 {
		t.Fatalf("got %d secrets to look for, %d before the child's own", len(needles), len(before))
	}
	memory = memoryOf(t, cmd.Process.Pid)
	for name, needle := range needles {
		if n := bytes.Count(memory, needle); n > 0 {
			t.Errorf("%s lies in memory %d times after sealing", name, n)
		}
	}
}

// built is this test binary, built with runtime/secret.
func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("short: this binary has no runtime/secret, and another would have to be built")
	}
	name := filepath.Join(t.TempDir(), "kms.test")
	cmd := exec.Command("go", "test", "-c", "-o", name, ".")
	cmd.Env = append(os.Environ(), "GOEXPERIMENT=runtimesecret", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return name
}

// secrets opens everything that the installation holds, by the root key and the
// packages below kms, and names it.
func (b *bed) secrets(t *testing.T, drawn [][]byte) map[string][]byte {
	t.Helper()
	ctx := context.Background()
	cred, err := keyfile.Read(b.keyFile, b.dir)
	b.must(err)
	all := map[string][]byte{"the key file's key": bytes.Clone(cred.Secret.View())}
	cred.Secret.Destroy()
	b.openStore()
	defer func() { b.must(b.writer.Close()) }()
	charter, err := b.reader.QueryRow(ctx, "SELECT body FROM charter WHERE version = 0")
	b.must(err)
	installation := sha256.Sum256(charter.Bytes(0))
	file, err := os.ReadFile(filepath.Join(b.dir, "keyward.db"))
	b.must(err)
	for i, k := range drawn {
		if !bytes.Contains(file, k) { // as a nonce of the log is
			all[fmt.Sprintf("key %d of the installation", i)] = k
		}
	}
	for row, err := range b.reader.Unverified(ctx, software.Materials(), "") {
		b.must(err)
		var a struct {
			Spec       key.Spec   `cbor:"1,keyasint"`
			Usage      key.Usage  `cbor:"2,keyasint"`
			Domain     key.Domain `cbor:"3,keyasint"`
			Origin     key.Origin `cbor:"4,keyasint"`
			Exportable bool       `cbor:"5,keyasint"`
			PublicHash [32]byte   `cbor:"6,keyasint"`
		}
		b.must(cbor.Unmarshal(row.Bytes(3), &a))
		c := seal.Context{
			Label: seal.WrappingKey, Installation: installation, Table: "material", ID: row.Text(0), Version: uint64(row.Int(1)),
			Spec: string(a.Spec), Usage: string(a.Usage), Domain: string(a.Domain), Origin: string(a.Origin), Exportable: a.Exportable,
			PublicHash: a.PublicHash, RootVersion: uint64(row.Int(2)),
		}
		var wrapping secret.Bytes
		for _, k := range drawn {
			if wrapping, err = seal.XOpen(k, row.Bytes(4), c.AssociatedData()); err == nil {
				all["the root key"] = k
				break
			}
		}
		b.must(err)
		c.Label, c.RootVersion = seal.Material, 0
		material, err := seal.XOpen(wrapping.View(), row.Bytes(5), c.AssociatedData())
		b.must(err)
		name := fmt.Sprintf("%s %s", a.Spec, row.Text(0))
		all["wrapping key of "+name] = bytes.Clone(wrapping.View())
		needles(all, name, a.Spec, bytes.Clone(material.View()))
		wrapping.Destroy()
		material.Destroy()
	}
	return all
}

// needles adds the forms in which material may lie in memory: as it is sealed,
// and its numbers as a library's words.
func needles(all map[string][]byte, name string, spec key.Spec, material []byte) {
	numbers := map[string][]byte{"": material}
	if r, err := x509.ParsePKCS1PrivateKey(material); err == nil {
		numbers = map[string][]byte{" d": r.D.Bytes(), " p": r.Primes[0].Bytes(), " q": r.Primes[1].Bytes()}
	}
	for part, n := range numbers {
		words := bytes.Clone(n)
		slices.Reverse(words)
		all[name+part] = n[:32:32]
		all[name+part+", as words"] = words[:32:32]
	}
}

// memoryOf reads all that a process can write to.
func memoryOf(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		needAll(t, "/proc/PID/mem of a child", err)
	}
	defer mem.Close()
	var all []byte
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var perm string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &perm); n != 3 || !strings.HasPrefix(perm, "rw") {
			continue
		}
		for at := from; at < to; at += 1 << 20 {
			part := make([]byte, min(1<<20, to-at))
			n, _ := mem.ReadAt(part, int64(at)) // guard pages cannot be read
			all = append(all, part[:n]...)
		}
	}
	return all
}
