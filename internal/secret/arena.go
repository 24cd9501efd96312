package secret

import (
	"math/bits"
	"sync"
)

// Sizes in bytes. A chunk is what the system is asked for at once, a span what
// one size class takes of it.
const (
	minSlot   = 32
	spanSize  = 4096
	chunkSize = 16 * spanSize
	classes   = 8 // 32, 64, … 4096
)

// memory is the one arena of the process. It holds nothing that a caller could
// depend on: locked pages belong to the process as its heap does.
var memory arena

// arena hands out slots of locked memory. Small slots share pages, because
// locked memory is scarce (often 8 MiB a process) and a page for each 32-byte
// key would waste it; a slot larger than a span is a mapping of its own. Every
// free slot is all zeros. Chunks are kept for the life of the process.
type arena struct {
	mu    sync.Mutex
	free  [classes][][]byte // slots, by size
	spans [][]byte          // not yet given to a class
	large map[*byte]mapping // by first byte

	locked  int64 // bytes in locked mappings
	exposed bool  // some mapping was not locked, or not kept out of core dumps
}

// mapping is memory from the system.
type mapping struct {
	mem    []byte // what may be used; zeros
	whole  []byte // with the guard pages around it; nil when it is plain heap
	locked bool   // and kept out of core dumps
}

// take returns n > 0 zero bytes; their capacity is the slot.
func (a *arena) take(n int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n > spanSize {
		m := a.acquire(n)
		if a.large == nil {
			a.large = make(map[*byte]mapping)
		}
		a.large[&m.mem[0]] = m
		return m.mem[:n]
	}
	free := &a.free[class(n)]
	if len(*free) == 0 {
		*free = cut(a.span(), minSlot<<class(n))
	}
	return pop(free)[:n]
}

// give wipes the slot of mem and takes it back.
func (a *arena) give(mem []byte) {
	slot := mem[:cap(mem)]
	Wipe(slot) // outside the lock: the slot is still ours alone
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(slot) > spanSize {
		a.release(&slot[0])
		return
	}
	free := &a.free[class(len(slot))]
	*free = append(*free, slot)
}

func (a *arena) span() []byte {
	if len(a.spans) == 0 {
		a.spans = cut(a.acquire(chunkSize).mem, spanSize)
	}
	return pop(&a.spans)
}

func (a *arena) acquire(n int) mapping {
	m := acquire(n)
	if m.locked {
		a.locked += int64(len(m.mem))
	} else {
		a.exposed = true
	}
	return m
}

func (a *arena) release(first *byte) {
	m := a.large[first]
	delete(a.large, first)
	if m.locked {
		a.locked -= int64(len(m.mem))
	}
	m.release()
}

// class returns the index of the smallest class whose slots hold n bytes.
func class(n int) int { return bits.Len(uint(n-1) / minSlot) }

// cut splits mem into slots of size bytes that cannot grow into each other.
func cut(mem []byte, size int) [][]byte {
	slots := make([][]byte, 0, len(mem)/size)
	for ; len(mem) >= size; mem = mem[size:] {
		slots = append(slots, mem[:size:size])
	}
	return slots
}

func pop(list *[][]byte) []byte {
	last := len(*list) - 1
	item := (*list)[last]
	*list = (*list)[:last]
	return item
}
