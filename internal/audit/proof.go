package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof says that a record is in the log of a signed checkpoint, and can be
// checked offline with nothing but the log's key. See C2SP tlog-proof.
type Proof struct {
	Sequence   uint64
	Path       []tlog.Hash // from the leaf's sibling up, RFC 6962, section 2.1.1
	Extra      []byte      // not proved; by custom AppendGroup of the one entry
	Checkpoint []byte      // signed note
}

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxProof    = maxNote + 2*MaxRecord
	maxPath     = 64
)

// MarshalText writes the proof as a .tlog-proof file.
func (p Proof) MarshalText() ([]byte, error) {
	if p.Sequence == 0 {
		return nil, errors.New("tlog proof: no record has sequence 0")
	}
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		fmt.Fprintf(&b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Extra))
	}
	fmt.Fprintf(&b, "index %d\n", p.Sequence-1)
	for _, h := range p.Path {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(p.Checkpoint)
	return b.Bytes(), nil
}

// ParseProof reads a .tlog-proof file. It proves nothing yet: see Check.
func ParseProof(text []byte) (Proof, error) {
	if len(text) > maxProof {
		return Proof{}, fmt.Errorf("tlog proof: %d bytes, at most %d", len(text), maxProof)
	}
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		return Proof{}, errors.New("tlog proof: no checkpoint")
	}
	lines := strings.Split(head, "\n")
	if lines[0] != proofHeader {
		return Proof{}, fmt.Errorf("tlog proof: does not begin with %q", proofHeader)
	}
	p := Proof{Checkpoint: []byte(checkpoint)}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		b64 := strings.TrimPrefix(lines[0], "extra ")
		extra, err := base64.StdEncoding.Strict().DecodeString(b64)
		if err != nil || len(extra) == 0 || base64.StdEncoding.EncodeToString(extra) != b64 {
			return Proof{}, errors.New("tlog proof: extra: not base64")
		}
		p.Extra, lines = extra, lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return Proof{}, errors.New("tlog proof: no index")
	}
	index, err := parseNumber(strings.TrimPrefix(lines[0], "index "))
	if err != nil {
		return Proof{}, fmt.Errorf("tlog proof: index: %w", err)
	}
	if p.Sequence = index + 1; len(lines)-1 > maxPath {
		return Proof{}, fmt.Errorf("tlog proof: path of %d hashes, at most %d", len(lines)-1, maxPath)
	}
	for i, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return Proof{}, fmt.Errorf("tlog proof: hash %d: %w", i+1, err)
		}
		p.Path = append(p.Path, h)
	}
	return p, nil
}

// Check proves that leaf (see Leaf) is the record p.Sequence of the log whose key
// verifier signed the checkpoint, which it returns.
func (p Proof) Check(verifier string, leaf []byte) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, verifier)
	if err != nil {
		return Checkpoint{}, err
	}
	if p.Sequence == 0 || p.Sequence > c.Size {
		return Checkpoint{}, fmt.Errorf("tlog proof: record %d in a log of %d", p.Sequence, c.Size)
	}
	if err := tlog.CheckRecord(p.Path, int64(c.Size), c.Root, int64(p.Sequence-1), tlog.RecordHash(leaf)); err != nil {
		return Checkpoint{}, fault(p.Sequence, "the proof does not lead from record %d to the signed root", p.Sequence)
	}
	return c, nil
}

// Prove returns the proof that the record is in the newest checkpoint, without
// Extra. A record that the checkpoint does not cover yet is ErrNotFound: see
// CheckpointNow.
func (l *Log) Prove(ctx context.Context, sequence uint64) (Proof, error) {
	c := l.newest.Load()
	switch {
	case c == nil:
		return Proof{}, ErrNoCheckpoint
	case sequence == 0 || sequence > c.Size:
		return Proof{}, fmt.Errorf("%w: record %d, the newest checkpoint covers %d", ErrNotFound, sequence, c.Size)
	}
	hashes := hashReader(ctx, l.derived)
	path, err := tlog.ProveRecord(int64(c.Size), int64(sequence-1), hashes)
	if err != nil {
		return Proof{}, fmt.Errorf("prove record %d: %w", sequence, err)
	}
	leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(sequence-1))})
	if err != nil {
		return Proof{}, fmt.Errorf("prove record %d: %w", sequence, err)
	}
	if err := tlog.CheckRecord(path, int64(c.Size), c.Root, int64(sequence-1), leaf[0]); err != nil {
		return Proof{}, fmt.Errorf("prove record %d: the tiles are damaged; derived state can be deleted and is made anew", sequence)
	}
	return Proof{Sequence: sequence, Path: path, Checkpoint: c.Note}, nil
}

// ProveConsistency returns the proof that the log of newer records begins with
// the log of older records; see CheckConsistency. Newer is at most the size of
// the newest checkpoint.
func (l *Log) ProveConsistency(ctx context.Context, older, newer uint64) ([]tlog.Hash, error) {
	c := l.newest.Load()
	switch {
	case c == nil:
		return nil, ErrNoCheckpoint
	case newer > c.Size || older > newer:
		return nil, fmt.Errorf("%w: from %d to %d records, the newest checkpoint covers %d", ErrNotFound, older, newer, c.Size)
	case older == 0:
		return nil, nil
	}
	proof, err := tlog.ProveTree(int64(newer), int64(older), hashReader(ctx, l.derived))
	if err != nil {
		return nil, fmt.Errorf("prove consistency of %d and %d records: %w", older, newer, err)
	}
	return proof, nil
}
