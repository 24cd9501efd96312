package software

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"keyward/internal/key"
	"keyward/internal/keystore"
)

// entry is a secret that is ready to be used, and what it is found by. Whoever
// holds it may use it; the last one to release it wipes it.
type entry[K comparable, S half] struct {
	ref    K
	secret S

	holds        atomic.Int64
	newer, older *entry[K, S] // in the shard's list, under its lock
}

// held makes an entry, held for the caller.
func held[K comparable, S half](ref K, secret S) *entry[K, S] {
	e := &entry[K, S]{ref: ref, secret: secret}
	e.holds.Store(1)
	return e
}

func (e *entry[K, S]) release() {
	if e.holds.Add(-1) == 0 {
		e.secret.wipe()
	}
}

// ready is the private half of one version of a key, with what it was born as.
type ready struct {
	attributes
	half
}

func (r ready) purpose() keystore.Purpose {
	return keystore.Purpose{Spec: r.Spec, Usage: r.Usage, Domain: r.Domain}
}

// cache keeps keys ready, the most recently used ones, in shards so that
// callers on many processors rarely wait for each other.
type cache struct {
	seed   maphash.Seed
	shards []shard[key.Ref, ready]
}

// shard keeps at most max entries, the most recently used ones.
type shard[K comparable, S half] struct {
	mu      sync.Mutex
	max     int
	entries map[K]*entry[K, S]
	newest  *entry[K, S] // a ring: newest.newer is the oldest
	purges  uint64       // so far; what was loaded before one is not kept after it
	_       [64]byte
}

const shards = 16

// newCache returns a cache of at most size entries.
func newCache(size int) *cache {
	n := shards
	if size < 8*shards { // too few for chance to spread them evenly
		n = 1
	}
	c := &cache{seed: maphash.MakeSeed(), shards: make([]shard[key.Ref, ready], n)}
	for i := range c.shards {
		c.shards[i].max = size / n
		c.shards[i].entries = make(map[key.Ref]*entry[key.Ref, ready])
	}
	return c
}

func (c *cache) shard(ref key.Ref) *shard[key.Ref, ready] {
	return &c.shards[maphash.Comparable(c.seed, ref)%uint64(len(c.shards))]
}

// open returns the key's entry, from the cache or else as load makes it, held
// for the caller.
func (k *Keystore) open(ctx context.Context, ref key.Ref) (*entry[key.Ref, ready], error) {
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
func (s *shard[K, S]) hold(ref K) (*entry[K, S], uint64) {
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
func (s *shard[K, S]) keep(e *entry[K, S], purges uint64) *entry[K, S] {
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

func (c *cache) purge(fits func(key.Ref) bool) {
	for i := range c.shards {
		c.shards[i].purge(fits)
	}
}

// purge drops what fits. Entries in use are wiped by their last user.
func (s *shard[K, S]) purge(fits func(K) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purges++
	for ref, e := range s.entries {
		if fits(ref) {
			s.drop(e)
		}
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

func (s *shard[K, S]) drop(e *entry[K, S]) {
	delete(s.entries, e.ref)
	s.unlink(e)
	e.release()
}

// link puts e in front.
func (s *shard[K, S]) link(e *entry[K, S]) {
	if s.newest == nil {
		e.newer, e.older = e, e
	} else {
		e.older, e.newer = s.newest, s.newest.newer
		e.older.newer, e.newer.older = e, e
	}
	s.newest = e
}

func (s *shard[K, S]) unlink(e *entry[K, S]) {
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
