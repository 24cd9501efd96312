package journal

import (
	"context"
	"errors"
	"io"

	"keyward/internal/audit"
	"keyward/internal/store"
)

// commit writes one group and releases its entries. On a full disk what must be
// written is written without the rest, which is refused. It reports whether all
// that must be is on disk; entries refused alone do not make it false. An empty
// group finds out whether anything can be written.
func (j *Journal) commit(group []*entry) bool {
	err := j.try(group)
	refused := err
	if errors.Is(err, store.ErrFull) {
		first, rest := urgent(group)
		j.release(rest, err)
		if group = first; len(group) > 0 {
			err = j.insist(context.Background(), func() error { return j.try(group) })
		}
		if len(rest) == 0 {
			refused = err
		}
	}
	j.release(group, err)
	switch {
	case refused == nil:
		j.failed.Store(nil)
	case j.sound() == nil: // else the repair says when it can be written again
		j.failed.Store(&refused)
	}
	return err == nil
}

// errNothing rolls a commit back in which every entry was refused.
var errNothing = errors.New("nothing was admitted")

// try writes one group, once.
func (j *Journal) try(group []*entry) error {
	ctx := context.Background()
	var id [16]byte
	var w written
	err := j.sound()
	if err == nil {
		_, err = io.ReadFull(j.opt.Rand, id[:])
	}
	if err == nil {
		j.left = j.Room()
		err = j.opt.Pen.w.Commit(ctx, id, func(tx *store.Tx) error {
			w = written{}
			j.ledger.revert()
			j.wait.revert()
			return j.write(tx, id, group, &w)
		})
	}
	switch {
	case err == nil:
		j.ledger.keep()
		j.wait.keep()
		j.publish(w)
		return nil
	case err == errNothing:
		j.ledger.revert()
		j.wait.revert()
		return nil
	}
	j.ledger.forget()
	j.wait.forget()
	j.keys.forget()
	if errors.Is(err, store.ErrUnknownCommit) {
		for _, e := range group {
			e.tried = append(e.tried, id)
		}
	}
	return j.fault(ctx, id, err)
}

// release tells the callers of a group what became of it.
func (j *Journal) release(group []*entry, err error) {
	for _, e := range group {
		if err != nil {
			e.err = err
			j.counts.recount(e.record)
		} else if e.err == nil {
			j.live.follow(e)
		}
		if e.done != nil && !e.lazy {
			close(e.done)
		}
	}
}

func (j *Journal) publish(w written) {
	j.lastTime.Store(w.time)
	j.epoch.Store(w.epoch)
	j.position.Store(&w.position)
}

// written is what a commit would leave behind.
type written struct {
	position audit.Position
	time     int64
	epoch    uint64
}

// suspicious sees to what was read of rows that somebody else has written since:
// they were verified as they are now, but whoever judged or remembered may have
// read them before. A raised epoch makes all of that stale, and the log says why.
func (j *Journal) suspicious(tx *store.Tx, group []*entry) []*entry {
	why := tx.Verified()
	if why == "" {
		return group
	}
	if j.opt.Log != nil {
		j.opt.Log.Warn(why + "; every row that decisions rest on was verified")
	}
	j.looks.Add(1)
	tx.RaiseEpoch()
	note := &entry{phase: phaseNoted, record: Notice{
		Actor: "keyward", Action: "database.verify", Outcome: "done", Detail: why + "; every row that decisions rest on was verified",
	}.record()}
	return append([]*entry{note}, group...)
}

// write admits the entries one by one and writes what was admitted.
func (j *Journal) write(tx *store.Tx, id [16]byte, group []*entry, w *written) error {
	group = j.suspicious(tx, group)
	head := tx.Head()
	now, late := j.time(head.Time)
	head.Time = now
	first := head.Sequence + 1
	hash := head.Hash
	nonces := make([]byte, 32*len(group))
	if _, err := io.ReadFull(j.opt.Rand, nonces); err != nil {
		return err
	}
	entries := make([]audit.Entry, 0, len(group))
	var fresh, changed []store.Row
	seen := map[idempotence]*entry{}
	for i, e := range group {
		e.err = nil
		e.renew()
		if e.err = e.timely(late); e.err != nil {
			continue
		}
		if err := j.admit(tx, head, e, now, seen); err != nil {
			if engine(err) {
				return err
			}
			if !errors.Is(err, errWritten) {
				e.err = err
			}
			continue
		}
		head.Sequence++
		if e.effect != nil {
			if err := tx.Nested(e.effect); err != nil {
				head.Sequence--
				if engine(err) && !errors.Is(err, store.ErrConflict) {
					return err
				}
				e.err = err
				continue
			}
		}
		if (e.phase == phaseBegun || e.phase == phaseDone) && !e.resumed {
			j.ledger.charge(e.decision, now)
		}
		j.wait.follow(e)
		if k, ok := e.once(); ok {
			seen[k] = e // only now: what was refused was never made
		}
		rec := e.record
		rec.Sequence, rec.Time, rec.Node, rec.Epoch, rec.Previous = head.Sequence, now, j.opt.Node, head.Epoch, hash
		body := rec.Encode()
		entry := audit.Entry{Sequence: head.Sequence, Record: body}
		copy(entry.Nonce[:], nonces[32*i:])
		hash = audit.Chain(hash, audit.Leaf(head.Sequence, entry.Nonce, body))
		entries = append(entries, entry)
		e.position = audit.Position{Sequence: head.Sequence, Hash: hash}
		if e.row.id != "" {
			e.place(now)
			switch {
			case e.known:
				changed = append(changed, e.row.values())
			case e.row.kept():
				fresh = append(fresh, e.row.values())
			}
		}
	}
	if len(entries) == 0 && len(group) > 0 {
		return errNothing
	}
	if err := j.ledger.flush(tx); err != nil {
		return err
	}
	if err := tx.InsertMany(operations, fresh); err != nil {
		return err
	}
	for _, row := range changed {
		if err := tx.Put(operations, row); err != nil {
			return err
		}
	}
	head.Hash, head.Open = hash, j.live.oldest(group, first)
	*w = written{audit.Position{Sequence: head.Sequence, Hash: hash}, now, head.Epoch}
	if len(entries) == 0 {
		return nil
	}
	_, err := tx.Exec("INSERT INTO log (first, count, group_id, body) VALUES ($1, $2, $3, $4)",
		int64(first), int64(len(entries)), id[:], audit.AppendGroup(nil, entries))
	return err
}
