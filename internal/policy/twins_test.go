package policy_test

import (
	"testing"

	"keyward/internal/twintest"
)

// TestBrokenTwinsAreCaught: each promise has a test that notices when it is
// broken.
func TestBrokenTwinsAreCaught(t *testing.T) {
	t.Setenv("RAPID_NOFAILFILE", "true") // what fails on purpose is not worth keeping
	for _, c := range []struct{ promise, test, file, old, broken string }{
		{"the order of rules never matters", "TestOrderOfRulesNeverMatters", "decide.go", "all = append(all, s)\n", "all = append(all, s)\n\t\tbreak\n"},
		{"deny by default", "TestRulesDecide", "decide.go", "p.uncovered(q, covered, denials)\n", "denials\n"},
		{"any never grants blind signing", "TestSoloAllowsEverythingButBlind", "parserule.go",
			"r.grants |= setOf(key.Verbs()...) &^ blindVerb", "r.grants |= setOf(key.Verbs()...)"},
		{"the fee counts", "TestRulesDecide", "question.go", "s.total.Add(s.total, e.amount)", "if e.What != chain.EffectFee {\n\t\ts.total.Add(s.total, e.amount)\n\t}"},
		{"no rule covers outside of its hours", "TestHoursFollowTheClockOnTheWall", "rule.go", " && r.hours.holds(q.now)", ""},
		{"a first payment is not one of many", "TestOnlyDestinationsPaidBefore", "rule.go", "!e.hasSpot || e.seen != *r.seen", "!e.hasSpot"},
		{"what a signature leaves open is named", "TestWhatASignatureLeavesOpenIsNamed", "rule.go", " && (e.What != chain.EffectSighash || r.sighash != nil)", ""},
		{"a fee is within its rate", "TestFeeRateIsACondition", "rule.go", "paid.total.Cmp(most) <= 0", "most != nil"},
		{"a mistyped address is found", "TestBitcoinAddressesAreCheckedByNetwork", "bitcoin.go", "polymod(prefix, data) != want", "want == 0"},
		{"a window adds up accounts apart", "TestWindowsAddUpAccounts", "rule.go", "!r.keys.has(name, path) {", "!r.keys.has(name, path[:0]) {"},
		{"a full window denies", "TestWindowIsADemandNeverACondition", "decide.go", "if b.over == nil {", "if b.over != nil && false {"},
	} {
		t.Run(c.promise, func(t *testing.T) {
			twintest.MustFail(t, ".", "^"+c.test+"$", c.file, twintest.Edited(t, c.file, c.old, c.broken))
		})
	}
}
