package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"keyward/internal/audit"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// findSlack is how much later than its id's time an operation may have been
// recorded: as long as a request may wait, and some.
const findSlack = 32 * 24 * time.Hour

// Find returns one operation, from its row or, when it has none, from the log;
// store.ErrNotFound when there is none.
func (j *Journal) Find(ctx context.Context, id string) (Operation, error) {
	row, err := j.opt.Reader.Row(ctx, operations, id)
	if err == nil {
		return scan(row).public(), nil
	}
	if !isNotFound(err) {
		return Operation{}, fmt.Errorf("operation %q: %w", id, err)
	}
	ms, ok := timeOf(id)
	if !ok {
		return Operation{}, fmt.Errorf("operation %q: %w", id, err)
	}
	from, serr := j.seek(ctx, ms-1000)
	if serr != nil {
		return Operation{}, serr
	}
	op := Operation{ID: id, Created: ms}
	q := audit.Query{Operation: id, From: from, Until: ms + findSlack.Milliseconds(), Limit: 3}
	for op.Ended == 0 {
		page, serr := audit.Search(ctx, j.opt.Reader, q)
		if serr != nil {
			return Operation{}, serr
		}
		for _, f := range page.Found {
			op.add(f.Record)
		}
		if q.From = page.Next; page.Next == 0 || op.State == Denied {
			break
		}
	}
	if op.State == "" {
		return Operation{}, fmt.Errorf("operation %q: %w", id, err)
	}
	return op, nil
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
