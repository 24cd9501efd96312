package journal

import (
	"errors"
	"fmt"

	"keyward/internal/policy"
	"keyward/internal/store"
)

// place notes in the operation's row where its record stands.
func (e *entry) place(now int64) {
	e.row.changed = now
	switch e.phase {
	case phaseEnded, phaseExpired:
		e.row.ended = int64(e.position.Sequence)
	default:
		e.row.begun = int64(e.position.Sequence)
	}
}

type idempotence struct {
	actor, key string
	index      int64
}

// admit re-checks, under the lock and with this group's earlier entries already
// written, everything that the decision rested on.
func (j *Journal) admit(tx *store.Tx, head *store.Head, e *entry, now int64, seen map[idempotence]*entry) error {
	if e.phase == phaseEnded {
		return endedBefore(tx, e)
	}
	if e.phase == phaseExpired {
		if err := j.left.admits(e.class()); err != nil {
			return err
		}
		return e.expire(tx, head, now, seen)
	}
	if e.phase != phaseBegun && e.phase != phaseDone && e.phase != phaseWaiting {
		return nil
	}
	if err := e.ctx.Err(); err != nil {
		return err
	}
	req := e.decision.Request()
	if req.Expires() != 0 && now >= req.Expires() {
		return ErrExpired
	}
	if e.decision.Rules() != head.Rules || req.Charter() != head.Charter || req.Epoch() != head.Epoch {
		return ErrStale
	}
	if id := req.Key().ID; id != "" {
		digest, err := j.keys.digest(id, head.Epoch, func() ([32]byte, error) {
			k, err := j.opt.Key(tx, id)
			return k.Digest(), err
		})
		if err != nil {
			return err
		}
		if digest != e.keyDigest {
			return ErrStale
		}
	}
	if err := j.once(tx, head, e, seen); err != nil {
		return err
	}
	if err := j.left.admits(e.class()); err != nil { // but whoever asks again gets the first answer
		return err
	}
	if e.phase == phaseWaiting {
		return j.wait.check(tx, e.row.actor, len(e.row.request))
	}
	if e.resumed {
		return nil
	}
	return j.ledger.check(tx, e.decision, now)
}

// errWritten: this end is on disk already, by a commit whose outcome was unknown
// when it was tried.
var errWritten = errors.New("written before")

func endedBefore(tx *store.Tx, e *entry) error {
	for _, group := range e.tried {
		_, err := tx.QueryRow("SELECT first FROM log WHERE group_id = $1", group[:])
		if err == nil {
			return errWritten
		}
		if !isNotFound(err) {
			return err
		}
	}
	return nil
}

// once is under which key an admitted entry is made once. A waiting operation
// ends once; its id is a key of nobody's.
func (e *entry) once() (idempotence, bool) {
	asks := e.phase == phaseBegun || e.phase == phaseDone || e.phase == phaseWaiting
	if asks && e.terms.Waiting != "" || e.phase == phaseExpired {
		return idempotence{key: e.row.id}, true
	}
	return idempotence{e.row.actor, e.terms.Idempotency, e.row.index}, asks && e.terms.Idempotency != ""
}

// once makes sure that a request happens once: by its idempotency key, and by
// the state of the waiting operation that it completes.
func (j *Journal) once(tx *store.Tx, head *store.Head, e *entry, seen map[idempotence]*entry) error {
	if e.terms.Waiting != "" {
		row, err := tx.Row(operations, e.terms.Waiting)
		if err != nil {
			return err
		}
		was := scan(row)
		if string(was.content) != string(e.row.content) || was.actor != e.row.actor {
			return ErrReused
		}
		if err := e.leave(was, seen); err != nil {
			return err
		}
		if was.charter != head.Charter {
			return fmt.Errorf("%w: another policy came into force while it waited", ErrExpired)
		}
		e.row.request, e.row.created, e.row.idem, e.row.index = was.request, was.created, was.idem, was.index
		return nil
	}
	k, ok := e.once()
	if !ok {
		return nil
	}
	if other := seen[k]; other != nil {
		if string(other.row.content) != string(e.row.content) {
			return ErrReused
		}
		return &Replay{other.operation()}
	}
	was, found, err := find(tx, k)
	if err != nil {
		return err
	}
	if !found {
		return nil
	}
	if string(was.content) != string(e.row.content) {
		return ErrReused
	}
	if was.state == Unknown && e.phase == phaseBegun && resumable(e.decision) {
		e.resume(was)
		return nil
	}
	return &Replay{was.public()}
}

func find(tx *store.Tx, k idempotence) (operation, bool, error) {
	for row, err := range tx.Rows(operations, "actor = $1 AND idem = $2 AND idx = $3 AND idem <> ''", k.actor, k.key, k.index) {
		if err != nil {
			return operation{}, false, err
		}
		return scan(row), true, nil
	}
	return operation{}, false, nil
}

// resume lets a deterministic operation that a crash interrupted happen again
// under its own id: its budget is spent already, and it can only give the
// signature that it may have given before.
func (e *entry) resume(was operation) {
	e.resumed, e.known = true, true
	e.row.id, e.row.created = was.id, was.created
	e.record.Operation = was.id
	e.record.Detail = "resumed: its outcome was unknown"
	e.record.Charges = nil
}

func resumable(d policy.Decision) bool {
	return d.Request().Algorithm().Deterministic()
}
