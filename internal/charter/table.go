package charter

import (
	"context"
	"fmt"

	"keyward/internal/store"
)

var table = store.Table{Name: "charter", Key: []string{"version"}, Columns: []string{"version", "body", "signature"}, Summed: true}

// Table is where the versions are kept.
func Table() store.Table { return table }

// Put stores a version that follows the newest, puts its rules in force and
// raises the epoch: what was judged before is stale.
func Put(tx *store.Tx, s Signed, rules [32]byte) error {
	head := tx.Head()
	if s.Charter.Version != 0 && s.Charter.Version != head.Charter+1 {
		return fmt.Errorf("%w: version %d does not follow %d", ErrInvalid, s.Charter.Version, head.Charter)
	}
	if err := tx.Insert(table, store.Row{int64(s.Charter.Version), s.Body, s.Signature}); err != nil {
		return err
	}
	head.Charter, head.Rules = s.Charter.Version, rules
	tx.RaiseEpoch()
	return nil
}

// Load reads and verifies the whole chain, oldest first.
func Load(ctx context.Context, r *store.Reader) ([]Signed, error) {
	var chain []Signed
	for row, err := range r.Rows(ctx, table, "TRUE ORDER BY version") {
		if err != nil {
			return nil, fmt.Errorf("load charter: %w", err)
		}
		s, err := Parse(row.Bytes(1), row.Bytes(2))
		if err != nil {
			return nil, fmt.Errorf("load charter: %w", err)
		}
		chain = append(chain, s)
	}
	return chain, Verify(chain)
}
