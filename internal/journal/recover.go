package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"keyward/internal/audit"
	"keyward/internal/key"
	"keyward/internal/store"
)

// recover gives the operations that a dead process had begun their end: unknown.
// Their budget is spent, something may have been signed, and the log says so.
func (j *Journal) recover(ctx context.Context) error {
	orphans, err := j.orphans(ctx)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if len(orphans) > 0 && j.opt.Log != nil {
		j.opt.Log.Warn("operations of unknown outcome", "count", len(orphans))
	}
	for start := 0; start < len(orphans); start += groupMax {
		group, rest := orphans[start:min(start+groupMax, len(orphans))], orphans[min(start+groupMax, len(orphans)):]
		var id [16]byte
		if _, err := io.ReadFull(j.opt.Rand, id[:]); err != nil {
			return err
		}
		var w written
		write := func(tx *store.Tx) error {
			if err := j.write(tx, id, group, &w); err != nil {
				return err
			}
			if len(rest) > 0 { // a crash now must not hide them
				tx.Head().Open = min(tx.Head().Open, rest[0].began)
			}
			return nil
		}
		if err := j.insist(ctx, func() error { return j.opt.Pen.w.Commit(ctx, id, write) }); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		j.publish(w)
	}
	return nil
}

// orphans are begun operations without an end, to which no permit of this
// process belongs. The head row says from where on there can be any.
func (j *Journal) orphans(ctx context.Context) ([]*entry, error) {
	head, err := j.opt.Reader.Head(ctx)
	if err != nil || head.Sequence == 0 {
		return nil, err
	}
	begun := map[string]audit.Record{}
	for e, err := range audit.Records(ctx, j.opt.Reader, max(head.Open, 1), head.Sequence) {
		if err != nil {
			return nil, err
		}
		if e.Erased() {
			continue
		}
		r, err := audit.DecodeRecord(e.Record)
		if err != nil {
			return nil, err
		}
		switch phase(r.Phase) {
		case phaseBegun:
			if !j.live.has(r.Operation) {
				begun[r.Operation] = r
			}
		case phaseEnded:
			delete(begun, r.Operation)
		}
	}
	var all []*entry
	for _, r := range begun {
		e, err := j.orphan(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.began, b.began) })
	return all, nil
}

func (j *Journal) orphan(ctx context.Context, r audit.Record) (*entry, error) {
	outcome := audit.Unknown + ": the process that began it ended"
	e := &entry{
		ctx: ctx, phase: phaseEnded, lazy: true, began: r.Sequence,
		record: audit.Record{
			Phase: string(phaseEnded), Operation: r.Operation, Action: r.Action, Actor: r.Actor, Subject: r.Subject, Outcome: outcome,
		},
	}
	row, err := j.opt.Reader.Row(ctx, operations, r.Operation)
	switch {
	case isNotFound(err):
		return e, nil
	case err != nil:
		return nil, err
	}
	e.row, e.known = scan(row), true
	e.row.state, e.row.outcome = Unknown, outcome
	return e, nil
}

// engine tells errors of the engine, which fail the whole group, from those of
// one operation.
func engine(err error) bool {
	return errors.Is(err, store.ErrBroken) || errors.Is(err, store.ErrUnknownCommit) || errors.Is(err, store.ErrFull) ||
		errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrLocked) || isTampered(err)
}

func isTampered(err error) bool { return errors.Is(err, store.ErrTampered) }

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

// fault turns a failed commit into what its callers are told, and sets about the
// repair. Nothing was released: no permit of this group exists.
func (j *Journal) fault(ctx context.Context, id [16]byte, err error) error {
	switch {
	case isTampered(err):
		j.distrust(err)
		return err
	case errors.Is(err, ErrUnready):
		return err
	case errors.Is(err, store.ErrBroken), errors.Is(err, store.ErrUnknownCommit):
		unready := fmt.Errorf("%w: %w", ErrUnready, err)
		j.broken.Store(&unready)
		j.repairs.Go(func() { j.repair(ctx, id) })
		if errors.Is(err, store.ErrUnknownCommit) {
			return fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return unready
	default:
		return fmt.Errorf("%w: %w", ErrUnready, err)
	}
}

// distrust is the end: rows were changed, and what memory holds may rest on them.
func (j *Journal) distrust(err error) {
	if j.tampered.CompareAndSwap(nil, &err) && j.opt.Log != nil {
		j.opt.Log.Error("the database was changed: nothing is done any more until keyward is unsealed anew", "error", err)
	}
}

// repair opens the store anew, never trusting a handle whose sync failed, and
// looks the lost commit up by its group id. Until it is done the node is unready.
func (j *Journal) repair(ctx context.Context, id [16]byte) {
	wait := 50 * time.Millisecond
	for {
		err := j.reopen(ctx, id)
		if err == nil {
			j.broken.Store(nil)
			return
		}
		if isTampered(err) { // no repair mends that
			j.distrust(err)
			return
		}
		if j.opt.Log != nil {
			j.opt.Log.Error("the journal cannot be written", "error", err)
		}
		select {
		case <-j.stop:
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (j *Journal) reopen(ctx context.Context, id [16]byte) error {
	if err := j.opt.Pen.w.Reopen(ctx); err != nil {
		return err
	}
	happened, err := j.opt.Pen.w.Happened(ctx, id)
	if err != nil {
		return err
	}
	head, err := j.opt.Reader.Head(ctx)
	if err != nil {
		return err
	}
	j.publish(written{audit.Position{Sequence: head.Sequence, Hash: head.Hash}, head.Time, head.Epoch})
	if !happened {
		return nil
	}
	// Its callers were told that the outcome is unknown, and got no permit.
	return j.recover(ctx)
}

// liveSet knows the operations that this process has begun and not finished on
// disk, and where their records stand, so that recovery leaves them alone.
type liveSet struct {
	mu  sync.Mutex
	ids map[string]uint64
}

func (l *liveSet) init() { l.ids = map[string]uint64{} }

func (l *liveSet) has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.ids[id]
	return ok
}

// oldest is the sequence from which on recovery must look once a group is on
// disk whose records begin with first.
func (l *liveSet) oldest(group []*entry, first uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	ends := map[string]bool{}
	for _, e := range group {
		if e.phase == phaseEnded {
			ends[e.record.Operation] = true
		}
	}
	oldest := first
	for id, at := range l.ids {
		if at < oldest && !ends[id] {
			oldest = at
		}
	}
	return oldest
}

func (l *liveSet) follow(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.phase {
	case phaseBegun:
		l.ids[e.record.Operation] = e.position.Sequence
	case phaseEnded:
		delete(l.ids, e.record.Operation)
	}
}

// keyDigests remembers what truth says of the keys lately used, within one epoch.
type keyDigests struct {
	mu    sync.Mutex
	epoch uint64
	known map[key.ID][32]byte
}

const keyDigestsMax = 1 << 16

func (k *keyDigests) init() { k.known = map[key.ID][32]byte{} }

func (k *keyDigests) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.known)
}

func (k *keyDigests) digest(id key.ID, epoch uint64, load func() ([32]byte, error)) ([32]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch != epoch || len(k.known) >= keyDigestsMax {
		clear(k.known)
		k.epoch = epoch
	}
	if d, ok := k.known[id]; ok {
		return d, nil
	}
	d, err := load()
	if err == nil {
		k.known[id] = d
	}
	return d, err
}
