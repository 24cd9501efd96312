// Package audit is the log that cannot be quietly changed: what a record is, how
// records become an RFC 6962 tree, who signed its checkpoints, and how anybody
// with the log's public key proves all of that, online or on a copy.
//
// It never decides, it signs for nobody but the log itself, and it never writes
// truth: journal writes the rows of the log, audit follows them. All that audit
// keeps lies in derived state and can be deleted, the newest signed checkpoint
// aside: it is what stops this node from signing two histories.
//
// BUG(audit): with derived state goes the memory of the newest checkpoint. Until
// checkpoints are anchored elsewhere, whoever can delete derived state and put
// back an old database makes this node sign a second history; a client that kept
// a checkpoint or a Position still finds out.
package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// Sentinels of this package. What is wrong with the log itself is a *Fault.
var (
	ErrDamaged      = errors.New("the log was changed") // what every *Fault is
	ErrFork         = errors.New("the log contradicts its signed checkpoint")
	ErrLocked       = errors.New("the log's key is locked")
	ErrNoCheckpoint = errors.New("no checkpoint was signed yet")
	ErrNotFound     = errors.New("not in the log")
)

// Position names a record and the running hash of the log up to and with it.
// Every answer carries one; it pins all that came before. The zero value is the
// position before the first record.
type Position struct {
	Sequence uint64
	Hash     [32]byte
}

// Fault is one thing that is wrong with a log.
type Fault struct {
	Sequence uint64 // the first record that is touched; 0 when it is no single record
	What     string // a sentence without contents of records
}

func (f *Fault) Error() string { return f.What }

// Is makes every Fault an ErrDamaged.
func (f *Fault) Is(target error) bool { return target == ErrDamaged }

func fault(sequence uint64, format string, args ...any) *Fault {
	return &Fault{sequence, fmt.Sprintf(format, args...)}
}

// Origin is the name of an installation's log, the first line of its checkpoints.
func Origin(installation [32]byte) string {
	return "keyward/" + hex.EncodeToString(installation[:8])
}
