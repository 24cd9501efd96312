package journal

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"keyward/internal/policy"
	"keyward/internal/store"
)

// Spending is kept as facts, not as counters of rules, so that any policy, also
// a new one, is judged on the same facts.

// bucketLength is the grain of time in which spending is added up, in ms.
const bucketLength = 60_000

// Spending is the table of what was spent: base units, 32 bytes big-endian.
func Spending() store.Table { return spending }

var spending = store.Table{
	Name: "spend", Key: []string{"bucket", "key_id", "actor", "asset", "destination"},
	Columns: []string{"bucket", "key_id", "actor", "asset", "destination", "total"}, Summed: true,
}

// ledger holds the sums of the windows in use, so that a check need not read a
// day of rows. The committer alone changes it, under mu; its sums are those of
// the rows plus what the open commit adds.
type ledger struct {
	mu     sync.Mutex
	scopes map[string]*window
	open   map[fact]*total // touched by the open commit, not yet written
	undo   []undo
	epoch  uint64
}

type window struct {
	scope   policy.Scope
	per     int64
	buckets map[int64]*big.Int
}

// total is what the rows say of a fact, and what the open commit adds.
type total struct{ was, added *big.Int }

type fact struct {
	bucket                         int64
	key, actor, asset, destination string
}

type undo struct {
	w      *window
	bucket int64
	amount *big.Int
}

func windowID(s policy.Scope, per int64) string { return fmt.Sprintf("%s/%d", s.ID, per) }

func bucketOf(ms int64) int64 { return ms - ms%bucketLength }

// check refuses a decision one of whose windows would be exceeded now.
func (l *ledger) check(tx *store.Tx, d policy.Decision, now int64) error {
	charges, windows := d.Charges(), d.Windows()
	if len(charges) == 0 && len(windows) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range charges {
		if err := l.touch(tx, factOf(d, c, now), c.Amount); err != nil {
			return err
		}
	}
	if l.epoch != tx.Head().Epoch { // other rules may give an old id to another scope
		l.scopes, l.epoch = nil, tx.Head().Epoch
	}
	req := d.Request()
	for _, want := range windows {
		if want.Exceeded {
			continue // the rule's own `over:` was asked for, and met
		}
		w, err := l.load(tx, want, now)
		if err != nil {
			return err
		}
		sum := w.since(now - want.Per)
		for _, c := range charges {
			if c.Asset == want.Scope.Asset && want.Scope.Fits(req.Subject(), req.Actor().Name(), c.Destination) {
				sum.Add(sum, c.Amount)
			}
		}
		if sum.Cmp(want.Max) > 0 {
			return fmt.Errorf("%w: the window of rule %q is full", ErrStale, want.Rule)
		}
	}
	return nil
}

func (l *ledger) load(tx *store.Tx, want policy.Window, now int64) (*window, error) {
	id := windowID(want.Scope, want.Per)
	if w := l.scopes[id]; w != nil {
		return w, nil
	}
	w := &window{want.Scope, want.Per, map[int64]*big.Int{}}
	for row, err := range tx.Rows(spending, "asset = $1 AND bucket > $2", want.Scope.Asset, now-want.Per-bucketLength) {
		if err != nil {
			return nil, err
		}
		f, total := scanFact(row)
		if w.scope.Fits(f.key, f.actor, f.destination) {
			w.add(f.bucket, total)
		}
	}
	for f, t := range l.open {
		if f.asset == w.scope.Asset && w.scope.Fits(f.key, f.actor, f.destination) {
			now := new(big.Int).Set(t.added) // it may still grow
			w.add(f.bucket, now)
			l.undo = append(l.undo, undo{w, f.bucket, now})
		}
	}
	if l.scopes == nil || len(l.scopes) >= 1024 {
		l.scopes = map[string]*window{}
	}
	l.scopes[id] = w
	return w, nil
}

func factOf(d policy.Decision, c policy.Charge, now int64) fact {
	req := d.Request()
	return fact{bucketOf(now), req.Subject(), req.Actor().Name(), c.Asset, c.Destination}
}

// touch reads the row of a fact and refuses an amount for which it has no room,
// so that writing it later cannot fail for that and take others with it.
func (l *ledger) touch(tx *store.Tx, f fact, amount *big.Int) error {
	t := l.open[f]
	if t == nil {
		t = &total{new(big.Int), new(big.Int)}
		row, err := tx.Row(spending, f.bucket, f.key, f.actor, f.asset, f.destination)
		if err == nil {
			_, t.was = scanFact(row)
		} else if !isNotFound(err) {
			return err
		}
		if l.open == nil {
			l.open = map[fact]*total{}
		}
		l.open[f] = t
	}
	sum := new(big.Int).Add(t.was, t.added)
	if sum.Add(sum, amount).BitLen() > 256 {
		return fmt.Errorf("%w: key %q, asset %s", ErrOverflow, f.key, f.asset)
	}
	return nil
}

