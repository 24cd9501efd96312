package policy

import (
	_ "embed" // for zones.txt
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// zones has, for each time zone whose clock follows a fixed rule from now on, its
// name and that rule (POSIX TZ, as in the last line of a TZif file, RFC 9636). It
// is part of the program, so that the same request, rules and time give the same
// decision on every machine. A test makes it from Go's own copy of the IANA data.
//
//go:embed zones.txt
var zones string

// hours is a weekly time: on some days, from one minute of the day up to another.
type hours struct {
	zone     *time.Location
	days     [7]bool // from Sunday, as time.Weekday
	from, to int     // minutes after midnight, by the clock on the wall; to is not included
	words    []string
}

// holds tells whether a log time (ms) lies in the hours.
func (h *hours) holds(now int64) bool {
	if h == nil {
		return true
	}
	t := time.UnixMilli(now).In(h.zone)
	minute := 60*t.Hour() + t.Minute()
	return h.days[t.Weekday()] && h.from <= minute && minute < h.to
}

// within tells whether all of h lies in o; hours of two zones never are, since
// that depends on the day of the year.
func (h *hours) within(o *hours) bool {
	switch {
	case o == nil:
		return true
	case h == nil || h.zone.String() != o.zone.String() || h.from < o.from || h.to > o.to:
		return false
	}
	for d, on := range h.days {
		if on && !o.days[d] {
			return false
		}
	}
	return true
}

// meets tells whether some time may lie in both; of two zones it says yes.
func (h *hours) meets(o *hours) bool {
	if h == nil || o == nil || h.zone.String() != o.zone.String() {
		return true
	}
	for d, on := range h.days {
		if on && o.days[d] {
			return h.from < o.to && o.from < h.to
		}
	}
	return false
}

func (h *hours) String() string {
	days := "every day"
	if h.words != nil {
		days = inWords(h.words, "and")
	}
	return fmt.Sprintf("%s from %s to %s %s", days, formatClock(h.from), formatClock(h.to), h.zone)
}

func formatClock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

func (r *rule) readHours(n *yaml.Node, where string) error {
	f, err := fields(n, where, "zone", "days", "from", "to")
	if err != nil {
		return err
	}
	h := &hours{}
	name, err := need(n, f["zone"], join(where, "zone"))
	if err != nil {
		return err
	}
	if h.zone = zoneNamed(name); h.zone == nil {
		return problem(f["zone"], join(where, "zone"), "unknown time zone %q: use a name of the IANA database such as Europe/Zurich or UTC", clip(name))
	}
	if h.from, err = clock(n, f["from"], join(where, "from")); err != nil {
		return err
	}
	if h.to, err = clock(n, f["to"], join(where, "to")); err != nil {
		return err
	}
	if h.from >= h.to {
		return problem(n, where, "from %s is not before to %s: hours across midnight take two rules", formatClock(h.from), formatClock(h.to))
	}
	if f["days"] == nil {
		h.days = [7]bool{true, true, true, true, true, true, true}
	} else if err := h.readDays(f["days"], join(where, "days")); err != nil {
		return err
	}
	r.hours = h
	return nil
}

// weekdays from Sunday, as time.Weekday counts.
func weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

func (h *hours) readDays(n *yaml.Node, where string) (err error) {
	if h.words, err = words(n, where); err != nil {
		return err
	}
	for _, s := range h.words {
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(weekdays(), first), slices.Index(weekdays(), last)
		if from < 0 || to < 0 || isRange && from == to {
			return problem(n, where, "%q: want days such as mon, or mon-fri", clip(s))
		}
		for d := from; ; d = (d + 1) % 7 {
			if h.days[d] {
				return problem(n, where, "%s stands twice", weekdays()[d])
			}
			if h.days[d] = true; d == to {
				break
			}
		}
	}
	return nil
}

// clock reads "08:00" into minutes after midnight; "24:00" ends a day.
func clock(parent, n *yaml.Node, where string) (int, error) {
	s, err := need(parent, n, where)
	if err != nil {
		return 0, err
	}
	if len(s) == 5 && s[2] == ':' && digits(s[:2]) && digits(s[3:]) {
		hour, _ := strconv.Atoi(s[:2])
		minute, _ := strconv.Atoi(s[3:])
		if at := 60*hour + minute; minute < 60 && at <= 24*60 {
			return at, nil
		}
	}
	return 0, problem(n, where, "%q: want a time of the day such as \"08:00\"", clip(s))
}

// zoneNamed finds a time zone among those of zones, without asking the system.
func zoneNamed(name string) *time.Location {
	_, rest, ok := strings.Cut("\n"+zones, "\n"+name+" ")
	if !ok || strings.ContainsAny(name, " \n") || name == "" {
		return nil
	}
	rule, _, _ := strings.Cut(rest, "\n")
	zone, err := time.LoadLocationFromTZData(name, tzif(rule))
	if err != nil {
		panic(err) // the text is ours
	}
	return zone
}

// tzif is a TZif file (RFC 9636, section 3) without any transition: all time
// follows the rule in its footer.
func tzif(rule string) []byte {
	header := func(b []byte, types, chars uint32) []byte {
		b = append(append(b, "TZif2"...), make([]byte, 15+4*4)...)
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, types), chars)
	}
	b := header(header(nil, 0, 0), 1, 4)
	b = append(append(b, make([]byte, 6)...), "UTC\x00"...)
	return append(append(append(b, '\n'), rule...), '\n')
}
