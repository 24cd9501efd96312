package audit

import (
	"bytes"
	"context"
	"slices"

	"keyward/internal/store"
)

// Query says which records are looked for. A field left empty asks for nothing;
// texts are compared whole.
type Query struct {
	From, To     uint64 // sequences, both included
	After, Until int64  // log time in ms: After is included, Until is not

	Actor, Subject, Action, Operation, Phase string

	Limit   int  // records of a page; 0 means 100, at most 10,000
	Reverse bool // the newest first
}

// Found is an entry and what it says. Of an erased entry only the sequence is
// known; it is found by queries that ask for nothing in the record.
type Found struct {
	Entry  Entry
	Record Record
}

// Results is one page of a search.
type Results struct {
	Found []Found
	// Next is where to go on: From (with Reverse: To) of the next query; 0 when
	// there is nothing more. A page can be empty and not the last.
	Next uint64
}

// scanAtMost bounds the work for one page.
const scanAtMost = 1 << 17

// Search reads one page of the records that fit, straight from the log's rows.
// It proves nothing: see Verify.
func Search(ctx context.Context, r *store.Reader, q Query) (Results, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	s := searcher{q: q, needles: q.needles()}
	s.q.Limit = min(q.Limit, 10_000)
	if s.q.To == 0 || s.q.To > maxSequence {
		s.q.To = maxSequence
	}
	s.at = max(q.From, 1)
	if q.Reverse {
		s.at = s.q.To
	}
	for !s.done {
		if err := s.step(ctx, r); err != nil {
			return Results{}, err
		}
	}
	return s.results, nil
}

type searcher struct {
	q       Query
	needles [][]byte
	at      uint64 // the next record to look at
	scanned int
	results Results
	done    bool
}

// step looks at the next few rows.
func (s *searcher) step(ctx context.Context, r *store.Reader) error {
	query := rowsFrom
	if s.q.Reverse {
		query = rowsBack
	}
	before := s.at
	for entries, err := range readRows(ctx, r, query, s.at, rowsAtOnce) {
		if err != nil {
			return err
		}
		if s.q.Reverse {
			slices.Reverse(entries)
		}
		for _, e := range entries {
			if s.q.Reverse && e.Sequence > s.at || !s.q.Reverse && e.Sequence < s.at {
				continue
			}
			if err := s.look(e); err != nil || s.done {
				return err
			}
		}
	}
	s.done = s.done || s.at == before
	return nil
}

// look takes or leaves one entry and moves on.
func (s *searcher) look(e Entry) error {
	if e.Sequence > s.q.To || e.Sequence < s.q.From {
		s.done = true
		return nil
	}
	if len(s.results.Found) == s.q.Limit || s.scanned == scanAtMost {
		s.results.Next, s.done = e.Sequence, true
		return nil
	}
	s.scanned++
	s.at = e.Sequence + 1
	if s.q.Reverse {
		s.at = e.Sequence - 1
		s.done = s.at == 0
	}
	found := Found{Entry: e}
	if e.Erased() {
		if len(s.needles) == 0 && s.q.After == 0 && s.q.Until == 0 {
			s.results.Found = append(s.results.Found, found)
		}
		return nil
	}
	for _, n := range s.needles { // far cheaper than to decode
		if !bytes.Contains(e.Record, n) {
			return nil
		}
	}
	var err error
	if found.Record, err = DecodeRecord(e.Record); err != nil {
		return fault(e.Sequence, "record %d cannot be read: %v", e.Sequence, err)
	}
	// Log time never goes back, so the first record beyond a bound is the end.
	if t := found.Record.Time; s.q.Until != 0 && t >= s.q.Until {
		s.done = s.done || !s.q.Reverse
		return nil
	} else if t < s.q.After {
		s.done = s.done || s.q.Reverse
		return nil
	}
	if s.q.fits(found.Record) {
		s.results.Found = append(s.results.Found, found)
	}
	return nil
}

func (q Query) needles() [][]byte {
	var all [][]byte
	for _, s := range []string{q.Operation, q.Subject, q.Actor, q.Action, q.Phase} {
		if s != "" {
			all = append(all, []byte(s))
		}
	}
	return all
}

func (q Query) fits(r Record) bool {
	fits := func(want, got string) bool { return want == "" || want == got }
	return fits(q.Actor, r.Actor) && fits(q.Subject, r.Subject) && fits(q.Action, r.Action) &&
		fits(q.Operation, r.Operation) && fits(q.Phase, r.Phase)
}
