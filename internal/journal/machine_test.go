package journal_test

import (
	"context"
	"errors"
	"math/big"
	"os"
	"testing"

	"pgregory.net/rapid"

	"keyward/internal/approval"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// narrow allows 1,000 base units of the asset in a day.
const narrow = `version: 1
rules:
  - {name: pay, who: [operator], keys: [k], do: [sign-transaction], window: {asset: ETH, per: 24h, max: "0.000000000000001"}, then: allow}
`

// machine is what a journal must look like from outside, whatever order requests,
// retries, ends, crashes and lost commits come in.
type machine struct {
	t    *rapid.T
	h    *journaltest.House
	k    key.Key
	lose func(happens bool)

	spent *big.Int         // by whatever was begun
	asked map[string]asked // by idempotency key
	held  []journal.Permit // begun and not ended
}

type asked struct {
	amount    int64
	operation string
}

func (m *machine) pay() {
	amount := rapid.Int64Range(1, 400).Draw(m.t, "amount")
	idem := rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(m.t, "idem")
	before, known := m.asked[idem]
	d := m.decide(amount)
	if d.Outcome() != policy.Allowed {
		if new(big.Int).Add(m.spent, big.NewInt(amount)).Cmp(big.NewInt(1000)) <= 0 {
			m.t.Fatalf("%d were denied with %s spent of 1000", amount, m.spent)
		}
		return
	}
	p, err := m.begin(d, idem)
	var again *journal.Replay
	switch {
	case err == nil && known:
		if before.operation != p.Operation() || before.amount != amount {
			m.t.Fatalf("idempotency key %q: begun anew as %s, was %s", idem, p.Operation(), before.operation)
		}
	case err == nil:
		m.spend(amount)
		if idem != "" {
			m.asked[idem] = asked{amount, p.Operation()}
		}
	case errors.As(err, &again):
		if idem == "" || known && before.amount != amount {
			m.t.Fatalf("got a replay of another request: %v", err)
		}
		return
	case errors.Is(err, journal.ErrReused):
		if !known || before.amount == amount {
			m.t.Fatalf("got %v for the same request", err)
		}
		return
	case errors.Is(err, journal.ErrStale): // the window filled up
		return
	default:
		m.t.Fatal(err)
	}
	if _, err := p.Take(key.SignTransaction); err != nil {
		m.t.Fatal(err)
	}
	m.held = append(m.held, p)
}

func (m *machine) decide(amount int64) policy.Decision {
	return m.h.Decide(m.k, 1, key.EthereumKeccak, payment(m.h.T, big.NewInt(amount)))
}

func (m *machine) begin(d policy.Decision, idem string) (journal.Permit, error) {
	g, err := approval.Tally(d, d.Request().Created())
	if err != nil {
		m.t.Fatal(err)
	}
	return m.h.Journal.Begin(context.Background(), g, journal.Terms{Idempotency: idem})
}

func (m *machine) spend(amount int64) { m.spent.Add(m.spent, big.NewInt(amount)) }

func (m *machine) finish() {
	if len(m.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(m.t, "which")
	o := journal.Outcome{Wait: rapid.Bool().Draw(m.t, "wait"), Keep: true, Result: []byte("signature")}
	if err := m.h.Journal.Finish(context.Background(), m.held[i], o); err != nil {
		m.t.Fatal(err)
	}
	m.held = append(m.held[:i], m.held[i+1:]...)
}

func (m *machine) crash() {
	m.h.Reopen()
	m.held = nil
}

// lost: the commit of a payment has no known outcome.
func (m *machine) lost() {
	amount := rapid.Int64Range(1, 100).Draw(m.t, "amount")
	happens := rapid.Bool().Draw(m.t, "happens")
	d := m.decide(amount)
	if d.Outcome() != policy.Allowed {
		return
	}
	m.lose(happens)
	p, err := m.begin(d, "")
	if !errors.Is(err, journal.ErrUnknown) || p.Valid() {
		m.t.Fatalf("got %v, want ErrUnknown and no permit", err)
	}
	for m.h.Journal.Ready() != nil { // repaired by a goroutine
	}
	if happens {
		m.spend(amount)
	}
}

func (m *machine) check() {
	sum := new(big.Int)
	for row, err := range m.h.Reader.Rows(context.Background(), journal.Spending(), "") {
		if err != nil {
			m.t.Fatal(err)
		}
		sum.Add(sum, new(big.Int).SetBytes(row.Bytes(5)))
	}
	if sum.Cmp(m.spent) != 0 || sum.Cmp(big.NewInt(1000)) > 0 {
		m.t.Fatalf("got %s spent, want %s and at most 1000", sum, m.spent)
	}
}

func TestWhateverHappensNothingIsSpentTwice(t *testing.T) {
	runs, most := 0, 25 // each syncs some dozens of commits
	switch {
	case os.Getenv("KEYWARD_TEST_LONG") == "1":
		most = 1000
	case testing.Short():
		most = 5
	}
	rapid.Check(t, func(r *rapid.T) {
		if runs++; runs > most {
			return
		}
		lose, happens := false, false
		h := journaltest.Over(t, narrow, func(commit func() error) error {
			if !lose {
				return commit()
			}
			lose = false
			if happens {
				if err := commit(); err != nil {
					return err
				}
			}
			return journaltest.ErrLost
		})
		defer h.Close()
		m := &machine{
			t: r, h: h, k: newKey(t, "k"), spent: new(big.Int), asked: map[string]asked{},
			lose: func(it bool) { lose, happens = true, it },
		}
		m.k.Spec, m.k.Domain = key.Secp256k1, key.Ethereum
		r.Repeat(map[string]func(*rapid.T){
			"pay":    func(t *rapid.T) { m.t = t; m.pay() },
			"again":  func(t *rapid.T) { m.t = t; m.pay() },
			"finish": func(t *rapid.T) { m.t = t; m.finish() },
			"crash":  func(t *rapid.T) { m.t = t; m.crash() },
			"lost":   func(t *rapid.T) { m.t = t; m.lost() },
			"":       func(t *rapid.T) { m.t = t; m.check() },
		})
		m.crash()
		all := records(t, h)
		if twice, open := ends(all); twice > 0 || open > 0 {
			r.Fatalf("got %d operations ended twice and %d never", twice, open)
		}
		sum := new(big.Int)
		for _, rec := range all {
			for _, c := range rec.Charges {
				if rec.Phase == "begun" {
					n, _ := new(big.Int).SetString(c.Amount, 10)
					sum.Add(sum, n)
				}
			}
		}
		if sum.Cmp(m.spent) != 0 {
			r.Fatalf("got %s charged in the log, want %s", sum, m.spent)
		}
	})
}
