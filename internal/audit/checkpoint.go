package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement of the log's key: the first Size records have
// this Merkle root. See C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
	Note   []byte // the signed note, as it was read or written
}

const maxNote = 32 << 10 // bytes of a checkpoint with all its cosignatures

// OpenCheckpoint reads a checkpoint and checks that the key verifier (see
// LogKey.Verifier) signed it. Other signatures are ignored, as C2SP asks.
func OpenCheckpoint(b []byte, verifier string) (Checkpoint, error) {
	if len(b) > maxNote {
		return Checkpoint{}, fmt.Errorf("checkpoint: %d bytes, at most %d", len(b), maxNote)
	}
	v, err := parseVerifier(verifier)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: not signed by log key %s+%08x: %w", v.Name(), v.KeyHash(), err)
	}
	for _, s := range n.Sigs { // of one spelling, as everything that is compared
		if b, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil || base64.StdEncoding.EncodeToString(b) != s.Base64 {
			return Checkpoint{}, errors.New("checkpoint: signature not in canonical base64")
		}
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("checkpoint: origin %q, want %q", clip(c.Origin), v.Name())
	}
	c.Note = b
	return c, nil
}

func parseVerifier(s string) (note.Verifier, error) {
	v, err := note.NewVerifier(s)
	if err != nil {
		return nil, fmt.Errorf("log key %q: want NAME+HASH+BASE64", clip(s))
	}
	return v, nil
}

// parseCheckpoint reads the text of the note. keyward's logs have no extension
// lines, so there is one spelling of each checkpoint.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, errors.New("checkpoint: want three lines: origin, size, root")
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = parseNumber(lines[1]); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: size: %w", err)
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root: %w", err)
	}
	return c, nil
}

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

func (c *Checkpoint) sign(k note.Signer) (err error) {
	c.Note, err = note.Sign(&note.Note{Text: c.text()}, k)
	return err
}

// CheckConsistency proves that the newer checkpoint's log begins with all that
// the older one's held (RFC 6962, section 2.1.2).
func CheckConsistency(older, newer Checkpoint, proof []tlog.Hash) error {
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("checkpoints of two logs, %q and %q", older.Origin, newer.Origin)
	case newer.Size < older.Size:
		return fmt.Errorf("%w: %d records, but %d were signed before", ErrFork, newer.Size, older.Size)
	case older.Size == 0 && len(proof) == 0:
		return nil // every log begins with the empty one
	case tlog.CheckTree(proof, int64(newer.Size), newer.Root, int64(older.Size), older.Root) != nil:
		return fmt.Errorf("%w: the log of %d records does not begin with the %d signed before", ErrFork, newer.Size, older.Size)
	}
	return nil
}

// parseNumber reads a decimal below maxSequence without leading zeros.
func parseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n >= maxSequence || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is no number of records", clip(s))
	}
	return n, nil
}

// parseHash reads the one base64 spelling of 32 bytes.
func parseHash(s string) (hash [32]byte, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(hash) || base64.StdEncoding.EncodeToString(b) != s {
		return hash, fmt.Errorf("%q is not 32 bytes in base64", clip(s))
	}
	return [32]byte(b), nil
}
