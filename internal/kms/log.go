package kms

import (
	"context"
	"errors"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// Requests lists operations, newest first; a service sees its own alone.
func (k *KMS) Requests(ctx context.Context, a identity.Actor, state journal.State, before string, limit int) ([]journal.Operation, error) {
	u, err := k.unsealed()
	if err != nil {
		return nil, err
	}
	if !a.Valid() {
		return nil, fail(Unauthenticated, "", "nobody asks")
	}
	if state != "" && !state.Known() {
		return nil, fail(Invalid, "use waiting, begun, done, failed, unknown, denied or expired", "there is no state %q of a request", state)
	}
	if limit <= 0 || limit > pageMax {
		limit = 100
	}
	whose := ""
	if a.Kind() == identity.Program {
		whose = a.Name()
	}
	u.journal.Count(a.Name(), a.Source(), "request.list")
	all, err := u.journal.List(ctx, state, whose, before, limit)
	return all, k.wrap(err)
}

// Request shows one operation and, while its payload is kept, what it means.
func (k *KMS) Request(ctx context.Context, a identity.Actor, id string) (journal.Operation, chain.Intent, error) {
	u, err := k.unsealed()
	if err != nil {
		return journal.Operation{}, chain.Intent{}, err
	}
	if !a.Valid() {
		return journal.Operation{}, chain.Intent{}, fail(Unauthenticated, "", "nobody asks")
	}
	u.journal.Count(a.Name(), a.Source(), "request.show")
	whose := ""
	if a.Kind() == identity.Program {
		whose = a.Name()
	}
	op, err := u.journal.Find(ctx, id, whose)
	if errors.Is(err, store.ErrNotFound) {
		return journal.Operation{}, chain.Intent{}, fail(NotFound, "see: keyward request list", "there is no request %q", id)
	}
	if err != nil {
		return journal.Operation{}, chain.Intent{}, k.wrap(err)
	}
	stored, err := policy.ParseStored(op.Request)
	if err != nil || stored.Domain == "" {
		return op, chain.Intent{}, nil
	}
	return op, k.meaning(ctx, u, stored), nil
}

// meaning reads a kept payload again: whoever asked may see what for, also
// without the right to read the key. What cannot be read again has none.
func (k *KMS) meaning(ctx context.Context, u *unsealed, stored policy.Stored) chain.Intent {
	r := requestOf(stored)
	name, path, err := key.SplitRef(r.Key)
	if err != nil {
		return chain.Intent{}
	}
	found, _, err := u.find(ctx, k.opt.Reader, name)
	if err != nil {
		return chain.Intent{}
	}
	acc, err := u.account(ctx, found, stored.KeyVersion, path)
	if err != nil {
		return chain.Intent{}
	}
	parsed, _, err := k.parse(acc, r)
	if err != nil {
		return chain.Intent{}
	}
	return parsed.Intent()
}

// AuditRecords returns records that fit a query, oldest or newest first.
func (k *KMS) AuditRecords(ctx context.Context, a identity.Actor, q audit.Query) (audit.Results, error) {
	if _, err := k.read(ctx, a, key.ReadAudit, "audit"); err != nil {
		return audit.Results{}, err
	}
	page, err := audit.Search(ctx, k.opt.Reader, q)
	return page, k.wrap(err)
}

// entriesAtATime bounds one answer of AuditEntries.
const entriesAtATime = 4096

// AuditEntries returns consecutive entries of the log beginning with a record,
// in the encoding of docs/formats/log.md (a group); nil at the end of the log.
func (k *KMS) AuditEntries(ctx context.Context, a identity.Actor, from uint64) ([]byte, error) {
	if _, err := k.read(ctx, a, key.ReadAudit, "audit"); err != nil {
		return nil, err
	}
	page, err := audit.Page(ctx, k.opt.Reader, max(from, 1), entriesAtATime)
	if err != nil || len(page) == 0 {
		return nil, k.wrap(err)
	}
	n := 1
	for n < len(page) && page[n].Sequence == page[n-1].Sequence+1 {
		n++ // a gap is for whoever verifies to find: the next page begins behind it
	}
	return audit.AppendGroup(nil, page[:n]), nil
}

// AuditCheckpoint signs a checkpoint over every committed record and returns it.
func (k *KMS) AuditCheckpoint(ctx context.Context, a identity.Actor) ([]byte, error) {
	u, err := k.read(ctx, a, key.ReadAudit, "audit")
	if err != nil {
		return nil, err
	}
	if _, err := u.log.CheckpointNow(ctx); err != nil {
		return nil, k.wrap(err)
	}
	return u.log.Checkpoint(), nil
}

// Checkpoint is the newest signed checkpoint, as bytes of a signed note; nil
// while there is none, and once the log was found changed. It goes with every answer and is meant for everybody.
func (k *KMS) Checkpoint() []byte {
	u := k.state.Load()
	if u == nil || u.log.Damage() != nil {
		return nil // it would say of a changed log that all is well
	}
	return u.log.Checkpoint()
}

// Tile returns a tile or entry bundle of the log by its path below /audit/. The
// leaves are commitments: they tell nobody what was done.
func (k *KMS) Tile(ctx context.Context, path string) ([]byte, error) {
	u, err := k.unsealed()
	if err != nil {
		return nil, err
	}
	tile, err := u.log.Tile(ctx, path)
	if errors.Is(err, audit.ErrNotFound) {
		return nil, fail(NotFound, "", "there is no tile %q", path)
	}
	return tile, k.wrap(err)
}

// LogKey is the verifier key of the checkpoints; "" while sealed.
func (k *KMS) LogKey() string {
	u := k.state.Load()
	if u == nil {
		return ""
	}
	return u.logVerifier
}
