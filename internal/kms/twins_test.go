package kms_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	const journal = "../journal/"
	for _, twin := range []struct{ name, test, original, old, broken string }{
		{"window not checked in the commit", "^TestConcurrentCallersNeverExceedAWindow$", journal + "admit.go",
			"return j.ledger.check(tx, e.decision, now)", "_ = j.ledger.check(tx, e.decision, now)\n\treturn nil"},
		{"denials have rows", "^TestDeniedTwiceUnderOneIdempotencyKeyHarmsNobody$", journal + "operation.go",
			"o.state != Denied && (o.idem", "(o.idem"},
		{"revoked services are not looked for", "^TestNothingBeginsUnderAnOldState$", "corridor.go",
			"if err := u.directory.Current(ctx, in.Actor, u.journal.Now(), u.journal.Epoch()); err != nil {", "if false {"},
		{"a repeated rotation is applied", "^TestRotatingTheRootTwiceUnderOneIdempotencyKeyRotatesOnce$", "rotate.go",
			"case err != nil || answer.replayed():", "case err != nil:"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.test, twin.original, twintest.Edited(t, twin.original, twin.old, twin.broken))
		})
	}
}
