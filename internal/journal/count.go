package journal

import (
	"sync"
	"time"

	"keyward/internal/audit"
)

// Readings, public-key work and failed authentication are counted for each
// actor, source, action and minute; so are denials beyond their rate. A program
// gone wild fills a counter, not the disk.

const (
	denialBurst  = 50.0 // denials written at once, for each actor and source
	denialRate   = 5.0  // and then a second
	deniedSuffix = ".denied"
	countedKinds = 1024 // different counters kept between two records; the rest share one
)

type counter struct {
	mu     sync.Mutex
	counts map[countKey]uint64
	rates  map[[2]string]*rate
}

type countKey struct{ actor, source, action string }

type rate struct {
	tokens float64
	at     time.Time
}

// Count adds one reading, public-key operation or failed authentication.
func (j *Journal) Count(actor, source, action string) {
	j.counts.add(countKey{actor, source, action}, 1)
}

func (c *counter) add(k countKey, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[countKey]uint64{}
	}
	if _, known := c.counts[k]; !known && len(c.counts) >= countedKinds {
		k = countKey{"others", "many", k.action}
	}
	c.counts[k] += n
}

// recount takes a denial or a count back that could not be written: it is told
// as a number when there is room again.
func (c *counter) recount(r audit.Record) {
	switch phase(r.Phase) {
	case phaseCounted:
		c.add(countKey{r.Actor, r.Source, r.Action}, r.Count)
	case phaseDenied:
		c.add(countKey{r.Actor, r.Source, r.Action + deniedSuffix}, 1)
	}
}

// allow tells whether one more denial of this actor and source is written.
func (c *counter) allow(actor, source string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rates == nil || len(c.rates) >= countedKinds {
		c.rates = map[[2]string]*rate{}
	}
	k := [2]string{actor, source}
	r := c.rates[k]
	if r == nil {
		r = &rate{tokens: denialBurst, at: now}
		c.rates[k] = r
	}
	r.tokens = min(denialBurst, r.tokens+denialRate*now.Sub(r.at).Seconds())
	r.at = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// counted takes the counters as records for the next commit.
func (j *Journal) counted() []*entry {
	c := &j.counts
	c.mu.Lock()
	counts := c.counts
	c.counts = nil
	c.mu.Unlock()
	var all []*entry
	for k, n := range counts {
		all = append(all, &entry{phase: phaseCounted, lazy: true, record: audit.Record{
			Phase: string(phaseCounted), Action: k.action, Actor: k.actor, Source: k.source, Count: n,
		}})
	}
	return all
}
