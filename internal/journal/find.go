package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"keyward/internal/audit"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// Bounds of looking for an operation in the log. Its first record stands close
// behind its id's time, and its end soon after that: a dead process leaves no
// records between what it had begun and what recovery says of it.
const (
	findBefore  = int64(100)                                 // ms that the clock may have been set back meanwhile
	findWithin  = int64(10 * time.Minute / time.Millisecond) // after the id's time: longer than a commit hangs
	findRecords = 1 << 14                                    // looked at for the first record
	endRecords  = 1 << 16                                    // and for the end
	findAtOnce  = 4                                          // so many look at a time; the others wait
)

// Find returns one operation, from its row or, when it has none, from the log;
// store.ErrNotFound when there is none, or it is not this actor's. Without an
// actor it may be anybody's.
func (j *Journal) Find(ctx context.Context, id, actor string) (Operation, error) {
	missing := fmt.Errorf("operation %q: %w", id, store.ErrNotFound)
	row, err := j.opt.Reader.Row(ctx, operations, id)
	if err == nil {
		op := scan(row).public()
		if actor != "" && op.Actor != actor {
			return Operation{}, missing
		}
		return op, nil
	}
	if !isNotFound(err) {
		return Operation{}, fmt.Errorf("operation %q: %w", id, err)
	}
	ms, ok := timeOf(id)
	if !ok || ms > j.Now()+findBefore {
		return Operation{}, missing
	}
	select {
	case j.finds <- struct{}{}:
		defer func() { <-j.finds }()
	case <-ctx.Done():
		return Operation{}, ctx.Err()
	}
	from, err := j.seek(ctx, ms-findBefore)
	if err != nil {
		return Operation{}, err
	}
	op := Operation{ID: id, Created: ms}
	first := audit.Query{Operation: id, From: from, To: from + findRecords - 1, Until: ms + findWithin, Limit: 1}
	if err := j.fill(ctx, &op, first); err != nil {
		return Operation{}, err
	}
	switch {
	case op.State == "" || actor != "" && op.Actor != actor:
		return Operation{}, missing
	case op.State == Begun && !j.live.has(id):
		err = j.fill(ctx, &op, audit.Query{Operation: id, From: op.Begun + 1, To: op.Begun + endRecords, Limit: 1})
	}
	return op, err
}

// fill tells the operation what the records that fit a query say.
func (j *Journal) fill(ctx context.Context, op *Operation, q audit.Query) error {
	page, err := audit.Search(ctx, j.opt.Reader, q)
	for _, f := range page.Found {
		op.add(f.Record)
	}
	return err
}

// Earlier finds the operation that the same request was made as before, under
// the same idempotency key: whoever lost an answer gets it, also when the request
// would be judged otherwise by now. It returns ErrReused when it was another
// request.
func (j *Journal) Earlier(ctx context.Context, d policy.Decision, t Terms) (op Operation, found bool, err error) {
	if t.Idempotency == "" {
		return Operation{}, false, nil
	}
	req := d.Request()
	content, err := req.Content()
	if err != nil {
		return Operation{}, false, err
	}
	op, found, err = j.Under(ctx, req.Actor().Name(), t.Idempotency, t.Index)
	if found && op.content != content {
		return Operation{}, false, ErrReused
	}
	return op, found, err
}

// Under finds the operation that an actor made under an idempotency key, whatever
// it was about.
func (j *Journal) Under(ctx context.Context, actor, idempotency string, index int) (op Operation, found bool, err error) {
	if idempotency == "" {
		return Operation{}, false, nil
	}
	where := "actor = $1 AND idem = $2 AND idx = $3 AND idem <> ''"
	for row, err := range j.opt.Reader.Rows(ctx, operations, where, actor, idempotency, int64(index)) {
		if err != nil {
			return Operation{}, false, err
		}
		return scan(row).public(), true, nil
	}
	return Operation{}, false, nil
}

// add tells the operation what one of its records says.
func (o *Operation) add(r audit.Record) {
	o.Actor, o.Subject, o.Changed = r.Actor, r.Subject, r.Time
	if o.Verb == "" {
		o.Verb = key.Verb(strings.TrimPrefix(r.Action, "key."))
	}
	switch phase(r.Phase) {
	case phaseBegun:
		o.Begun, o.State, o.Charter = r.Sequence, Begun, r.Charter
	case phaseDone:
		o.Begun, o.Ended, o.State, o.Outcome, o.Charter = r.Sequence, r.Sequence, Done, r.Outcome, r.Charter
	case phaseDenied:
		o.Begun, o.State, o.Outcome, o.Charter = r.Sequence, Denied, r.Detail, r.Charter
	case phaseEnded:
		o.Ended, o.Outcome = r.Sequence, r.Outcome
		switch {
		case r.Outcome == "done":
			o.State = Done
		case strings.HasPrefix(r.Outcome, audit.Unknown):
			o.State = Unknown
		default:
			o.State = Failed
		}
	}
}

// seek finds, by halving, the first commit of the log at or after a log time.
func (j *Journal) seek(ctx context.Context, ms int64) (uint64, error) {
	low, high := uint64(1), j.Position().Sequence
	for low < high {
		middle := low + (high-low)/2
		page, err := audit.Page(ctx, j.opt.Reader, middle, 1)
		if err != nil {
			return 0, err
		}
		if len(page) == 0 {
			break
		}
		if !page[0].Erased() { // an erased one is taken for a late one: at worst more is read
			if r, err := audit.DecodeRecord(page[0].Record); err == nil && r.Time < ms {
				low = middle + 1
				continue
			}
		}
		high = middle
	}
	return low, nil
}

// timeOf reads the time, in ms, out of an operation's id.
func timeOf(id string) (int64, bool) {
	ulid, ok := strings.CutPrefix(id, "op_")
	if !ok {
		return 0, false
	}
	return key.ULIDTime(ulid)
}