// charge adds the charges of a decision that check let pass to the open commit.
func (l *ledger) charge(d policy.Decision, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range d.Charges() {
		f := factOf(d, c, now)
		l.open[f].added.Add(l.open[f].added, c.Amount)
		for _, w := range l.scopes {
			if w.scope.Asset == f.asset && w.scope.Fits(f.key, f.actor, f.destination) {
				w.add(f.bucket, c.Amount)
				l.undo = append(l.undo, undo{w, f.bucket, c.Amount})
			}
		}
	}
}

// flush writes the open commit's additions into the rows.
func (l *ledger) flush(tx *store.Tx) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f, t := range l.open {
		if t.added.Sign() == 0 {
			continue // it was refused after all
		}
		sum := new(big.Int).Add(t.was, t.added)
		if err := tx.Put(spending, store.Row{f.bucket, f.key, f.actor, f.asset, f.destination, sum.FillBytes(make([]byte, 32))}); err != nil {
			return err
		}
	}
	return nil
}

// keep ends the open commit: it is on disk.
func (l *ledger) keep() { l.end(false) }

// revert takes the open commit's additions back, before it is tried again.
func (l *ledger) revert() { l.end(true) }

func (l *ledger) end(back bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if back {
		for _, u := range l.undo {
			u.w.add(u.bucket, new(big.Int).Neg(u.amount))
		}
	}
	clear(l.open)
	l.undo = l.undo[:0]
}

// forget drops everything: the next check reads the rows again.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scopes, l.open, l.undo = nil, nil, nil
}

func (w *window) add(bucket int64, amount *big.Int) {
	if w.buckets[bucket] == nil {
		w.buckets[bucket] = new(big.Int)
	}
	w.buckets[bucket].Add(w.buckets[bucket], amount)
}

// since adds up the buckets that reach past a time, the oldest counted whole,
// and drops those that lie behind the window for good.
func (w *window) since(from int64) *big.Int {
	sum := new(big.Int)
	for start, amount := range w.buckets {
		if start+bucketLength > from {
			sum.Add(sum, amount)
		} else if amount.Sign() == 0 || start+2*bucketLength < from {
			delete(w.buckets, start)
		}
	}
	return sum
}

// Paid reads the rows, which are kept for ever.
func (f facts) Paid(keyName, chain, destination string) (bool, error) {
	for row, err := range f.j.opt.Reader.Rows(f.ctx, spending, "destination = $1 AND (key_id = $2 OR key_id LIKE $3)", destination, keyName, keyName+"/%") {
		if err != nil {
			return false, err
		}
		got, _ := scanFact(row)
		name, _, _ := strings.Cut(got.key, "/") // LIKE takes an underscore for any letter
		if name == keyName && strings.HasPrefix(got.asset, chain+"/") {
			return true, nil
		}
	}
	return false, nil
}

func scanFact(r store.Row) (fact, *big.Int) {
	return fact{r[0].(int64), r[1].(string), r[2].(string), r[3].(string), r[4].(string)}, new(big.Int).SetBytes(r[5].([]byte))
}

// Facts gives package policy the payments of the past. What it says may be
// overtaken by the time of Begin, which therefore checks again.
func (j *Journal) Facts(ctx context.Context) policy.Facts { return facts{ctx, j} }

type facts struct {
	ctx context.Context
	j   *Journal
}

func (f facts) Spent(s policy.Scope, since int64) (*big.Int, error) {
	l := &f.j.ledger
	l.mu.Lock()
	for _, w := range l.scopes {
		if l.epoch != f.j.Epoch() {
			break // of other rules, perhaps, which call another scope by this name
		}
		// A window at least as long as the one asked for holds all its buckets.
		if w.scope.ID == s.ID && f.j.Now()-w.per <= since {
			sum := new(big.Int)
			for start, amount := range w.buckets {
				if start+bucketLength > since {
					sum.Add(sum, amount)
				}
			}
			l.mu.Unlock()
			return sum, nil
		}
	}
	l.mu.Unlock()
	sum := new(big.Int)
	for row, err := range f.j.opt.Reader.Rows(f.ctx, spending, "asset = $1 AND bucket > $2", s.Asset, since-bucketLength) {
		if err != nil {
			return nil, err
		}
		if got, total := scanFact(row); s.Fits(got.key, got.actor, got.destination) {
			sum.Add(sum, total)
		}
	}
	return sum, nil
}
