package main

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyward/api"
	"keyward/client"
	"keyward/internal/store/sqlite"
	"keyward/internal/twintest"
)

// disk is a file system in a file, mounted over a loop device, whose power can
// be cut.
type disk struct {
	t     *testing.T
	image string
	at    string // where it is mounted
	on    bool
}

// newDisk makes a disk and turns it on. It skips the test, or fails it where all
// tests must run, on a machine that cannot. A kernel that has no loop devices, as
// in most containers, is no tool that anybody can install: there it skips always.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "image"), at: t.TempDir()}
	out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image, "256M").CombinedOutput()
	if err == nil {
		out, err = exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput()
	}
	_, kernel := os.Stat("/dev/loop-control")
	switch {
	case err == nil:
	case os.Getenv("KEYWARD_TEST_ALL") == "1" && kernel == nil:
		t.Fatalf("judge missing: root with mkfs.ext4 and a loop device: %v\n%s", err, out)
	default:
		t.Skipf("judge missing: root with mkfs.ext4 and a loop device: %v\n%s", err, out)
	}
	d.on = true
	t.Cleanup(func() {
		if d.on {
			d.must(unix.Unmount(d.at, 0))
		}
	})
	return d
}

func (d *disk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// cut ends the power at once: what is not on the disk never gets there, not even
// the journal of the file system. Until it is turned off, every write fails.
func (d *disk) cut() {
	d.t.Helper()
	const (
		shutdown   = 0x8004587d // EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
		noLogFlush = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
	)
	f, err := os.Open(d.at)
	d.must(err)
	defer f.Close()
	d.must(unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush))
}

// again turns the disk off and on, so that the file system replays its journal.
func (d *disk) again() {
	d.t.Helper()
	d.must(unix.Unmount(d.at, 0))
	d.on = false
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		d.t.Fatalf("mount: %v\n%s", err, out)
	}
	d.on = true
}

// machine is an installation on a disk.
type machine struct {
	*disk
	dir    string // the data directory
	server *exec.Cmd
	ended  chan error   // of the server
	said   bytes.Buffer // by the server
	client *client.Client
}

