package kms_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"keyward/internal/audit"
	"keyward/internal/key"
	"keyward/internal/kms"
)

// A child is this test binary again, for TestChild alone, with what it shall do
// and where in the environment.
const (
	childRole  = "KEYWARD_KMS_CHILD"
	childDir   = "KEYWARD_KMS_DIR"
	childKey   = "KEYWARD_KMS_KEY"
	childToken = "KEYWARD_KMS_TOKEN"
)

// childRoles are what a child can do; each test file adds its own here.
var childRoles = map[string]func(*testing.T, *bed){
	"load":         loadUntilKilled,
	"failing sync": signUntilTheSyncFails,
	"memory":       lookForSecrets,
}

func TestChild(t *testing.T) {
	role := childRoles[os.Getenv(childRole)]
	if role == nil {
		t.Skip("not asked for: other tests set KEYWARD_KMS_CHILD and start this as a process of its own")
	}
	b := &bed{t: t, dir: os.Getenv(childDir), keyFile: os.Getenv(childKey), clock: time.Now, rand: random}
	b.open()
	b.unseal()
	role(t, b)
	b.close()
}

// child is the command that runs a role on the files of b, which is closed.
func (b *bed) child(role string, before ...string) *exec.Cmd {
	args := append(before, os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+b.dir, childKey+"="+b.keyFile)
	return cmd
}

// received is one line of a child: a signature that a caller got.
type received struct {
	operation string
	sequence  uint64
	idem      string // "" for none
	signature string
}

func loadUntilKilled(t *testing.T, b *bed) {
	token, err := hex.DecodeString(os.Getenv(childToken))
	b.must(err)
	service, err := b.kms.Authenticate(context.Background(), token, netip.Addr{})
	b.must(err)
	life := time.Now().UnixNano()
	tell := func(s kms.Signed, idem string) {
		out := s.Signature
		if out == nil {
			out = s.Output
		}
		// One write, so that a line is whole or not there.
		if _, err := os.Stdout.Write(fmt.Appendf(nil, "got %s %d %q %x\n", s.Operation, s.Position.Sequence, idem, out)); err != nil {
			os.Exit(1)
		}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				switch i % 4 {
				case 0, 1:
					s, err := b.pay(service, "hot", payee, 1, n, kms.Ask{})
					if err != nil {
						t.Errorf("pay: %v", err)
						return
					}
					tell(s, "")
				case 2:
					idem := fmt.Sprintf("%d-%d-%d", life, i, n)
					s, err := b.sign("k", idem, kms.Ask{Idempotency: idem})
					if err != nil {
						t.Errorf("sign: %v", err)
						return
					}
					tell(s, idem)
				case 3:
					if _, _, err := b.kms.CreateKey(context.Background(), operator, kms.NewKey{Name: fmt.Sprintf("n%d-%d-%d", life, i, n), Spec: key.HMAC256}); err != nil {
						t.Errorf("create: %v", err)
						return
					}
					if _, err := b.kms.Encrypt(context.Background(), operator, kms.CryptRequest{Key: "aes", Input: []byte("x")}); err != nil {
						t.Errorf("encrypt: %v", err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// killedAfter starts a child under load, kills it after some signatures, and
// returns what its callers had received.
func (b *bed) killedAfter(t *testing.T, n int, token []byte) []received {
	t.Helper()
	cmd := b.child("load")
	cmd.Env = append(cmd.Env, childToken+"="+hex.EncodeToString(token))
	out, err := cmd.StdoutPipe()
	b.must(err)
	b.must(cmd.Start())
	var all []received
	var rest bytes.Buffer
	lines := bufio.NewReader(out)
	killed := false
	for {
		line, err := lines.ReadString('\n')
		var r received
		if _, scanned := fmt.Sscanf(line, "got %s %d %q %s\n", &r.operation, &r.sequence, &r.idem, &r.signature); scanned == nil && err == nil {
			all = append(all, r)
		} else {
			rest.WriteString(line)
		}
		if len(all) >= n && !killed {
			killed = true
			// A part of a commit's time, so that it is hit anywhere.
			time.Sleep(time.Duration(rand.Int64N(int64(2 * time.Millisecond))))
			b.must(cmd.Process.Kill())
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err == nil || !killed {
		t.Fatalf("the child ended by itself: %v\n%s", err, rest.String())
	}
	return all
}

func TestKillNineUnderLoadLosesNothing(t *testing.T) {
	rounds := 20
	switch {
	case os.Getenv("KEYWARD_TEST_LONG") == "1":
		rounds = 200
	case testing.Short():
		rounds = 3
	}
	b := newBed(t)
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.key("k", key.P256, key.Raw)
	b.key("aes", key.AES256, key.Raw)
	b.apply(payouts("1000000"))
	_, token := b.serviceToken("payouts")
	for round := range rounds {
		b.close()
		got := b.killedAfter(t, 1+rand.IntN(200), token)
		b.open()
		b.unseal()
		b.must(b.kms.Ready())
		afterACrash(t, b, got)
		if t.Failed() {
			t.Fatalf("in round %d, after %d signatures", round, len(got))
		}
	}
}

// afterACrash checks all that must hold of what a killed process left.
func afterACrash(t *testing.T, b *bed, got []received) {
	t.Helper()
	ctx := context.Background()
	records := b.records()
	open := map[string]uint64{}
	for i, r := range records {
		if r.Sequence != uint64(i+1) {
			t.Fatalf("record %d stands at %d", r.Sequence, i+1)
		}
		switch r.Phase {
		case "begun":
			open[r.Operation] = r.Sequence
		case "ended":
			if open[r.Operation] == 0 {
				t.Errorf("operation %s ended at %d and was not open", r.Operation, r.Sequence)
			}
			delete(open, r.Operation)
		}
	}
	for id, at := range open {
		t.Errorf("operation %s, begun at %d, has no end", id, at)
	}
	for _, r := range got {
		if r.sequence == 0 || r.sequence > uint64(len(records)) {
			t.Errorf("a signature was given out under record %d of %d", r.sequence, len(records))
			continue
		}
		if rec := records[r.sequence-1]; rec.Operation != r.operation || rec.Phase != "begun" {
			t.Errorf("record %d is %s of %s, want begun of %s", r.sequence, rec.Phase, rec.Operation, r.operation)
		}
	}
	if spent, sum := b.spent(), charged(t, records); spent.Cmp(sum) != 0 {
		t.Errorf("got %s wei spent, want the %s of the records", spent, sum)
	}
	if _, err := b.kms.AuditCheckpoint(ctx, operator); err != nil {
		t.Error(err)
	}
	if _, err := audit.Verify(ctx, audit.Stored(b.reader, b.derived), audit.Check{Verifier: b.kms.LogKey()}); err != nil {
		t.Errorf("the log: %v", err)
	}
	// A retry of what was received gives the same and begins nothing new.
	retried := 0
	for _, r := range got {
		if r.idem == "" || retried == 5 {
			continue
		}
		retried++
		s, err := b.sign("k", r.idem, kms.Ask{Idempotency: r.idem})
		if err != nil || s.Operation != r.operation || hex.EncodeToString(s.Signature) != r.signature {
			t.Errorf("retried: got operation %s, %v; want %s and its signature", s.Operation, err, r.operation)
		}
	}
}
