package software

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"keyward/internal/key"
	"keyward/internal/keystore"
)

// entry is the private half of one version of a key, ready to be used. Whoever
// holds it may use it; the last one to release it wipes it.
type entry struct {
	ref key.Ref
	attributes
	half half

	holds        atomic.Int64
	newer, older *entry // in the shard's list, under its lock
}

func (e *entry) purpose() keystore.Purpose {
	return keystore.Purpose{Spec: e.Spec, Usage: e.Usage, Domain: e.Domain}
}

func (e *entry) release() {
	if e.holds.Add(-1) == 0 {
		e.half.wipe()
	}
}

// cache keeps entries ready, the most recently used ones, in shards so that
// callers on many processors rarely wait for each other.
type cache struct {
	seed   maphash.Seed
	shards []shard
}

type shard struct {
	mu      sync.Mutex
	max     int
	entries map[key.Ref]*entry
	newest  *entry // a ring: newest.newer is the oldest
	purges  uint64 // so far; what was loaded before one is not kept after it
	_       [64]byte
}

const shards = 16

// newCache returns a cache of at most size entries.
func newCache(size int) *cache {
	n := shards
	if size < 8*shards { // too few for chance to spread them evenly
		n = 1
	}
	c := &cache{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range c.shards {
		c.shards[i].max = size / n
		c.shards[i].entries = make(map[key.Ref]*entry)
	}
	return c
}

func (c *cache) shard(ref key.Ref) *shard {
	return &c.shards[maphash.Comparable(c.seed, ref)%uint64(len(c.shards))]
}

// open returns the key's entry, from the cache or else as load makes it, held
// for the caller.
func (k *Keystore) open(ctx context.Context, ref key.Ref) (*entry, error) {
	s := k.cache.shard(ref)
	e, purges := s.hold(ref)
	if e != nil {
		return e, nil
	}
	e, err := k.load(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.keep(e, purges), nil
}

// hold returns the entry, held for the caller, or nil and the number of purges.
func (s *shard) hold(ref key.Ref) (*entry, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[ref]
	if e == nil {
		return nil, s.purges
	}
	e.holds.Add(1)
	if e != s.newest {
		s.unlink(e)
		s.link(e)
	}
	return e, 0
}

// keep takes a new entry that the caller holds and returns the one to use. Of
// two that were loaded at the same time one stays. An entry that was loaded
// before a purge is the caller's alone: its key may have been destroyed since.
func (s *shard) keep(e *entry, purges uint64) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.purges != purges {
		return e
	}
	if other := s.entries[e.ref]; other != nil {
		other.holds.Add(1)
		e.release()
		return other
	}
	e.holds.Add(1)
	s.entries[e.ref] = e
	s.link(e)
	if len(s.entries) > s.max {
		s.drop(s.newest.newer)
	}
	return e
}

// purge drops what fits. Entries in use are wiped by their last user.
func (c *cache) purge(fits func(key.Ref) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.purges++
		for ref, e := range s.entries {
			if fits(ref) {
				s.drop(e)
			}
		}
		s.mu.Unlock()
	}
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

func (s *shard) drop(e *entry) {
	delete(s.entries, e.ref)
	s.unlink(e)
	e.release()
}

// link puts e in front.
func (s *shard) link(e *entry) {
	if s.newest == nil {
		e.newer, e.older = e, e
	} else {
		e.older, e.newer = s.newest, s.newest.newer
		e.older.newer, e.newer.older = e, e
	}
	s.newest = e
}

func (s *shard) unlink(e *entry) {
	if e.older == e {
		s.newest = nil
	} else {
		e.older.newer, e.newer.older = e.newer, e.older
		if s.newest == e {
			s.newest = e.older
		}
	}
	e.newer, e.older = nil, nil
}
