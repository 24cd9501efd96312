package journal

import (
	"context"
	"errors"
	"fmt"

	"keyward/internal/audit"
	"keyward/internal/store"
)

// A request that waits is kept whole, by the word of whoever asks: so there is
// a bound on what each may keep, and on all of it.

const (
	waitingEach      = 100      // more than people can look through in a day, for one program
	waitingEachBytes = 16 << 20 // sixteen of the largest payloads
	waitingAll       = 10_000   // read at once when the committer counts them anew
	waitingAllBytes  = 256 << 20
)

// burden is what waits: how many requests, and the bytes kept of them.
type burden struct{ n, bytes int64 }

func (b burden) plus(o burden) burden { return burden{b.n + o.n, b.bytes + o.bytes} }

// waitlist counts what waits. It is the committer's own; like the ledger it is
// the rows and what the open commit adds, and is read again after a failure.
type waitlist struct {
	actors map[string]burden // as the rows say; nil until they are read
	all    burden
	open   map[string]burden // what the open commit changes
}

// openOperations is in the words of the index that finds them.
const openOperations = "state = 'waiting' AND state NOT IN ('done', 'failed', 'denied', 'expired')"

func (w *waitlist) read(tx *store.Tx) error {
	if w.actors != nil {
		return nil
	}
	actors, all := map[string]burden{}, burden{}
	for row, err := range tx.Query("SELECT actor, count(*), sum(length(request)) FROM operation WHERE " + openOperations + " GROUP BY actor") {
		if err != nil {
			return err
		}
		b := burden{row.Int(1), row.Int(2)}
		actors[row.Text(0)], all = b, all.plus(b)
	}
	w.actors, w.all = actors, all
	return nil
}

// check refuses one more that would be too many.
func (w *waitlist) check(tx *store.Tx, actor string, size int) error {
	if err := w.read(tx); err != nil {
		return err
	}
	one := burden{1, int64(size)}
	mine, all := w.actors[actor].plus(w.open[actor]).plus(one), w.all.plus(one)
	for _, o := range w.open {
		all = all.plus(o)
	}
	switch {
	case mine.n > waitingEach:
		return fmt.Errorf("%w: %s has %d of them", ErrCrowded, actor, mine.n-1)
	case mine.bytes > waitingEachBytes:
		return fmt.Errorf("%w: those of %s hold %d bytes", ErrCrowded, actor, mine.bytes-one.bytes)
	case all.n > waitingAll || all.bytes > waitingAllBytes:
		return fmt.Errorf("%w: all actors together have no more room", ErrCrowded)
	}
	return nil
}

// follow counts an admitted entry into the open commit.
func (w *waitlist) follow(e *entry) {
	var moved burden
	switch {
	case e.phase == phaseWaiting:
		moved = burden{1, int64(len(e.row.request))}
	case e.stored != nil:
		moved = burden{-1, -int64(*e.stored)}
	default:
		return
	}
	if w.open == nil {
		w.open = map[string]burden{}
	}
	w.open[e.row.actor] = w.open[e.row.actor].plus(moved)
}

// keep ends the open commit: it is on disk.
func (w *waitlist) keep() {
	for actor, o := range w.open {
		if w.actors == nil {
			break
		}
		w.all = w.all.plus(o)
		if w.actors[actor] = w.actors[actor].plus(o); w.actors[actor] == (burden{}) {
			delete(w.actors, actor)
		}
	}
	w.revert()
}

// revert takes the open commit's changes back.
func (w *waitlist) revert() { clear(w.open) }

// forget drops everything: the next check reads the rows again.
func (w *waitlist) forget() { w.actors, w.all, w.open = nil, burden{}, nil }

// What one commit of Expire takes: erasing writes as much as it frees, because
// the database overwrites what it lets go of.
const (
	expireBatch = 64
	expireBytes = 4 << 20
)

// Expire ends waiting operations that can never be granted any more, their time
// over or their policy replaced, and empties their requests: at most a batch of
// them, in one commit. It tells whether there may be more.
func (j *Journal) Expire(ctx context.Context) (more bool, err error) {
	head, err := j.opt.Reader.Head(ctx)
	if err != nil {
		return false, err
	}
	const query = "SELECT id, length(request) FROM operation WHERE " + openOperations +
		" AND (expires <> 0 AND expires <= $1 OR charter <> $2) ORDER BY id LIMIT $3"
	var batch []*entry
	size := int64(0)
	for row, err := range j.opt.Reader.Query(ctx, query, j.Now(), int64(head.Charter), int64(expireBatch)) {
		if err != nil {
			return false, err
		}
		if size += row.Int(1); size > expireBytes && len(batch) > 0 {
			more = true
			break
		}
		id := row.Text(0)
		batch = append(batch, voided(ctx, id))
	}
	for _, e := range batch { // all of them before the first is waited for, so that they share a commit
		if err := j.enqueue(e); err != nil {
			return false, err
		}
	}
	for _, e := range batch {
		if lost := j.await(e, e.done); !errors.Is(lost, ErrState) { // granted at the last moment
			err = errors.Join(err, lost)
		}
	}
	return err == nil && (more || len(batch) == expireBatch), err
}

// Withdraw ends a waiting operation for its own actor, and empties its request.
// ErrState when it waits no longer. When it returns, the end is on disk.
func (j *Journal) Withdraw(ctx context.Context, id, actor string) (audit.Position, error) {
	e := voided(ctx, id)
	e.withdrawer = actor
	if err := j.enqueue(e); err != nil {
		return audit.Position{}, err
	}
	err := j.await(e, e.done)
	return e.position, err
}

// voided is the end of what waits and is never begun.
func voided(ctx context.Context, id string) *entry {
	return &entry{
		ctx: ctx, phase: phaseExpired, row: operation{id: id}, done: make(chan struct{}),
		record: audit.Record{Phase: string(phaseEnded), Operation: id},
	}
}

// expire looks under the lock once more whether the operation is over.
func (e *entry) expire(tx *store.Tx, head *store.Head, now int64, seen map[idempotence]*entry) error {
	row, err := tx.Row(operations, e.row.id)
	if err != nil {
		return err
	}
	was := scan(row)
	why := "nobody granted it in time"
	switch {
	case e.withdrawer != "":
		if was.actor != e.withdrawer {
			return store.ErrNotFound
		}
		why = "withdrawn by who asked"
	case was.charter != head.Charter:
		why = "another policy came into force while it waited"
	case was.expires == 0 || now < was.expires:
		return ErrState
	}
	if err := e.leave(was, seen); err != nil {
		return err
	}
	e.row = was
	e.row.state, e.row.outcome, e.row.request = Expired, "expired: "+why, nil
	e.record.Action, e.record.Actor, e.record.Subject, e.record.Outcome = action(was.verb), was.actor, was.subject, e.row.outcome
	return nil
}

// leave ends an operation's waiting, once: its row is written only with the
// whole group, so an earlier entry of the same group is asked too.
func (e *entry) leave(was operation, seen map[idempotence]*entry) error {
	if was.state != Waiting {
		return fmt.Errorf("%w: %s", ErrState, was.state)
	}
	if k, ok := e.once(); ok && seen[k] != nil {
		return fmt.Errorf("%w: %s", ErrState, Begun)
	}
	size := len(was.request)
	e.known, e.stored = true, &size
	return nil
}
