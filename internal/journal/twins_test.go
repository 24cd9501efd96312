package journal_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	for _, twin := range []struct{ name, test, original, old, broken string }{
		{"released before the commit", "^TestNoPermitBeforeItsCommit$", "commit.go",
			"e.position = audit.Position{Sequence: head.Sequence, Hash: hash}\n",
			"e.position = audit.Position{Sequence: head.Sequence, Hash: hash}\n\t\tif e.done != nil && !e.lazy {\n\t\t\tclose(e.done)\n\t\t\te.done = nil\n\t\t}\n"},
		{"recovery forgets what it has not come to", "^TestInterruptedRecoveryIsCompleted$", "recover.go",
			"tx.Head().Open = min(tx.Head().Open, rest[0].began)", "_ = rest[0].began"},
		{"an end is written again", "^TestUnknownCommitGivesNoPermit$", "admit.go",
			"return endedBefore(tx, e)", "return nil"},
		{"idempotency keys are not looked up", "^TestIdempotencyKeySpendsOnce$", "admit.go",
			"if !found {", "if found || !found {"},
		{"windows are not checked in the commit", "^TestRacingPaymentsShareAWindow$", "admit.go",
			"return j.ledger.check(tx, e.decision, now)", "_ = j.ledger.check(tx, e.decision, now)\n\treturn nil"},
		{"what waits is not bounded", "^TestNobodyKeepsMoreWaitingThanTheBound$", "admit.go",
			"return j.wait.check(tx, e.row.actor, len(e.row.request))", "return nil"},
		{"counts outlive a failed commit", "^TestNobodyKeepsMoreWaitingThanTheBound$", "commit.go",
			"	j.wait.forget()\n", ""},
		{"a group is counted before it is written", "^TestNobodyKeepsMoreWaitingThanTheBound$", "waiting.go",
			"w.actors[actor].plus(w.open[actor]).plus(one)", "w.actors[actor].plus(one)"},
		{"rules are not compared in the commit", "^TestForeignRulesEarnNothing$", "admit.go",
			"e.decision.Rules() != head.Rules || ", ""},
		{"epochs are not compared in the commit", "^TestRaisedEpochMakesDecisionsStale$", "admit.go",
			"|| req.Epoch() != head.Epoch {", "{"},
		{"keys are not compared in the commit", "^TestForeignKeyFactsEarnNothing$", "admit.go",
			"if digest != e.keyDigest {", "if false && digest != e.keyDigest {"},
		{"denials are bounded for each address", "^TestDenialsAreBoundedForEachActorFromWhereverItComes$", "journal.go",
			"allow(req.Actor().Name(), ", "allow(req.Actor().Name()+req.Actor().Source(), "},
		{"addresses are counted without a bound", "^TestManyAddressesTakeNobodyElsesCounter$", "count.go",
			"case c.own[k.actor] >= countedOwn:", "case false:"},
		{"all rates are forgotten at once", "^TestManyActorsResetNobodysRate$", "count.go",
			"delete(c.rates, idle)", "delete(c.rates, idle)\n\tclear(c.rates)"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.test, twin.original, twintest.Edited(t, twin.original, twin.old, twin.broken))
		})
	}
}
