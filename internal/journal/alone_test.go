package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// One operation that cannot be counted is refused alone.
func TestSpendingBeyondItsColumnIsRefusedAlone(t *testing.T) {
	h := journaltest.New(t)
	now := time.Now()
	h.Now = func() time.Time { return now }
	k := newKey(t, "k")
	k.Spec, k.Domain = key.Secp256k1, key.Ethereum
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	pay := func(amount *big.Int) policy.Decision {
		return h.Decide(k, 1, key.EthereumKeccak, payment(t, amount))
	}
	huge, small := pay(most), pay(big.NewInt(5))
	ctx := context.Background()
	if _, err := h.Journal.Begin(ctx, grant(t, huge), journal.Terms{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := h.Journal.Begin(ctx, grant(t, small), journal.Terms{})
			if !errors.Is(err, journal.ErrOverflow) {
				t.Errorf("got %v, want ErrOverflow", err)
			}
		})
		wg.Go(func() {
			other := newKey(t, fmt.Sprint("other-", i))
			if _, err := h.Journal.Begin(ctx, grant(t, h.Decide(other, 1, key.ECDSASHA256, message(t, "hello"))), journal.Terms{}); err != nil {
				t.Errorf("beside it: %v", err)
			}
		})
	}
	wg.Wait()
}

// payment is a decoded payload of amount base units of an asset.
func payment(t testing.TB, amount *big.Int) chain.Parsed {
	t.Helper()
	p, err := chain.Parse(payer{amount}, []byte("pay "+amount.String()), chain.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// payer is a chain on which a payload is an amount.
type payer struct{ amount *big.Int }

func (payer) Domain() key.Domain { return key.Ethereum }

func (p payer) Decode([]byte, chain.Ask) (chain.Decoded, error) {
	return chain.Decoded{
		Type: chain.TypeTx, Tasks: []chain.Task{{Digest: make([]byte, chain.DigestSize)}},
		Intent: chain.Intent{
			Kind: chain.Transaction, Chain: "eip155:1",
			Moves: []chain.Move{{Asset: ether, Amount: p.amount, From: "me", To: payee}},
		},
		Assemble: func([]key.Recoverable) ([]byte, error) { return nil, nil },
		Extract:  func([]byte) ([]key.Recoverable, error) { return nil, nil },
	}, nil
}

const payee = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

var ether = chain.Asset{ID: "eip155:1/slip44:60", Symbol: "ETH", Decimals: 18}

// An effect that runs into a unique column fails alone as well.
func TestConflictingEffectFailsAlone(t *testing.T) {
	h := journaltest.New(t)
	k := newKey(t, "k")
	d := h.Decide(k, 1, key.ECDSASHA256, message(t, "hello"))
	row := store.Row{int64(0), "k", "a", "asset", "to", make([]byte, 32)}
	insert := func(tx *store.Tx) error { return tx.Insert(journal.Spending(), row) }
	var conflicts, done atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, _, err := h.Journal.Do(context.Background(), grant(t, d), journal.Terms{Effect: insert})
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, store.ErrConflict):
				conflicts.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
		wg.Go(func() {
			if _, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{}); err != nil {
				t.Errorf("beside it: %v", err)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 || conflicts.Load() != 7 {
		t.Errorf("got %d done and %d in conflict, want 1 and 7", done.Load(), conflicts.Load())
	}
	if err := h.Reader.VerifyAll(context.Background(), []store.Table{journal.Spending()}); err != nil {
		t.Error(err)
	}
}

// All were judged before the first was recorded: the window holds all the same.
func TestRacingPaymentsShareAWindow(t *testing.T) {
	h := journaltest.Under(t, narrow)
	k := newKey(t, "k")
	k.Spec, k.Domain = key.Secp256k1, key.Ethereum
	d := h.Decide(k, 1, key.EthereumKeccak, payment(t, big.NewInt(300)))
	var begun atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := h.Journal.Begin(context.Background(), grant(t, d), journal.Terms{})
			switch {
			case err == nil:
				begun.Add(1)
			case !errors.Is(err, journal.ErrStale):
				t.Errorf("got %v, want ErrStale", err)
			}
		})
	}
	wg.Wait()
	if begun.Load() != 3 {
		t.Errorf("got %d payments of 300 begun under a window of 1000, want 3", begun.Load())
	}
}
