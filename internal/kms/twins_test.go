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
		{"what was granted ends its waiting twice in a group", "^TestGrantedRequestBeginsOnce$", journal + "waiting.go",
			"ok && seen[k] != nil", "ok && seen[k] != nil && len(seen) < 0"},
		{"what waits has no end", "^TestWaitingRequestsExpire$", "corridor.go",
			"if errors.As(err, &wait) && d.Request().Expires() == 0 {", "if errors.As(err, &wait) && d.Request().Expires() < 0 {"},
		{"denials have rows", "^TestDeniedTwiceUnderOneIdempotencyKeyHarmsNobody$", journal + "operation.go",
			"o.state != Denied && (o.idem", "(o.idem"},
		{"revoked services are not looked for", "^TestNothingBeginsUnderAnOldState$", "corridor.go",
			"if err := u.directory.Current(ctx, in.Actor, u.journal.Now(), u.journal.Epoch()); err != nil {", "if false {"},
		{"the jump is believed", "^TestAJumpOfTheClockEmptiesNoWindow$", "../clock/clock.go",
			"ahead > MaxJump {", "false && ahead > MaxJump {"},
		{"an untrusted clock lets keys be used", "^TestAJumpOfTheClockIsNotBelievedAtAStart$", journal + "time.go",
			"case phaseBegun, phaseWaiting, phaseExpired:\n\t\treturn late", "case phaseBegun, phaseWaiting, phaseExpired:\n\t\treturn nil"},
		{"an untrusted clock lets keys be destroyed", "^TestAJumpOfTheClockIsNotBelievedAtAStart$", "destroy.go",
			"if err := u.journal.Timely(); err != nil {", "if false {\n\t\tvar err error"},
		{"an accepted clock shortens the time to repent", "^TestAJumpOfTheClockIsNotBelievedAtAStart$", "keys.go",
			"now = max(now, k.opt.Clock().UnixMilli())\n", ""},
		{"what was accepted is not kept", "^TestAnAcceptedClockIsNotAskedForAgain$", journal + "time.go",
			"max(tx.Head().Time, a.To.UnixMilli())", "tx.Head().Time"},
		{"a quiet month leaves no mark", "^TestAQuietMonthIsNoJump$", "run.go",
			"if u == nil || u.journal.Now()", "if u != nil || u.journal.Now()"},
		{"names are told to everybody", "^TestWhoMayDoNothingWithAKeyLearnsNothingOfIt$", "known.go",
			"if !knows(r, a, ref) &&", "if false &&"},
		{"ids are told to everybody", "^TestWhoMayDoNothingWithAKeyLearnsNothingOfIt$", "known.go",
			"may = knows(r, a, found.Name)", "may = true"},
		{"what cannot be done is begun", "^TestWhatNoKeyCanDoIsNeverBegun$", "corridor.go",
			"if err := fits(g.Decision().Request()); err != nil {", "if err := error(nil); err != nil {"},
		{"foreign writes not looked for", "^TestTheNextSignatureAfterAForeignWriteIsRefused$", "../store/watch.go",
			"if err != nil || version == w.watch.version {", "if true {"},
		{"rows not watched from unsealing on", "^TestTheNextSignatureAfterAForeignWriteIsRefused$", "open.go",
			"k.opt.Pen.Verify(ctx, tables())", "k.opt.Reader.VerifyAll(ctx, tables())"},
		{"what was read before the look believed", "^TestWhatWasReadBeforeTheLookIsForgotten$", journal + "commit.go",
			"tx.RaiseEpoch()", ""},
		{"another connection of the store believed", "^TestAForeignWriteBehindALostConnectionIsFound$", "../store/writer.go",
			"w.watch.version = nil // another connection counts anew", ""},
		{"sealing needs a log", "^TestTheNextSignatureAfterAForeignWriteIsRefused$", "open.go",
			"if a.Kind() == identity.LocalOperator && u.unrecordable(err) {", "if false {"},
		{"signed into a damaged log", "^TestADamagedLogStopsTheUseOfKeys$", "corridor.go",
			"if err := u.log.Damage(); err != nil {", "if err := u.log.Damage(); false {"},
		{"a repeated rotation is applied", "^TestRotatingTheRootTwiceUnderOneIdempotencyKeyRotatesOnce$", "rotate.go",
			"case err != nil || answer.replayed():", "case err != nil:"},
		{"rows sealed under an older root key are stored", "^TestKeyBornWhileARotationIsUnknownSurvivesIt$", "rotate.go",
			"if u.root.Version() != version {", "if false {"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.test, twin.original, twintest.Edited(t, twin.original, twin.old, twin.broken))
		})
	}
}
