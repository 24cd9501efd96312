package native

import (
	"net/url"
	"strconv"

	"keyward/api"
	"keyward/internal/server"
)

// known refuses what a route does not know: a misspelt filter must not show all.
func known(c *server.Call, query []Parameter) error {
	if c.Request.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return c.Invalid("query", "it is malformed")
	}
next:
	for name, all := range values {
		for _, p := range query {
			if p.Name == name && len(all) == 1 {
				continue next
			}
			if p.Name == name {
				return c.Invalid(name, "given twice")
			}
		}
		return c.Invalid("query", "unknown name "+strconv.QuoteToASCII(name[:min(len(name), 40)]))
	}
	return nil
}

// values reads a query; the first mistake sticks.
type values struct {
	c   *server.Call
	all url.Values
	err error
}

func query(c *server.Call) *values { return &values{c: c, all: c.Request.URL.Query()} }

func (v *values) text(name string) string { return v.all.Get(name) }

func (v *values) number(name string) uint64 {
	s := v.all.Get(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil && v.err == nil {
		v.err = v.c.Invalid(name, "want a whole number of at least 0")
	}
	return n
}

// limit is the size of a page; 0 leaves it to kms.
func (v *values) limit() int {
	n := v.number("limit")
	if n > api.MaxPage && v.err == nil {
		v.err = v.c.Invalid("limit", "want at most "+strconv.Itoa(api.MaxPage))
	}
	return int(min(n, api.MaxPage))
}

// moment is a time in ms; 0 when it is not given.
func (v *values) moment(name string) int64 {
	s := v.all.Get(name)
	if s == "" {
		return 0
	}
	var t api.Time
	if err := t.UnmarshalText([]byte(s)); err != nil && v.err == nil {
		v.err = v.c.Invalid(name, "want a time as in RFC 3339")
	}
	return int64(t)
}

var limitParameter = Parameter{"limit", "items of a page, at most 1000", true}
