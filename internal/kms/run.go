package kms

import (
	"context"
	"errors"
	"time"

	"keyward/internal/journal"
	"keyward/internal/store"
)

const (
	runEvery    = time.Minute
	markEvery   = 24 * time.Hour // the longest that a log goes without a record while keyward runs
	verifyEvery = 10 * time.Minute
	verifyShare = 50 // of the time at most one part in so many is spent on verifying
)

// Run does what time brings: it destroys the keys that are due, ends what waits
// in vain, leaves a mark in a log in which nothing happens, goes on with an
// interrupted replacement of the root key, and looks whether somebody changed the
// database. It returns when ctx ends.
func (k *KMS) Run(ctx context.Context) {
	tick := time.NewTicker(runEvery)
	defer tick.Stop()
	verify, inspect := time.Now().Add(verifyEvery), time.Now().Add(verifyEvery)
	var looks uint64
	for {
		k.told("keys that are due could not be destroyed", k.DestroyDue(ctx))
		k.told("requests that waited too long could not be ended", k.ExpireRequests(ctx))
		k.told("the passing of time could not be recorded", k.MarkTime(ctx))
		k.told("the older root key could not be retired", k.Reseal(ctx))
		if begun := time.Now(); begun.After(verify) {
			k.told("the rows could not be verified", k.VerifyRows(ctx))
			verify = time.Now().Add(max(verifyEvery, verifyShare*time.Since(begun)))
		}
		seen := k.looks()
		if begun := time.Now(); begun.After(inspect) || seen != looks {
			k.told("the log is not whole, or could not be read", k.InspectLog(ctx))
			looks, inspect = seen, time.Now().Add(max(verifyEvery, verifyShare*time.Since(begun)))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ExpireRequests ends every waiting request whose time is over, or whose policy
// was replaced, and erases what was kept of it.
func (k *KMS) ExpireRequests(ctx context.Context) error {
	u := k.state.Load()
	for more := u != nil; more; {
		var err error
		if more, err = u.journal.Expire(ctx); err != nil {
			return err
		}
	}
	return nil
}

// MarkTime writes a record when there was none for a day, so that the next start
// of an installation that is seldom used finds its clock near the newest one, and
// does not take a quiet month for a clock that was set.
func (k *KMS) MarkTime(ctx context.Context) error {
	u := k.state.Load()
	if u == nil || u.journal.Now()-u.journal.Newest() < markEvery.Milliseconds() {
		return nil
	}
	return k.wrap(u.journal.Note(ctx, journal.Notice{Actor: "keyward", Action: "clock.mark", Outcome: "done"}, nil))
}

// looks is how often the rows were verified because somebody else wrote.
func (k *KMS) looks() uint64 {
	if u := k.state.Load(); u != nil {
		return u.journal.Looks()
	}
	return 0
}

// InspectLog reads the whole log as it is stored. When a record is missing or
// changed no key is used any more, no checkpoint is given out, and the node is
// not ready; the log can still be read.
func (k *KMS) InspectLog(ctx context.Context) error {
	u := k.state.Load()
	if u == nil {
		return nil
	}
	return k.wrap(u.log.Inspect(ctx))
}

func (k *KMS) told(what string, err error) {
	if err != nil && k.opt.Log != nil {
		k.opt.Log.Error(what, "error", err)
	}
}

// VerifyRows reads every row that decisions rest on, as Unseal does. The journal
// looks before each commit whether anybody else committed; this finds who wrote
// into the file itself, past SQLite and its locks. From then on nothing is served
// until somebody unseals anew, which fails as long as the rows are wrong.
func (k *KMS) VerifyRows(ctx context.Context) error {
	u := k.state.Load()
	if u == nil {
		return nil
	}
	err := k.wrap(k.opt.Reader.VerifyAll(ctx, tables()))
	var known *Error
	if errors.As(err, &known) && errors.Is(err, store.ErrTampered) {
		u.tampered.Store(known)
	}
	return err
}
