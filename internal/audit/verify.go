package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Source is where a log is read from to be verified: a server or a copy of its
// files. Nothing that it returns is trusted.
type Source interface {
	// Checkpoint returns the newest signed checkpoint, or ErrNoCheckpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Tile returns a tile or an entry bundle by its path in tlog-tiles. What
	// does not exist is ErrNotFound.
	Tile(ctx context.Context, path string) ([]byte, error)
	// Records returns some entries that begin with the record from, none at the
	// end of the log.
	Records(ctx context.Context, from uint64) ([]Entry, error)
}

// headed is a Source that also knows where the log ends, behind the checkpoint.
type headed interface {
	Head(ctx context.Context) (Position, error)
}

// Check is what a log is verified against.
type Check struct {
	Verifier string   // the log's public key, see LogKey.Verifier
	Since    []byte   // an older checkpoint, kept by the caller; nil for none
	Seen     Position // from an answer that the caller got; zero for none

	Progress func(records, of uint64) // called now and then; nil for none
}

// Report is what verification found.
type Report struct {
	Checkpoint Checkpoint // what the records were checked against
	Records    uint64     // all that were read, Tail included
	Tail       uint64     // behind the checkpoint: their order is proved, no signature covers them yet
	Erased     uint64     // of which only the leaf is left
	First      int64      // log time of the first record, ms
	Last       int64      // log time of the newest record, ms

	Operations uint64 // that were begun
	Unknown    uint64 // ended, but nobody knows with what outcome
	Open       uint64 // begun and not ended
	Unmatched  uint64 // ended without having been begun; with erased records this can be
	Untracked  uint64 // begun when too many were open to remember more

	Faults []Fault // in the order of the records; the first few
}

const (
	maxFaults = 64
	maxOpen   = 1 << 20
)

// Verify reads a whole log and proves that it is the one that was signed: each
// record is in canonical form, follows the one before by the running hash, and
// is the leaf that stands for it in a tree whose root the log's key signed;
// tiles and entry bundles are those of that tree; and the log goes on where the
// caller's Since and Seen ended. Memory does not grow with the log.
//
// The error is nil when all of that holds, the first *Fault when not, and
// another error when the source could not be read to the end. The Report is
// filled as far as it went.
func Verify(ctx context.Context, src Source, check Check) (Report, error) {
	v := &verification{ctx: ctx, src: src, check: check, chain: chainFrom(1), open: map[string]struct{}{}}
	v.edge.full = v.compare
	err := v.run()
	var f *Fault
	if errors.As(err, &f) {
		v.note(f)
		err = nil
	}
	if !v.judged {
		v.judge(false) // it ended before the root was known
	}
	v.report.Open = uint64(len(v.open))
	slices.SortStableFunc(v.report.Faults, func(a, b Fault) int {
		return cmp.Compare(a.Sequence-1, b.Sequence-1) // those of no record last
	})
	if err == nil && len(v.report.Faults) > 0 {
		err = &v.report.Faults[0]
	}
	return v.report, err
}

type verification struct {
	ctx    context.Context
	src    Source
	check  Check
	report Report

	since  *Checkpoint
	tiles  bool // compare tiles
	edge   edge
	chain  chain
	open   map[string]struct{} // operations begun and not ended
	doubts []doubt
	judged bool
}

// doubt is a tile that is not what the records make of it. Which of the two is
// wrong is known at the end, when the root is.
type doubt struct {
	level    int
	path     string
	from, to uint64 // records
}

func (v *verification) note(f *Fault) {
	if len(v.report.Faults) < maxFaults {
		v.report.Faults = append(v.report.Faults, *f)
	}
}

func (v *verification) run() error {
	if _, err := parseVerifier(v.check.Verifier); err != nil {
		return err
	}
	target, err := v.target()
	if err != nil {
		return err
	}
	v.report.Checkpoint = target
	if target.Size == 0 {
		v.judge(v.edge.root() == target.Root)
	}
	for v.edge.size < target.Size {
		if err := v.page(target.Size); err != nil {
			return err
		}
	}
	if err := v.tail(); err != nil {
		return err
	}
	v.missing()
	return nil
}

