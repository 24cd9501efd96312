package kms

import "sync"

// recent remembers what was used lately, in two generations: what was not used
// while the younger filled up is forgotten. The zero value is ready.
type recent[K comparable, V any] struct {
	mu         sync.RWMutex
	young, old map[K]V
}

func (r *recent[K, V]) find(k K, most int) (V, bool) {
	r.mu.RLock()
	v, ok := r.young[k]
	if ok {
		r.mu.RUnlock()
		return v, true
	}
	v, ok = r.old[k]
	r.mu.RUnlock()
	if ok {
		r.put(k, v, most)
	}
	return v, ok
}

// put keeps at most twice as many as most.
func (r *recent[K, V]) put(k K, v V, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= most {
		r.young, r.old = map[K]V{}, r.young
	}
	r.young[k] = v
}
