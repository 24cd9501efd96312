package clock_test

import (
	"testing"

	"keyward/internal/twintest"
)

func TestBrokenTwinsAreCaught(t *testing.T) {
	for _, twin := range []struct{ name, test, old, broken string }{
		{"the jump is believed", "^TestAStartIsJudgedByTheNewestRecord$", "ahead > MaxJump {", "false && ahead > MaxJump {"},
		{"a clock behind is believed", "^TestAStartIsJudgedByTheNewestRecord$", "behind > Tolerance {", "false && behind > Tolerance {"},
		{"a clock that was set is believed", "^TestAClockThatIsSetIsNotFollowed$", "if (off - follow).Abs() > Tolerance {", "if false {"},
		{"what is not followed is saved up", "^TestAClockThatIsSetIsNotFollowed$",
			"c.base, c.at = r.Believed, r.boot\n\t\tway :=", "way :="},
		{"a long sleep covers any time", "^TestSleepIsNoDrift$", "min(passed, slewMax)", "passed"},
		{"sleep is taken for drift", "^TestSleepIsNoDrift$", "c.judge(c.boot.exact())", "c.judge(c.boot.quick())"},
		{"a slew adds up", "^TestASlewedClockStaysTrusted$", "slew = 1000", "slew = 100"},
		{"every time is accepted with one", "^TestWhatIsAcceptedIsBelieved$",
			"\tc.anchor(r)\n}\n\n// anchor", "\tc.anchor(r)\n\tc.anchored = false\n}\n\n// anchor"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.test, "clock.go", twintest.Edited(t, "clock.go", twin.old, twin.broken))
		})
	}
}