// run types a command.
func (m *machine) run(input string, args ...string) string {
	m.t.Helper()
	cmd := exec.Command("keyward", append([]string{"--dir", m.dir}, args...)...)
	cmd.Stdin = bytes.NewBufferString(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("keyward %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// start starts the server, as server says or nil for plainly, and waits until it
// is ready.
func (m *machine) start(server *exec.Cmd) {
	m.t.Helper()
	m.said.Reset()
	if m.server = server; server == nil {
		m.server = exec.Command("keyward", "--dir", m.dir, "server")
	}
	m.server.Stdout, m.server.Stderr = &m.said, &m.said
	m.must(m.server.Start())
	m.ended = make(chan error, 1)
	go func() { m.ended <- m.server.Wait() }()
	var err error
	m.client, err = client.New(client.Options{Dir: m.dir, Attempts: 1})
	m.must(err)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := m.client.Status(context.Background())
		if err == nil && s.Ready {
			return
		}
		// It unseals before it listens, by the key file or not at all.
		if err == nil && s.Sealed || len(m.ended) > 0 || time.Now().After(end) {
			m.kill()
			m.t.Fatalf("the server does not become ready: sealed %v, %v\n%s", s.Sealed, err, m.said.String())
		}
	}
}

// kill ends the server, as the power does.
func (m *machine) kill() {
	m.client.Close()
	_ = m.server.Process.Kill() // it may have ended by itself
	<-m.ended
}

// got is what a caller received.
type got struct {
	what string // for messages
	api.Answer
	phase string // of its record
}

// load has many callers ask until they are refused. It cuts the power once n
// answers have come, and returns all that came until then. Nothing leaves a
// machine without power; here it still can, while the kernel tears the file
// system down, and it may say even of a sync in that moment that it went well.
func (m *machine) load(round, n int) []got {
	m.t.Helper()
	ctx := context.Background()
	payouts, err := client.New(client.Options{Dir: m.dir, TokenFile: filepath.Join(m.at, "token"), Attempts: 1})
	m.must(err)
	defer payouts.Close()
	ask := []func(n int) (got, error){
		func(n int) (got, error) {
			pay := fmt.Appendf(nil, `{"type":"0x2","chainId":"0x1","nonce":"0x%x","to":%q,"value":"0x1","gas":"0x5208","maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1"}`, n, payee)
			s, err := payouts.Sign(ctx, "hot", api.Sign{Payload: pay, Type: "tx"})
			return got{"a payment", s.Answer, "begun"}, err
		},
		func(n int) (got, error) {
			s, err := m.client.Sign(ctx, "raw", api.Sign{Payload: []byte("hello"), Type: "message"})
			return got{"a signature", s.Answer, "begun"}, err
		},
		func(n int) (got, error) {
			k, err := m.client.CreateKey(ctx, api.CreateKey{Name: fmt.Sprintf("k-%d-%d", round, n), Spec: "HMAC_256"})
			return got{"key " + k.Name, k.Answer, "done"}, err
		},
	}
	var all []got
	var mu sync.Mutex
	var callers sync.WaitGroup
	var drawn atomic.Int64
	enough := make(chan struct{})
	for i := range 9 {
		callers.Go(func() {
			for {
				g, err := ask[i%len(ask)](int(drawn.Add(1)))
				if err != nil {
					return
				}
				mu.Lock()
				if all = append(all, g); len(all) == n {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	refused := make(chan struct{})
	go func() { callers.Wait(); close(refused) }()
	select {
	case <-enough:
	case <-refused:
		m.kill()
		m.t.Fatalf("all callers were refused after %d of %d answers\n%s", len(all), n, m.said.String())
	}
	// A part of a commit's time, so that it is hit anywhere.
	time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond))))
	mu.Lock()
	until := len(all)
	mu.Unlock()
	m.cut()
	<-refused
	m.kill()
	return all[:until]
}

// payee is who is paid.
const payee = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

// records reads the whole log.
func (m *machine) records() []api.Record {
	m.t.Helper()
	var all []api.Record
	for from := uint64(1); from != 0; {
		page, err := m.client.AuditRecords(context.Background(), client.AuditQuery{From: from})
		m.must(err)
		all = append(all, page.Records...)
		from = page.Next
	}
	return all
}

// spent adds up what the budgets hold.
func (m *machine) spent() *big.Int {
	m.t.Helper()
	db, err := sqlite.OpenDerived(filepath.Join(m.dir, sqlite.File))
	m.must(err)
	defer db.Close()
	rows, err := db.Query("SELECT total FROM spend")
	m.must(err)
	defer rows.Close()
	sum := new(big.Int)
	for rows.Next() {
		var b []byte
		m.must(rows.Scan(&b))
		sum.Add(sum, new(big.Int).SetBytes(b))
	}
	m.must(rows.Err())
	return sum
}

// check looks for all that callers received.
func (m *machine) check(all []got) {
	m.t.Helper()
	records := m.records()
	charged, open := new(big.Int), map[string]bool{}
	for i, r := range records {
		if r.Sequence != uint64(i+1) {
			m.t.Fatalf("record %d stands at %d", r.Sequence, i+1)
		}
		switch r.Phase {
		case "begun":
			open[r.Operation] = true
		case "ended":
			delete(open, r.Operation)
		}
		for _, c := range r.Charges {
			amount, ok := new(big.Int).SetString(c.Amount, 10)
			if !ok {
				m.t.Fatalf("record %d: charge %q", r.Sequence, c.Amount)
			}
			charged.Add(charged, amount)
		}
	}
	for id := range open {
		m.t.Errorf("operation %s has no end", id)
	}
	for _, g := range all {
		if g.Audit == nil || g.Audit.Sequence == 0 || g.Audit.Sequence > uint64(len(records)) {
			m.t.Errorf("%s was given out under record %+v of %d", g.what, g.Audit, len(records))
			continue
		}
		if r := records[g.Audit.Sequence-1]; r.Operation != g.Operation || r.Phase != g.phase {
			m.t.Errorf("%s: record %d is %s of %s, want %s of %s", g.what, r.Sequence, r.Phase, r.Operation, g.phase, g.Operation)
		}
	}
	if spent := m.spent(); spent.Cmp(charged) != 0 || charged.Sign() == 0 {
		m.t.Errorf("got %s wei spent, want the %s of the records", spent, charged)
	}
	m.run("", "audit", "verify")
}

// Callers keep what they received while the power is cut under the server, again
// and again. What it starts with is what it was given on this disk: an
// installation of which nothing was written out but what init itself synced.
func TestPowerCutLosesNothing(t *testing.T) {
	rounds := 6
	switch {
	case os.Getenv("KEYWARD_TEST_LONG") == "1":
		rounds = 300
	case testing.Short():
		rounds = 2
	}
	d := newDisk(t)
	m := &machine{disk: d, dir: filepath.Join(d.at, "house", "data")}
	m.run("", "init", "--key-file", filepath.Join(d.at, "keys", "root.key"), "--listen", "none")
	m.cut()
	m.again()

	m.start(nil)
	m.run("", "key", "create", "hot", "--spec", "ECC_SECG_P256K1", "--domain", "ethereum")
	m.run("", "key", "create", "raw", "--spec", "ECC_NIST_P256")
	m.run("", "service", "create", "payouts", "-o", filepath.Join(d.at, "token"))
	m.run(`version: 1
rules:
  - {name: solo, who: [operator], keys: [any], do: [any], then: allow}
  - name: payouts
    who: [service:payouts]
    keys: [hot]
    do: [sign-transaction]
    chains: [ethereum]
    to: ["`+payee+`"]
    amount: {asset: ETH, max: "1"}
    window: {asset: ETH, per: 24h, max: "1000"}
    then: allow
`, "policy", "apply", "-")
	var all []got
	for round := range rounds {
		all = append(all, m.load(round, 1+rand.IntN(150))...)
		m.again()
		m.start(nil)
		m.check(all)
		if t.Failed() {
			t.Logf("in round %d, after %d answers", round, len(all))
			break
		}
	}
	m.kill()
}

func TestPowerCutSeesWhatIsNotSynced(t *testing.T) {
	newDisk(t) // or skip
	for _, twin := range []struct{ name, original, old, broken string }{
		{"commits", "../../internal/store/sqlite/vfs.go", "return function[syncFunc](g.base().FxSync)", // those of init still are
			"if g.offset > 512<<10 {\n\t\treturn sqlite3.SQLITE_OK\n\t}\n\treturn function[syncFunc](g.base().FxSync)"},
		{"configuration", "file.go", "errors.Join(f.Sync(), f.Close())", "f.Close()"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", "^TestPowerCutLosesNothing$", twin.original, twintest.Edited(t, twin.original, twin.old, twin.broken))
		})
	}
}
