package journal

import (
	"math"
	"sync"
	"time"

	"keyward/internal/audit"
)

// Readings, public-key work and failed authentication are counted for each
// actor, source, action and minute; so are denials beyond their actor's rate. A
// program gone wild fills a counter, not the disk, from however many addresses.

const (
	denialBurst  = 50.0 // denials written at once, for each actor from wherever it comes
	denialRate   = 5.0  // and then a second
	deniedSuffix = ".denied"
	countedKinds = 1024 // different counters kept between two records; the rest share one
	countedOwn   = 64   // of them, of one actor
	ratedActors  = 1024 // actors whose rate is remembered
)

type counter struct {
	mu     sync.Mutex
	counts map[countKey]uint64
	own    map[string]int // counters by actor
	rates  map[string]*rate
}

type countKey struct{ actor, source, action string }

type rate struct {
	tokens float64
	at     time.Duration // since boot, when the last was asked for
}

// Count adds one reading, public-key operation or failed authentication.
func (j *Journal) Count(actor, source, action string) {
	j.counts.add(countKey{actor, source, action}, 1)
}

func (c *counter) add(k countKey, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts, c.own = map[countKey]uint64{}, map[string]int{}
	}
	if _, known := c.counts[k]; !known {
		switch {
		case len(c.counts) >= countedKinds:
			k = countKey{"others", "many", k.action}
		case c.own[k.actor] >= countedOwn: // whoever has many addresses takes nobody else's place
			k = countKey{k.actor, "many", k.action}
		default:
			c.own[k.actor]++
		}
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

// allow tells whether one more denial of this actor is written. Where it came
// from does not matter: a service with many addresses is one service.
func (c *counter) allow(actor string, now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rates[actor]
	if r == nil {
		c.makeRoom()
		r = &rate{tokens: denialBurst, at: now}
		c.rates[actor] = r
	}
	r.tokens = min(denialBurst, r.tokens+denialRate*(now-r.at).Seconds())
	r.at = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// makeRoom forgets the rate that was not asked for the longest: it is the one
// most likely to be full again. To forget all would give everybody a new burst
// whenever somebody brings enough names.
func (c *counter) makeRoom() {
	if c.rates == nil {
		c.rates = map[string]*rate{}
	}
	if len(c.rates) < ratedActors {
		return
	}
	idle, oldest := "", time.Duration(math.MaxInt64)
	for actor, r := range c.rates {
		if r.at < oldest {
			idle, oldest = actor, r.at
		}
	}
	delete(c.rates, idle)
}

// counted takes the counters as records for the next commit.
func (j *Journal) counted() []*entry {
	c := &j.counts
	c.mu.Lock()
	counts := c.counts
	c.counts, c.own = nil, nil
	c.mu.Unlock()
	var all []*entry
	for k, n := range counts {
		all = append(all, &entry{phase: phaseCounted, lazy: true, record: audit.Record{
			Phase: string(phaseCounted), Action: k.action, Actor: k.actor, Source: k.source, Count: n,
		}})
	}
	return all
}
