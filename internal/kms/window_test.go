package kms_test

import (
	"math/big"
	"sync"
	"sync/atomic"
	"testing"

	"keyward/internal/key"
	"keyward/internal/kms"
)

// many runs f at once in n goroutines and waits for all.
func many(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

func TestConcurrentCallersNeverExceedAWindow(t *testing.T) {
	for _, c := range []struct {
		name        string
		max         string
		limit       int64 // of max, in ETH
		milli       int64 // each
		tries, fits int
	}{
		{"one fits", "1", 1, 900, 1, 1},
		{"some fit", "10", 10, 100, 4, 99},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.key("hot", key.Secp256k1, key.Ethereum)
			b.apply(payouts(c.max))
			service := b.service("payouts")
			var signed atomic.Int64
			many(64, func(i int) {
				for n := range c.tries {
					_, err := b.pay(service, "hot", payee, c.milli, i*c.tries+n, kms.Ask{})
					switch {
					case err == nil:
						signed.Add(1)
					case kms.KindOf(err) != kms.Denied:
						t.Errorf("got %v, want a signature or a denial", err)
					}
				}
			})
			each := new(big.Int).Add(maxFee, new(big.Int).Mul(big.NewInt(c.milli), big.NewInt(1e15)))
			sum := new(big.Int).Mul(each, big.NewInt(signed.Load()))
			limit := new(big.Int).Mul(big.NewInt(c.limit), big.NewInt(1e18))
			if sum.Cmp(limit) > 0 {
				t.Errorf("signed %s wei in all, the window allows %s", sum, limit)
			}
			if int(signed.Load()) != c.fits {
				t.Errorf("got %d signatures, want the %d that fit", signed.Load(), c.fits)
			}
			if got := b.spent(); got.Cmp(sum) != 0 {
				t.Errorf("got %s wei in the rows of spending, want the %s that were signed", got, sum)
			}
			if got := charged(t, b.records()); got.Cmp(sum) != 0 {
				t.Errorf("got %s wei in the records, want the %s that were signed", got, sum)
			}
		})
	}
}

// Another policy may give an old scope's name to other payments: its windows are
// judged on the facts all the same, also when every request is denied.
func TestWindowOfAnotherPolicyIsJudgedOnItsOwnFacts(t *testing.T) {
	b := newBed(t)
	b.key("hot", key.Secp256k1, key.Ethereum)
	b.key("cold", key.Secp256k1, key.Ethereum)
	rule := func(name string) string {
		return "  - {name: payouts, who: [service:payouts], keys: [" + name + "], do: [sign-transaction], window: {asset: ETH, per: 24h, max: \"1\"}, then: allow}\n"
	}
	b.apply(rule("hot"))
	service := b.service("payouts")
	if _, err := b.pay(service, "hot", payee, 900, 0, kms.Ask{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.pay(service, "hot", payee, 900, 1, kms.Ask{})
	wantKind(t, err, kms.Denied)
	b.apply(rule("cold"))
	if _, err := b.pay(service, "cold", payee, 900, 0, kms.Ask{}); err != nil {
		t.Errorf("the other key spent nothing: got %v", err)
	}
	b.apply(rule("hot"))
	_, err = b.pay(service, "hot", payee, 900, 1, kms.Ask{})
	wantKind(t, err, kms.Denied)
	b.again(nil)
	b.unseal()
	_, err = b.pay(service, "hot", payee, 900, 1, kms.Ask{})
	wantKind(t, err, kms.Denied)
}
