package audit

import (
	"context"
	"iter"

	"keyward/internal/store"
)

// Rows of the log table: one for each commit, written by journal alone.
const (
	// rowsFrom finds the row that holds record $1, or the next one.
	rowsFrom = `SELECT first, count, body FROM log WHERE first >= (SELECT coalesce(max(first), 0) FROM log WHERE first <= $1) ORDER BY first LIMIT $2`
	rowsBack = `SELECT first, count, body FROM log WHERE first <= $1 ORDER BY first DESC LIMIT $2`

	rowsAtOnce  = 1024
	bytesAtOnce = 2 << 20 // so that no read holds a snapshot, or memory, for long
)

// readRows yields the entries of at most n rows, row by row, in the order of the
// query, and may stop earlier: the caller asks again. A bad row is the end.
func readRows(ctx context.Context, r *store.Reader, query string, sequence uint64, n int) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		size := 0
		for row, err := range r.Query(ctx, query, int64(min(sequence, maxSequence)), int64(min(n, rowsAtOnce))) {
			var entries []Entry
			if err == nil {
				entries, err = decodeRow(row)
			}
			if !yield(entries, err) || err != nil {
				return
			}
			if size += len(row.Bytes(2)); size >= bytesAtOnce {
				return
			}
		}
	}
}

func decodeRow(row store.Row) ([]Entry, error) {
	first, count := row.Int(0), row.Int(1)
	entries, err := DecodeGroup(row.Bytes(2))
	switch {
	case err != nil:
		return nil, fault(uint64(first), "the row of the log that begins with record %d cannot be read: %v", first, err)
	case entries[0].Sequence != uint64(first) || len(entries) != int(count):
		return nil, fault(uint64(first), "the row of the log that begins with record %d holds the records %d to %d",
			first, entries[0].Sequence, entries[len(entries)-1].Sequence)
	}
	return entries, nil
}

// Page returns up to limit entries, at least one where there is one, beginning
// with record from. It checks the form of the rows alone; a gap in the log is a
// gap in the page. An empty page is the end of the log.
func Page(ctx context.Context, r *store.Reader, from uint64, limit int) ([]Entry, error) {
	limit = max(1, min(limit, MaxGroup))
	var page []Entry
	for entries, err := range readRows(ctx, r, rowsFrom, from, limit) {
		if err != nil && len(page) == 0 {
			return nil, err
		}
		for _, e := range entries {
			if e.Sequence >= from && len(page) < limit {
				page = append(page, e)
			}
		}
		if err != nil || len(page) == limit {
			break // what is wrong behind the page comes with the next one
		}
	}
	return page, nil
}

// Records yields the entries from one record to another, both included, or to
// the end of the log when to is 0. It checks that no record is missing and that
// each follows the one before by the running hash; the first that does not is a
// *Fault and the end.
func Records(ctx context.Context, r *store.Reader, from, to uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		from = max(from, 1)
		c := chainFrom(from)
		for to == 0 || c.at.Sequence < to {
			page, err := Page(ctx, r, c.at.Sequence+1, MaxGroup)
			if err == nil && len(page) == 0 && to != 0 {
				err = fault(c.at.Sequence+1, "record %d is missing from the log", c.at.Sequence+1)
			}
			if err != nil {
				yield(Entry{}, err)
			}
			if err != nil || len(page) == 0 {
				return
			}
			for _, e := range page {
				if to != 0 && e.Sequence > to {
					return
				}
				if _, err := c.next(e); err != nil {
					yield(Entry{}, err)
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// chain follows the running hash from record to record.
type chain struct {
	at    Position
	known bool // at.Hash is; not so when it begins in the middle, until a record says it
}

// chainFrom begins before the record from.
func chainFrom(from uint64) chain { return chain{Position{Sequence: from - 1}, from == 1} }

// next moves on to e and returns its leaf. After a Fault it has moved on all the
// same, trusting the record, so that one fault does not hide the next; only
// where there is no leaf to go on with it stays, and returns none.
func (c *chain) next(e Entry) (leaf []byte, err error) {
	if e.Sequence != c.at.Sequence+1 {
		return nil, fault(c.at.Sequence+1, "record %d is missing from the log: record %d comes in its place", c.at.Sequence+1, e.Sequence)
	}
	before := c.at.Hash
	if e.Erased() && !wellFormed(e) {
		return nil, fault(e.Sequence, "what is left of record %d is not in the form of a leaf", e.Sequence)
	}
	if !e.Erased() {
		said, ok := previous(e.Record)
		switch {
		case !ok:
			err = fault(e.Sequence, "record %d is not in the form of a record", e.Sequence)
		case c.known && said != before:
			err = fault(e.Sequence, "record %d does not follow the log before it: one of them was changed", e.Sequence)
			before = said
		default:
			before, c.known = said, true
		}
	}
	leaf = e.LeafData()
	c.at = Position{e.Sequence, Chain(before, leaf)}
	return leaf, err
}
