package kms

import (
	"context"
	"errors"

	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/store"
)

const dueBatch = 64

// DestroyDue deletes the material of every key whose date has come. What is left
// is a tombstone: its name is never used again, and what it signed still
// verifies against the public half in the log's backups. While the clock cannot
// be trusted no date has come.
func (k *KMS) DestroyDue(ctx context.Context) error {
	u := k.state.Load()
	if u == nil {
		return nil
	}
	if err := u.journal.Timely(); err != nil {
		return k.wrap(err)
	}
	for {
		due, err := k.due(ctx, u.journal.Now())
		if err != nil || len(due) == 0 {
			return err
		}
		for _, found := range due {
			n := journal.Notice{Actor: "keyward", Action: "key.destroyed", Subject: found.Name, Outcome: "done"}
			err := u.journal.Note(ctx, n, func(tx *store.Tx) error { return destroy(tx, found.ID) })
			if errors.Is(err, journal.ErrState) {
				continue // saved at the last moment
			}
			if err != nil {
				return err
			}
			u.keystore.Purge(found.ID)
		}
	}
}

func (k *KMS) due(ctx context.Context, now int64) ([]key.Key, error) {
	var all []key.Key
	for row, err := range k.opt.Reader.Rows(ctx, keyTable, "state = $1", string(key.PendingDestruction)) {
		if err != nil {
			return nil, err
		}
		var found key.Key
		if err := scanKey(row, &found); err != nil {
			return nil, err
		}
		if found.DestroyAt <= now {
			all = append(all, found)
		}
		if len(all) == dueBatch {
			break
		}
	}
	return all, nil
}

// destroy looks at the key once more under the lock: it may have been saved.
func destroy(tx *store.Tx, id key.ID) error {
	found, err := keyInTx(tx, id)
	if err != nil {
		return err
	}
	if found.State != key.PendingDestruction || found.DestroyAt > tx.Head().Time {
		return journal.ErrState
	}
	found.State = key.Destroyed
	row, err := keyRow(found)
	if err != nil {
		return err
	}
	if err := tx.Put(keyTable, row); err != nil {
		return err
	}
	tx.RaiseEpoch()
	return software.Destroy(tx, id)
}
