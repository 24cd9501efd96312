package clock_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"keyward/internal/clock"
)

// newest is the log time of the newest record in all tests.
var newest = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// machine has a wall's clock that anybody may set, and a time since boot.
type machine struct {
	t     *testing.T
	wall  time.Time
	boot  time.Duration
	slept time.Duration // of boot, since the kernel was asked last
	clock *clock.Clock
}

// start is a start of keyward when the wall's clock is so far from newest.
func start(t *testing.T, off time.Duration) *machine {
	m := &machine{t: t, wall: newest.Add(off), boot: time.Hour}
	m.clock = clock.Sleeping(newest, func() time.Time { return m.wall }, func() time.Duration { return m.boot - m.slept }, func() time.Duration {
		m.slept = 0
		return m.boot
	})
	return m
}

// pass lets time go by.
func (m *machine) pass(d time.Duration) { m.wall, m.boot = m.wall.Add(d), m.boot+d }

// sleep lets time go by while the machine sleeps, which the runtime does not see.
func (m *machine) sleep(d time.Duration) {
	m.pass(d)
	m.slept += d
}

// set sets the wall's clock.
func (m *machine) set(by time.Duration) { m.wall = m.wall.Add(by) }

// want wants that time is believed, and the clock trusted or not, with a reason.
func (m *machine) want(believed time.Time, reason string) {
	m.t.Helper()
	got, err := m.clock.Now()
	if !got.Equal(believed) {
		m.t.Errorf("got %s, want %s believed", got.UTC(), believed.UTC())
	}
	switch {
	case reason == "" && err != nil:
		m.t.Errorf("got %v, want the clock trusted", err)
	case reason != "" && (!errors.Is(err, clock.ErrUntrusted) || !strings.Contains(err.Error(), reason)):
		m.t.Errorf("got %v, want it untrusted: %q", err, reason)
	}
}

func TestAStartIsJudgedByTheNewestRecord(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name     string
		off      time.Duration
		believed time.Duration // after newest
		reason   string
	}{
		{"off for a while", time.Hour, time.Hour, ""},
		{"as far as may be", clock.MaxJump, clock.MaxJump, ""},
		{"a moment farther", clock.MaxJump + time.Millisecond, 0, "the clock is 7 days ahead of the newest record (2026-11-23T02:00:00Z)"},
		{"ten years ahead", 3650 * day, 0, "3650 days ahead"},
		{"a little behind", -2 * time.Second, -2 * time.Second, ""},
		{"behind", -3 * time.Hour, 0, "the clock is 3h0m0s behind the newest record (2026-11-23T02:00:00Z)"},
		{"1970", time.Unix(0, 0).Sub(newest), 0, "days behind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start(t, c.off).want(newest.Add(c.believed), c.reason)
		})
	}
}

func TestTimeGoesOnBesideAClockThatIsAhead(t *testing.T) {
	m := start(t, 100*24*time.Hour)
	m.want(newest, "100 days ahead")
	m.pass(time.Hour)
	m.want(newest.Add(time.Hour), "100 days ahead")
	m.set(-99 * 24 * time.Hour) // somebody sets it right
	m.want(newest.Add(25*time.Hour), "")
}

func TestAClockThatIsBehindCatchesUp(t *testing.T) {
	m := start(t, -time.Hour)
	m.want(newest, "1h0m0s behind")
	m.pass(30 * time.Minute)
	m.want(newest, "30m0s behind")
	m.pass(30 * time.Minute)
	m.want(newest, "")
	m.pass(time.Minute)
	m.want(newest.Add(time.Minute), "")
}

func TestAClockThatIsSetIsNotFollowed(t *testing.T) {
	for name, by := range map[string]time.Duration{"set forward by 1m0s": time.Minute, "set back by 1m0s": -time.Minute} {
		m := start(t, 0)
		m.want(newest, "")
		m.pass(time.Minute)
		m.set(by)
		m.want(newest.Add(time.Minute), name)
		// However long it stands so, and however often it is read.
		for range 24 * 60 {
			m.pass(time.Minute)
			m.want(newest.Add(m.boot-time.Hour), name)
		}
		m.set(-by)
		m.want(newest.Add(m.boot-time.Hour), "")
	}
}

func TestSleepIsNoDrift(t *testing.T) {
	m := start(t, 0)
	m.want(newest, "")
	m.sleep(100 * 24 * time.Hour)
	m.want(newest.Add(m.boot-time.Hour), "")
	m.pass(time.Minute)
	m.want(newest.Add(m.boot-time.Hour), "")
	m.sleep(100 * 24 * time.Hour)
	m.set(time.Hour) // somebody sets it meanwhile
	m.want(newest.Add(m.boot-time.Hour), "set forward by 1h0m0s")
}

// NTP slews a clock by at most 500 ppm: 1.8 seconds an hour, which must not add
// up, however seldom the clock is read.
func TestASlewedClockStaysTrusted(t *testing.T) {
	for _, every := range []time.Duration{time.Second, time.Minute, 12 * time.Hour} {
		for _, ppm := range []time.Duration{500, -500} {
			m := start(t, 0)
			m.want(newest, "")
			for range 1000 {
				m.pass(every)
				m.set(every * ppm / 1_000_000)
				m.want(m.wall, "")
			}
		}
	}
}

// A step within the tolerance is followed slowly, one beyond it never, and what
// drifts faster than any slew is found.
func TestFollowingIsSlow(t *testing.T) {
	m := start(t, 0)
	m.want(newest, "")
	m.set(1500 * time.Millisecond)
	m.want(newest, "")
	m.pass(10 * time.Second)
	m.want(newest.Add(10*time.Second+10*time.Millisecond), "")
	m.pass(time.Hour)
	m.want(m.wall, "")
	for range 3600 {
		m.pass(time.Second)
		m.set(2 * time.Millisecond) // 2000 ppm
		if _, err := m.clock.Now(); err != nil {
			return
		}
	}
	t.Error("a clock that gains 7 seconds an hour is trusted for ever")
}

func TestWhatIsAcceptedIsBelieved(t *testing.T) {
	for name, m := range map[string]*machine{"at a start": start(t, 400*24*time.Hour), "behind": start(t, -time.Hour), "while running": start(t, 0)} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			if name == "while running" {
				m.want(newest, "")
				m.set(time.Hour)
			}
			seen, err := m.clock.Read()
			if err == nil || !seen.Wall.Equal(m.wall) {
				t.Fatalf("got %v, %v; want the wall's clock, untrusted", seen.Wall, err)
			}
			m.pass(time.Second)
			m.clock.Accept(seen)
			m.want(m.wall, "")
			m.pass(time.Hour)
			m.want(m.wall, "")
			m.set(24 * time.Hour) // what was accepted is one time, not any
			m.want(m.wall.Add(-24*time.Hour), "set forward")
		})
	}
}

// The machine's own time since boot moves on.
func TestTimeSinceBootMovesOn(t *testing.T) {
	c := clock.New(time.Now(), time.Now, nil)
	before := c.Elapsed()
	for end := time.Now().Add(time.Second); c.Elapsed() == before; {
		if time.Now().After(end) {
			t.Fatal("time since boot stands still")
		}
	}
	if _, err := c.Now(); err != nil {
		t.Error(err)
	}
}
