package journal

import (
	"context"

	"keyward/internal/store"
)

// Pen is the store's Writer in a hand that cannot write with it: whoever builds
// the house carries it from the store to Open and Birth, may lock and unlock
// it, and can change nothing.
type Pen struct{ w *store.Writer }

// Hold wraps the Writer. The wiring calls it once, where the store is opened.
func Hold(w *store.Writer) Pen { return Pen{w} }

// Unlock gives Reader and Writer the row key, which stays the caller's; see
// store.Writer.Unlock.
func (p Pen) Unlock(ctx context.Context, rowKey []byte) error { return p.w.Unlock(ctx, rowKey) }

// Verify verifies the rows of these tables and has every later commit look
// whether anybody else wrote; see store.Writer.Verify.
func (p Pen) Verify(ctx context.Context, tables []store.Table) error { return p.w.Verify(ctx, tables) }

// Lock wipes the row key; every commit and verified read fails from then on.
func (p Pen) Lock() { p.w.Lock() }

// Space is what the database may still grow by, in bytes.
func (p Pen) Space(ctx context.Context) (int64, error) { return p.w.Space(ctx) }

// Close closes the database, also for the Reader.
func (p Pen) Close() error { return p.w.Close() }
