package kms

import (
	"context"
	"errors"
	"fmt"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/charter"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/keystore"
	"keyward/internal/seal"
	"keyward/internal/store"
)

// wrap gives every error of a room below its Kind, once, here.
func (k *KMS) wrap(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		if known != nil {
			return known
		}
		return nil
	}
	for _, row := range kinds {
		if errors.Is(err, row.err) {
			return &Error{Kind: row.kind, Message: row.message(err), Hint: row.hint, cause: err}
		}
	}
	var again *journal.Replay
	if errors.As(err, &again) {
		return replayed(again.Operation)
	}
	var slow *seal.WaitError
	if errors.As(err, &slow) {
		return &Error{Kind: Busy, Message: slow.Error(), Hint: "wait, then try again", cause: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: Busy, Message: "the request was given up before it was begun", Hint: "try again", cause: err}
	}
	if k.opt.Log != nil {
		k.opt.Log.Error("unexpected", "error", err)
	}
	return &Error{Kind: Failed, Message: "something failed inside keyward", Hint: "the server's own log says what", cause: err}
}

type kindRow struct {
	err  error
	kind Kind
	text string // "" for the error's own
	hint string
}

// diskFull is said below the floor of free space too: what is left of the disk is
// kept for what is more urgent.
const diskFull = "the disk is full: nothing was begun"

// kinds is the one table from a room's error to what callers are told.
var kinds = []kindRow{
	{chain.ErrPayload, Invalid, "", "keyward decode shows what a payload means"},
	{journal.ErrReused, Conflict, "", "use a new idempotency key for a new request"},
	{journal.ErrExpired, Expired, "", "ask again"},
	{journal.ErrState, Conflict, "", "see: keyward request show"},
	{journal.ErrOverflow, Busy, "", "ask again in a minute"},
	{journal.ErrCrowded, Busy, "", "see: keyward request list; collect what may go, let the others expire, or ask with a shorter expiry"},
	{journal.ErrUnknown, Unknown, "it is not known whether the operation was recorded", "ask again with the same idempotency key, or look the operation up in the log"},
	{journal.ErrStopped, Sealed, "keyward is sealed", "keyward unseal"},
	{store.ErrLocked, Sealed, "keyward is sealed", "keyward unseal"},
	{store.ErrTampered, Unready, "", "restore a backup, or find out who changed the database; keyward does not sign on changed rows"},
	{audit.ErrDamaged, Unready, "", damagedLog},
	{audit.ErrFork, Unready, "", damagedLog},
	{store.ErrUninitialized, Unready, "", "restore a backup, or make an installation: keyward init"},
	{journal.ErrNoRoom, Unready, diskFull, "make space; keyward goes on by itself"},
	{store.ErrFull, Unready, diskFull, "make space; keyward goes on by itself"},
	{journal.ErrClock, Unready, "", "if that is right: keyward clock accept; else set the clock right, and keyward goes on by itself"},
	{journal.ErrUnready, Unready, "the journal cannot be written: nothing was begun", "see the server's log; keyward goes on by itself when the disk does"},
	{store.ErrNotFound, NotFound, "there is no such thing", ""},
	{keystore.ErrSealed, Sealed, "", "keyward unseal"},
	{keystore.ErrCorrupt, Unverified, "", "give the same key and the same context as when it was encrypted"},
	{keystore.ErrUnfit, Invalid, "", "see what the key is for: keyward key show"},
	{keystore.ErrCheck, Failed, "", "a machine that computes wrongly must not sign: check its memory and processor"},
	{seal.ErrWrongCredential, Unverified, "", "try again; each attempt costs the full derivation"},
	{seal.ErrNoSlot, NotFound, "", "see: keyward seal slot list"},
	{seal.ErrLastSlot, Conflict, "", "add another slot first"},
	{seal.ErrRotating, Busy, "the root key is being replaced", "try again"},
	{seal.ErrDamaged, Unready, "", "restore a backup: what locks the root key was changed from outside"},
	{seal.ErrSealed, Sealed, "keyward is sealed", "keyward unseal"},
	{seal.ErrParams, Invalid, "", ""},
	{seal.ErrUnfit, Invalid, "", "for a passphrase take several words that nobody would put together, in at most 1024 bytes"},
	{seal.ErrTaken, Conflict, "", "see: keyward seal slot list"},
	{seal.ErrSlot, Invalid, "", ""},
	{identity.ErrUnauthenticated, Unauthenticated, "", "give a valid token with --token-file"},
	{charter.ErrInvalid, Unready, "", "restore a backup: what governs this installation was changed from outside"},
}

const damagedLog = "keep a copy of the data directory, run keyward audit verify, restore a backup, and find out who could write there"

func (row kindRow) message(err error) string {
	if row.text != "" {
		return row.text
	}
	return err.Error()
}

func replayed(op journal.Operation) *Error {
	e := &Error{Operation: op.ID}
	switch op.State {
	case journal.Waiting:
		e.Kind, e.Message, e.Hint = Waiting, "this request is waiting already", toCollect(op.ID)
	case journal.Begun:
		e.Kind, e.Message, e.Hint = Conflict, "this request is being done at this moment", "ask again with the same idempotency key"
	case journal.Denied:
		e.Kind, e.Message, e.Hint = Denied, "this request was denied before", "use a new idempotency key to ask anew"
	case journal.Expired:
		e.Kind, e.Message, e.Hint = Expired, fmt.Sprintf("this request came to %q", op.Outcome), "ask again"
	case journal.Unknown:
		e.Kind, e.Message = Unknown, "what came of this request is unknown: its budget is spent"
		e.Hint = "find out whether its result was used before you ask again with a new idempotency key"
	default:
		e.Kind, e.Message = Failed, fmt.Sprintf("this request came to %q", op.Outcome)
		e.Hint = "use a new idempotency key to ask anew"
	}
	return e
}
