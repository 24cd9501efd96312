package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyward/internal/key"
	"keyward/internal/kms"
)

// straced starts a child under strace, which makes its syncs fail, and returns
// what it printed.
func (b *bed) straced(role string, inject string) string {
	b.t.Helper()
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		needAll(b.t, "strace", err)
	}
	cmd := b.child(role, "strace", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none", "-o", os.DevNull,
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when="+inject)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestChild")) {
		b.t.Fatalf("child %q: %v\n%s", role, err, out)
	}
	return string(out)
}

// signUntilTheSyncFails signs until it is refused, then for as long again as the
// disk lets it, and prints what it got.
func signUntilTheSyncFails(t *testing.T, b *bed) {
	faults, after := 0, 0
	for n := 0; n < 400 && after < 10; n++ {
		s, err := b.pay(operator, "hot", payee, 1, n, kms.Ask{})
		if err == nil {
			fmt.Printf("got %s %d\n", s.Operation, s.Position.Sequence)
			if faults > 0 {
				after++
			}
			continue
		}
		faults++
		if s.Output != nil || s.Signature != nil {
			t.Error("a signature came with the error")
		}
		e, ok := err.(*kms.Error)
		if !ok || e.Kind != kms.Unready && e.Kind != kms.Unknown || e.Hint == "" || strings.Contains(e.Message, "disk I/O") {
			t.Errorf("got %v (%s), want unready or unknown, and what to do", err, kms.KindOf(err))
		}
		recovered := false
		for end := time.Now().Add(time.Second); !recovered && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			recovered = b.kms.Ready() == nil
		}
		if !recovered {
			break
		}
	}
	if faults == 0 {
		t.Error("no sync failed")
	}
	fmt.Printf("recovered %v\n", b.kms.Ready() == nil)
}

func TestFailingSyncLetsNoSignatureOut(t *testing.T) {
	for name, when := range map[string]string{ // strace counts for each thread
		"each thread's thirtieth": "30", "each thread's from the thirtieth on": "30+",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.key("hot", key.Secp256k1, key.Ethereum)
			b.key("k", key.P256, key.Raw)
			b.t = t
			b.close()
			out := b.straced("failing sync", when)
			if when == "30" && !strings.Contains(out, "recovered true\n") {
				t.Errorf("it did not recover after its disk did:\n%s", out)
			}
			var got []received
			for line := range strings.Lines(out) {
				var r received
				if _, err := fmt.Sscanf(line, "got %s %d", &r.operation, &r.sequence); err == nil {
					got = append(got, r)
				}
			}
			if len(got) == 0 {
				t.Error("nothing was signed before the sync failed")
			}
			b.open()
			b.unseal()
			afterACrash(t, b, got)
			if _, err := b.sign("k", "hello", kms.Ask{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFullDiskLetsNoSignatureOut(t *testing.T) {
	b, mount := onSmallDisk(t, "24m")
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.key("k", key.P256, key.Raw)
	ballast := filepath.Join(mount, "ballast")
	var free unix.Statfs_t
	b.must(unix.Statfs(mount, &free))
	b.must(os.WriteFile(ballast, make([]byte, int64(free.Bavail)*free.Bsize-(1<<20)), 0o600))

	var got []received
	signed := new(big.Int)
	one := new(big.Int).Add(maxFee, big.NewInt(1e15))
	var full error
	for n := 0; full == nil && n < 20_000; n++ {
		s, err := b.pay(operator, "hot", payee, 1, n, kms.Ask{Idempotency: fmt.Sprint(n)})
		if full = err; err == nil {
			got = append(got, received{operation: s.Operation, sequence: s.Position.Sequence})
			signed.Add(signed, one)
		} else if s.Output != nil {
			t.Error("a signature came with the error")
		}
	}
	e := wantKind(t, full, kms.Unready)
	if !strings.Contains(e.Message, "disk is full") || !strings.Contains(e.Hint, "make space") {
		t.Errorf("got %q, %q; want that the disk is full, and what to do", e.Message, e.Hint)
	}
	if got := b.spent(); got.Cmp(signed) != 0 {
		t.Errorf("got %s wei spent, want the %s that were signed", got, signed)
	}
	b.must(os.Remove(ballast))
	var err error
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err = b.sign("k", "hello", kms.Ask{}); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Fatalf("there is space again: %v (%v)", err, errors.Unwrap(err))
	}
	b.again(nil)
	b.unseal()
	afterACrash(t, b, got)
	if s := b.kms.Status(context.Background()); !s.Ready {
		t.Errorf("got %+v", s)
	}
}