// target reads the checkpoints. Where the source has none, as a copy without
// derived state, the kept one takes its place, and there are no tiles either.
func (v *verification) target() (Checkpoint, error) {
	if len(v.check.Since) > 0 {
		c, err := OpenCheckpoint(v.check.Since, v.check.Verifier)
		if err != nil {
			return c, fmt.Errorf("the kept checkpoint: %w", err)
		}
		v.since = &c
	}
	b, err := v.src.Checkpoint(v.ctx)
	if errors.Is(err, ErrNoCheckpoint) && v.since != nil {
		c := *v.since
		v.since = nil
		return c, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	v.tiles = true
	c, err := OpenCheckpoint(b, v.check.Verifier)
	if err != nil {
		return c, fault(0, "the log's %v", err)
	}
	return c, nil
}

// page takes some more records, up to the sequence.
func (v *verification) page(to uint64) error {
	next := v.chain.at.Sequence + 1
	entries, err := v.src.Records(v.ctx, next)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return fault(next, "record %d is missing: the log ends before it, but its checkpoint or head covers %d", next, to)
	}
	for _, e := range entries {
		if v.chain.at.Sequence == to {
			break
		}
		if err := v.record(e); err != nil {
			return err
		}
	}
	if v.check.Progress != nil {
		v.check.Progress(v.report.Records, to)
	}
	return v.ctx.Err()
}

// record checks one record. Its errors end the verification; faults behind which
// it can go on are noted.
func (v *verification) record(e Entry) error {
	leaf, err := v.chain.next(e)
	if leaf == nil {
		return err
	}
	if f := (*Fault)(nil); errors.As(err, &f) {
		v.note(f)
	}
	v.report.Records++
	if e.Erased() {
		v.report.Erased++
	} else if r, err := DecodeRecord(e.Record); err != nil {
		v.note(fault(e.Sequence, "record %d cannot be read: %v", e.Sequence, err))
	} else {
		v.content(e.Sequence, r)
	}
	if seen := v.check.Seen; seen.Sequence == e.Sequence && seen.Hash != v.chain.at.Hash {
		v.note(fault(e.Sequence, "up to record %d the log is not the one that this client was told of", e.Sequence))
	}
	if err := v.edge.append(leaf); err != nil {
		return err
	}
	if v.since != nil && v.since.Size == v.edge.size && v.since.Root != v.edge.root() {
		v.note(fault(0, "the first %d records are not those of the kept checkpoint: the log was written anew", v.edge.size))
	}
	if v.edge.size == v.report.Checkpoint.Size {
		return v.finish()
	}
	return nil
}

// content checks what a record says of itself and joins operations.
func (v *verification) content(sequence uint64, r Record) {
	if r.Sequence != sequence {
		v.note(fault(sequence, "in the place of record %d stands record %d", sequence, r.Sequence))
	}
	if r.Time < v.report.Last {
		v.note(fault(sequence, "record %d is older than the one before it", sequence))
	}
	if v.report.First == 0 {
		v.report.First = r.Time
	}
	v.report.Last = max(v.report.Last, r.Time)
	_, open := v.open[r.Operation]
	switch {
	case r.Phase == Done:
		v.report.Operations++
	case r.Phase == Begun && !open:
		v.report.Operations++
		if len(v.open) == maxOpen {
			v.report.Untracked++
			return
		}
		v.open[r.Operation] = struct{}{}
	case r.Phase == Ended:
		if !open {
			v.report.Unmatched++
		}
		if strings.HasPrefix(r.Outcome, Unknown) {
			v.report.Unknown++
		}
		delete(v.open, r.Operation)
	}
}

