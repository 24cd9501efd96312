// Package clock tells what time to believe. It holds the wall's clock, which
// anybody with the right may set, against the time since the machine booted,
// which nobody can: else a clock set ten years ahead would destroy keys early,
// empty windows of spending and let tokens and requests expire, for ever, since
// log time never goes back. It never sets a clock and never decides: it says
// what log time is, and whether anything may rest on its moving on.
package clock

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// Tolerance is how far the wall's clock may be from what is believed.
	Tolerance = 2 * time.Second
	// MaxJump is how far the clock may be ahead of the newest record at a start.
	MaxJump = 7 * 24 * time.Hour
	// slew is the part of the time gone by, in ppm, by which belief follows the
	// wall's clock: twice what NTP slews, so that a clock which is only being
	// disciplined never leaves the tolerance.
	slew = 1000
	// slewMax is the longest time gone by for which it follows at once, so that a
	// clock which nobody read for long is not believed whatever it says.
	slewMax = 24 * time.Hour
)

// ErrUntrusted: nothing may rest on the clock now; the error says why.
var ErrUntrusted = errors.New("the clock cannot be trusted")

// untrusted is one reason, told as a whole sentence.
type untrusted string

func (u untrusted) Error() string        { return string(u) }
func (u untrusted) Is(target error) bool { return target == ErrUntrusted }

// Clock is one start's belief. Its methods are safe for concurrent use.
type Clock struct {
	wall   func() time.Time
	boot   boot
	newest time.Time // of all records, at the start

	mu       sync.Mutex
	anchored bool // the wall's clock was believed once; until then every reading is judged as the first
	base     time.Time
	at       time.Duration // boot time at which base was the time
}

// Reading is what the wall's clock showed at one moment.
type Reading struct {
	Wall, Believed time.Time
	boot           time.Duration
}

// New starts a clock of an installation whose newest record has a log time. A
// since of nil is the machine's own time since boot.
func New(newest time.Time, wall func() time.Time, since func() time.Duration) *Clock {
	if since == nil {
		return start(newest, wall, machine())
	}
	return start(newest, wall, boot{since, since})
}

func start(newest time.Time, wall func() time.Time, b boot) *Clock {
	return &Clock{wall: wall, boot: b, newest: newest, base: newest, at: b.exact()}
}

// Now is the time to believe. It goes on also while the wall's clock cannot be
// trusted, by the time since boot; then err is ErrUntrusted with its reason.
func (c *Clock) Now() (time.Time, error) {
	r, err := c.Read()
	return r.Believed, err
}

// Read is Now with what the wall's clock shows.
func (c *Clock) Read() (Reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.judge(c.boot.quick())
	if err != nil {
		r, err = c.judge(c.boot.exact()) // the machine may have slept
	}
	return r, err
}

// judge needs the lock.
func (c *Clock) judge(since time.Duration) (Reading, error) {
	// Round strips the monotonic reading of the runtime, which stops while the
	// machine sleeps: it must not decide what is compared here.
	r := Reading{Wall: c.wall().Round(0), boot: since}
	passed := max(r.boot-c.at, 0)
	r.Believed = c.base.Add(passed)
	if !c.anchored {
		return c.first(r)
	}
	off := r.Wall.Sub(r.Believed)
	most := min(passed, slewMax) * slew / 1_000_000
	follow := min(max(off, -most), most)
	if (off - follow).Abs() > Tolerance {
		// Belief does not follow a clock that was set: it would arrive in time. Nor
		// may it save up, for the clock's return, what it did not follow meanwhile.
		c.base, c.at = r.Believed, r.boot
		way := "forward"
		if off < 0 {
			way = "back"
		}
		return r, untrusted(fmt.Sprintf("the clock was set %s by %s while keyward ran, to %s", way, length(off), told(r.Wall)))
	}
	r.Believed = r.Believed.Add(follow)
	c.base, c.at = r.Believed, r.boot
	return r, nil
}

// first judges a reading of a clock that was not believed yet.
func (c *Clock) first(r Reading) (Reading, error) {
	if ahead := r.Wall.Sub(r.Believed); ahead > MaxJump {
		return r, untrusted(fmt.Sprintf("the clock is %s ahead of the newest record (%s)", length(ahead), told(c.newest)))
	}
	if behind := c.newest.Sub(r.Wall); behind > Tolerance {
		// Time stands still until the clock has caught up with what is written.
		r.Believed = c.newest
		return r, untrusted(fmt.Sprintf("the clock is %s behind the newest record (%s)", length(behind), told(c.newest)))
	}
	c.anchor(r)
	r.Believed = r.Wall
	return r, nil
}

// Accept believes the wall's clock as it was read: somebody who knows has said
// that it is right.
func (c *Clock) Accept(r Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anchor(r)
}

// anchor needs the lock.
func (c *Clock) anchor(r Reading) { c.anchored, c.base, c.at = true, r.Wall, r.boot }

// Elapsed is the time since boot, which moves on whatever becomes of the clock;
// perhaps without what the machine slept lately.
func (c *Clock) Elapsed() time.Duration { return c.boot.quick() }

// length tells people how far off a clock is.
func length(d time.Duration) string {
	if d = d.Abs(); d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Round(time.Second).String()
}

func told(t time.Time) string { return t.UTC().Format(time.RFC3339) }
