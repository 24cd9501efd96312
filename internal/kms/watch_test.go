package kms_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyward/internal/audit"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/store"
)

// looks is an engine that counts how often all rows are verified.
type looks struct {
	store.Engine
	n atomic.Int64
}

func (l *looks) Intact(ctx context.Context) error {
	l.n.Add(1)
	return l.Engine.Intact(ctx)
}

// watched is a keyward in use whose looks at all rows are counted, and a copy of
// its database of before a payment and before the key "k" was disabled.
func watched(t *testing.T) (b *bed, l *looks, yesterday string) {
	t.Helper()
	b, l = used(t), &looks{}
	yesterday = filepath.Join(t.TempDir(), "yesterday.db")
	b.engine = func(e store.Engine) store.Engine { l.Engine = e; return l }
	b.again(func() { b.copyDB(yesterday) })
	b.unseal()
	b.key("other", key.P256, key.Raw)
	if _, err := b.pay(operator, "hot", payee, 1, 1, kms.Ask{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.kms.DisableKey(t.Context(), operator, "k", kms.Ask{})
	b.must(err)
	_, err = b.sign("other", "warm", kms.Ask{}) // from here on no row of it is read
	b.must(err)
	b.settled() // nothing of ours is left to be committed
	l.n.Store(0)
	return b, l, yesterday
}

func putBack(yesterday, table, where string) string {
	return `ATTACH '` + yesterday + `' AS y; INSERT OR REPLACE INTO ` + table + ` SELECT * FROM y.` + table + ` WHERE ` + where
}

func TestTheNextSignatureAfterAForeignWriteIsRefused(t *testing.T) {
	for _, c := range []struct{ name, table, key, sql string }{
		{"a disabled key put back, and used", "key", "k", putBack("%s", "key", "name = 'k'")},
		{"a disabled key put back, and another one used", "key", "other", putBack("%s", "key", "name = 'k'")},
		{"a payment put back", "spend", "other", putBack("%s", "spend", "TRUE")},
		{"a payment deleted", "spend", "other", `DELETE FROM spend WHERE rowid = (SELECT min(rowid) FROM spend)`},
		{"a state edited under the old MAC", "key", "other", `UPDATE key SET state = 'active' WHERE name = 'k'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, l, yesterday := watched(t)
			ctx := t.Context()
			b.sql(strings.Replace(c.sql, "%s", yesterday, 1))
			_, err := b.sign(c.key, "hello", kms.Ask{})
			e := wantKind(t, err, kms.Unready)
			if want := fmt.Sprintf("table %q", c.table); !strings.Contains(e.Message, want) || e.Hint == "" {
				t.Errorf("got %q, hint %q; want a sentence about %s and the next step", e.Message, e.Hint, want)
			}
			if s := b.kms.Status(ctx); s.Ready || s.Why != e.Message+"; "+e.Hint {
				t.Errorf("got ready %v, %q; want what the signer was told", s.Ready, s.Why)
			}
			_, err = b.kms.Key(ctx, operator, "hot", "")
			wantKind(t, err, kms.Unready)
			_, err = b.sign("other", "hello", kms.Ask{})
			wantKind(t, err, kms.Unready)
			if n := l.n.Load(); n != 1 {
				t.Errorf("all rows were verified %d times, want once: what was found stays", n)
			}
			b.must(b.kms.Seal(ctx, operator)) // which is always possible
			b.again(nil)
			b.refused(t, c.table)
		})
	}
}

func TestAHarmlessForeignWriteIsVerifiedAndNoted(t *testing.T) {
	b, l, _ := watched(t)
	for i, c := range []struct{ name, sql string }{
		{"a row written as it is", `UPDATE key SET name = name`},
		{"the file written anew", `VACUUM; UPDATE head SET id = id`},
	} {
		b.sql(c.sql)
		for range 3 {
			if _, err := b.sign("other", c.name, kms.Ask{}); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if n := l.n.Load(); n != int64(i+1) {
			t.Errorf("%s: all rows were verified %d times, want %d", c.name, n, i+1)
		}
		if n := notes(b.settled()); n != i+1 {
			t.Errorf("%s: got %d notes in the log, want %d", c.name, n, i+1)
		}
	}
}

// notes counts the records that say that somebody else wrote.
func notes(all []audit.Record) (n int) {
	for _, r := range all {
		if r.Action == "database.verify" && strings.Contains(r.Detail, "written from outside") {
			n++
		}
	}
	return n
}

// Whoever puts a row back, has it read, and takes it away again leaves rows that
// are right, and memory that is not.
func TestWhatWasReadBeforeTheLookIsForgotten(t *testing.T) {
	b, _, _ := watched(t)
	ctx := t.Context()
	old, today := filepath.Join(t.TempDir(), "old.db"), filepath.Join(t.TempDir(), "today.db")
	_, token := b.serviceToken("brief")
	b.apply(strings.Replace(strings.Replace(payouts("3"), "payouts", "brief", 1), "service:payouts", "service:brief", 1))
	b.again(func() { b.copyDB(old) })
	b.unseal()
	_, err := b.kms.RevokeService(ctx, operator, "brief", kms.Ask{})
	b.must(err)
	b.again(func() { b.copyDB(today) })
	b.unseal()
	b.settled()
	b.sql(putBack(old, "service", "name = 'brief'"))
	brief, err := b.kms.Authenticate(ctx, token, netip.Addr{})
	b.must(err) // a reading is believed until something is committed
	b.sql(putBack(today, "service", "name = 'brief'"))
	_, err = b.pay(brief, "hot", payee, 1, 1, kms.Ask{})
	wantKind(t, err, kms.Unauthenticated)
	b.must(b.kms.VerifyRows(ctx))
}

// A connection that was lost takes with it what it knew.
func TestAForeignWriteBehindALostConnectionIsFound(t *testing.T) {
	b, _, yesterday := watched(t)
	f := &failEngine{}
	b.engine = f.wrap
	b.again(nil)
	b.unseal()
	f.mu.Lock()
	f.after = func() error {
		b.sql(putBack(yesterday, "key", "name = 'k'"))
		return errLost
	}
	f.mu.Unlock()
	_, err := b.sign("other", "hello", kms.Ask{})
	wantKind(t, err, kms.Unknown)
	var tampered bool
	for end := time.Now().Add(10 * time.Second); !tampered && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, err = b.sign("other", "hello", kms.Ask{})
		if err == nil {
			t.Fatal("signed on a row that was put back")
		}
		tampered = errors.Is(err, store.ErrTampered)
	}
	if !tampered {
		t.Errorf("got %v, want the changed table", err)
	}
}

func TestOurOwnWorkIsNoForeignWrite(t *testing.T) {
	b, l, _ := watched(t)
	done := make(chan error)
	for w := range 8 {
		go func() {
			for i := range 40 {
				if _, err := b.sign("other", fmt.Sprint(w, i), kms.Ask{Idempotency: fmt.Sprintf("%d.%d", w, i)}); err != nil {
					done <- err
					return
				}
				if _, err := b.kms.Keys(context.Background(), operator, "", 10); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		b.must(<-done)
	}
	b.must(b.kms.Seal(t.Context(), operator))
	if n := l.n.Load(); n != 0 {
		t.Errorf("all rows were verified %d times under our own load, want never", n)
	}
}

// The log is no table that decisions rest on, and yet nobody signs into one that
// proves nothing.
func TestADamagedLogStopsTheUseOfKeys(t *testing.T) {
	for _, c := range []struct{ name, sql, want string }{
		{"a row deleted", `DELETE FROM log WHERE first = 5`, "record 5 is missing from the log"},
		{"a row cut", `UPDATE log SET body = substr(body, 1, length(body) - 1) WHERE first = 6`, "begins with record 6 cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _, _ := watched(t)
			ctx := t.Context()
			_, err := b.kms.AuditCheckpoint(ctx, operator)
			b.must(err)
			b.sql(c.sql)
			wantKind(t, b.kms.InspectLog(ctx), kms.Unready)
			e := wantKind(t, b.kms.Ready(), kms.Unready)
			if !strings.Contains(e.Message, c.want) || e.Hint == "" {
				t.Errorf("got %q, hint %q; want %q and the next step", e.Message, e.Hint, c.want)
			}
			_, err = b.sign("other", "hello", kms.Ask{})
			wantKind(t, err, kms.Unready)
			if s := b.kms.Status(ctx); s.Ready || s.Why != e.Message+"; "+e.Hint {
				t.Errorf("got ready %v, %q; want %q", s.Ready, s.Why, e.Message)
			}
			if note := b.kms.Checkpoint(); note != nil {
				t.Errorf("got a checkpoint of a log that was changed:\n%s", note)
			}
			_, err = b.kms.AuditCheckpoint(ctx, operator)
			wantKind(t, err, kms.Unready)
			if _, err := b.kms.AuditEntries(ctx, operator, 1); err != nil {
				t.Errorf("the log cannot be read any more: %v", err)
			}
			b.must(b.kms.Seal(ctx, operator))
		})
	}
}

// A server may have been sealed for long when somebody unseals it.
func TestALogChangedWhileSealedIsFoundUponUnsealing(t *testing.T) {
	b := newBed(t)
	b.key("k", key.P256, key.Raw)
	_, err := b.kms.AuditCheckpoint(t.Context(), operator)
	b.must(err)
	b.must(b.kms.Seal(t.Context(), operator))
	b.sql(`DELETE FROM log WHERE first = 2`)
	b.unseal()
	wantKind(t, b.kms.Ready(), kms.Unready)
	_, err = b.sign("k", "hello", kms.Ask{})
	wantKind(t, err, kms.Unready)
}
