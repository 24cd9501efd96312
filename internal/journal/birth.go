package journal

import (
	"context"
	"io"
	"time"

	"keyward/internal/audit"
	"keyward/internal/store"
)

// Birth writes the first record of a new installation's log and everything that
// effect adds, in one commit; store.ErrInitialized when there is one already.
// rowKey is lent.
func Birth(ctx context.Context, pen Pen, node string, now time.Time, rand io.Reader, rowKey []byte, effect func(*store.Tx) error) error {
	var id [16]byte
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return err
	}
	entry := audit.Entry{Sequence: 1}
	if _, err := io.ReadFull(rand, entry.Nonce[:]); err != nil {
		return err
	}
	entry.Record = audit.Record{
		Sequence: 1, Time: now.UnixMilli(), Node: node, Action: "installation.create", Phase: string(phaseNoted), Actor: "operator",
		Source: "offline", Outcome: "done",
	}.Encode()
	return pen.w.Init(ctx, rowKey, id, func(tx *store.Tx) error {
		head := tx.Head()
		head.Sequence, head.Time = 1, now.UnixMilli()
		if err := effect(tx); err != nil {
			return err
		}
		head.Hash = audit.Chain(head.Hash, audit.Leaf(1, entry.Nonce, entry.Record))
		_, err := tx.Exec("INSERT INTO log (first, count, group_id, body) VALUES ($1, $2, $3, $4)",
			int64(1), int64(1), id[:], audit.AppendGroup(nil, []audit.Entry{entry}))
		return err
	})
}
