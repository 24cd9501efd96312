package policy_test

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// TestDecisionsAgreeWithAnObviousReading holds Decide against a slow reading of
// docs/policy.md that shares no code with it.
func TestDecisionsAgreeWithAnObviousReading(t *testing.T) {
	seen := map[policy.Outcome]int{}
	for n := 0; n < 10 && len(seen) != 3; n++ { // of a hundred scenes chance may leave out the rarest outcome
		rapid.Check(t, func(rt *rapid.T) {
			rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 6).Draw(rt, "rows")
			s := drawScene(rt)
			d := s.judge(t, table(rows, inOrder(len(rows))))
			seen[d.Outcome()]++
			if want := oracle(rows, s); d.Outcome() != want {
				rt.Fatalf("got %s\nwant %s\n%s%+v", reasons(d), want, table(rows, inOrder(len(rows))), s)
			}
		})
	}
	if len(seen) != 3 {
		t.Errorf("the scenes are one-sided: %v", seen)
	}
}

func oracle(rows []row, s scene) policy.Outcome {
	effects := s.intent.Effects()
	covered := make([]bool, len(effects))
	denied, asks := false, false
	for _, r := range rows {
		fits := r.fitting(s, effects)
		if !slices.Contains(fits, true) {
			continue
		}
		if r.then == "deny" {
			denied = true
			continue
		}
		for i, e := range effects {
			blind := e.Verb == key.SignBlind && !slices.Contains(r.do, "sign-blind")
			open := e.What == chain.EffectSighash && r.sighash == nil
			covered[i] = covered[i] || fits[i] && !blind && !open
		}
		asks = asks || r.then != "allow"
		if own, counted := r.own(s, effects); r.window >= 0 && own > 0 && own+counted > r.window {
			if !r.over {
				denied = true
			}
			asks = true
		}
	}
	switch {
	case denied || slices.Contains(covered, false):
		return policy.Denied
	case asks:
		return policy.Asks
	}
	return policy.Allowed
}

func (r row) matches(s scene) bool {
	who := slices.Contains(r.who, "any") || slices.Contains(r.who, s.actor) || s.actor == "service:a" && slices.Contains(r.who, "group:s")
	keys := slices.Contains(r.keys, "any") || slices.Contains(r.keys, s.key) || s.key == "hot-1" && slices.Contains(r.keys, "hot-*")
	return who && keys && (r.hours == "" || r.hours == "now" || r.hours == "all day")
}

// paid is what a row says about earlier payments: the scene has at most one.
func (r row) paid(s scene, e chain.Effect) bool {
	before := e.To == alice && e.Chain == "eip155:1" && s.spent > 0
	return r.seen == "" || e.To != "" && before == (r.seen == "true")
}

func (r row) reaches(to, chain string) bool {
	return r.to == nil || slices.Contains(r.to, to) || to == carol && chain == "eip155:1" && slices.Contains(r.to, "book:b")
}

// whole counts in whole units; unlimited is a million.
func whole(e chain.Effect) int {
	if e.Amount == nil {
		return 1_000_000
	}
	if e.Asset.ID == dollar.ID {
		return int(e.Amount.Int64())
	}
	return int(new(big.Int).Div(e.Amount, one).Int64())
}

func (r row) fitting(s scene, effects []chain.Effect) []bool {
	fits := make([]bool, len(effects))
	id := map[string]string{"ETH": ether.ID, "USD": dollar.ID}[r.asset]
	total, fee := 0, 0
	for _, e := range effects {
		if e.Asset.ID == id {
			total += whole(e)
		}
		if e.What == chain.EffectFee && e.Asset.ID == ether.ID {
			fee = whole(e)
		}
	}
	if !r.matches(s) || r.feeMax >= 0 && fee > r.feeMax {
		return fits
	}
	inRange := (r.min < 0 || total >= r.min) && (r.max < 0 || total <= r.max)
	basic := func(e chain.Effect) bool {
		verb := slices.Contains(r.do, "any") || slices.Contains(r.do, "use") || slices.Contains(r.do, string(e.Verb))
		on := r.chains == nil || e.Chain == "eip155:1" && slices.Contains(r.chains, "ethereum") || e.Chain == "eip155:11155111" && slices.Contains(r.chains, "sepolia")
		return verb && on
	}
	payment := false
	for i, e := range effects {
		if e.What == chain.EffectFee || !basic(e) {
			continue
		}
		if e.What == chain.EffectSighash || r.sighash != nil {
			limited := r.asset != "" || r.to != nil || r.seen != ""
			fits[i] = e.What == chain.EffectSighash && !limited && (r.sighash == nil || slices.Contains(r.sighash, e.To))
			continue
		}
		fits[i] = (r.asset == "" || e.Asset.ID == id && inRange) && (r.to == nil || e.To != "" && r.reaches(e.To, e.Chain)) && r.paid(s, e)
		payment = payment || fits[i]
	}
	for i, e := range effects {
		if e.What != chain.EffectFee || !basic(e) || r.sighash != nil {
			continue
		}
		byAmount := r.asset == "" || e.Asset.ID == id && inRange
		byFee := r.feeMax >= 0 && e.Asset.ID == ether.ID
		if r.feeMax >= 0 && !byFee {
			continue
		}
		fits[i] = byAmount && (r.to == nil && r.seen == "" || payment) || byFee && payment
	}
	return fits
}

// own is what the scene takes from the row's window, and what was taken before.
func (r row) own(s scene, effects []chain.Effect) (own, before int) {
	for _, e := range effects {
		if e.Asset.ID == ether.ID && (e.What == chain.EffectFee || r.reaches(e.To, e.Chain)) {
			own += whole(e)
		}
	}
	if r.reaches(alice, "eip155:1") {
		before = s.spent
	}
	return own, before
}