// compare fetches a tile and compares it with what the records make of it.
func (v *verification) compare(level int, n uint64, data []byte) error {
	if !v.tiles {
		return nil
	}
	unit := tlog.HashSize
	if level == bundleLevel {
		unit = entryLength
	}
	path := tilePath(level, n, len(data)/unit)
	got, err := v.src.Tile(v.ctx, path)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if bytes.Equal(got, data) || len(v.doubts) == maxFaults {
		return nil
	}
	i := 0 // the first hash or entry that differs
	for i < min(len(got), len(data)) && got[i] == data[i] {
		i++
	}
	span := uint64(1) << (tileHeight * max(level, 0)) // records below one hash
	from := (n*tileWidth+uint64(min(i, len(data)-1)/unit))*span + 1
	v.doubts = append(v.doubts, doubt{level, path, from, from + span - 1})
	return nil
}

// finish compares the tree when all records of the checkpoint are in it.
func (v *verification) finish() error {
	if err := v.edge.partial(v.compare); err != nil {
		return err
	}
	v.edge.full = func(int, uint64, []byte) error { return nil } // no tiles behind the checkpoint
	same := v.edge.root() == v.report.Checkpoint.Root
	v.judge(same)
	if !same {
		v.note(fault(0, "the %d records are not those of the signed checkpoint: their root differs", v.edge.size))
	}
	return nil
}

// judge says what the doubts mean: when the records have the signed root, it is
// the tile that is wrong.
func (v *verification) judge(rootFits bool) {
	v.judged = true
	named := map[uint64]bool{}
	for _, d := range v.doubts {
		switch {
		case rootFits:
			v.note(fault(0, "%s is damaged: it is not of the signed tree, but the records are", d.path))
		case d.level <= 0 && !named[d.from]:
			named[d.from] = true
			v.note(fault(d.from, "record %d was changed: it is not the one that %s was made of", d.from, d.path))
		}
	}
	for _, d := range v.doubts {
		if !rootFits && len(named) == 0 {
			v.note(fault(d.from, "one of the records %d to %d was changed: %s was made of others", d.from, d.to, d.path))
		}
	}
}

// tail follows the running hash behind the checkpoint to the log's head, where
// the source knows it.
func (v *verification) tail() error {
	h, ok := v.src.(headed)
	if !ok {
		return nil
	}
	head, err := h.Head(v.ctx)
	if err != nil {
		return err
	}
	signed := v.chain.at.Sequence
	if head.Sequence < signed {
		return fault(head.Sequence+1, "the log's head knows %d records, its checkpoint %d: the head was put back", head.Sequence, signed)
	}
	for v.chain.at.Sequence < head.Sequence {
		if err := v.page(head.Sequence); err != nil {
			return err
		}
	}
	v.report.Tail = head.Sequence - signed
	if head.Hash != v.chain.at.Hash {
		return fault(head.Sequence, "after record %d the running hash is not that of the log's head", head.Sequence)
	}
	return v.beyond(h, head)
}

// beyond looks for records that no head ever counted. One that was committed
// meanwhile has moved the head with it.
func (v *verification) beyond(h headed, head Position) error {
	entries, err := v.src.Records(v.ctx, head.Sequence+1)
	if err != nil || len(entries) == 0 {
		return err
	}
	now, err := h.Head(v.ctx)
	if err == nil && now == head {
		err = fault(entries[0].Sequence, "record %d is in the log, but the log's head does not know it", entries[0].Sequence)
	}
	return err
}

// missing says which records the caller knows of and the log does not have.
func (v *verification) missing() {
	end := v.chain.at.Sequence
	if v.since != nil && v.since.Size > end {
		v.note(fault(end+1, "record %d is missing: the kept checkpoint covers %d", end+1, v.since.Size))
	}
	if v.check.Seen.Sequence > end {
		v.note(fault(end+1, "record %d is missing: this client was told of record %d", end+1, v.check.Seen.Sequence))
	}
}
