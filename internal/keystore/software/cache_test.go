package software_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"keyward/internal/key"
	"keyward/internal/keystore/software"
)

func ref(i int) key.Ref { return key.Ref{ID: key.ID(fmt.Sprintf("key_%026d", i)), Version: 1} }

func everything(key.Ref) bool { return true }

// put makes a key ready and releases it.
func put(c software.Cache, r key.Ref) *software.Half {
	h, ok, purges := c.Hold(r)
	if !ok {
		h = c.Keep(r, purges)
	}
	defer h.Release()
	return h.Half()
}

func TestTheLeastRecentlyUsedKeyGoesFirst(t *testing.T) {
	c := software.NewCache(3)
	var halves []*software.Half
	for i := range 3 {
		halves = append(halves, put(c, ref(i)))
	}
	put(c, ref(0)) // now 1 is the oldest
	for i, gone := range []int{1, 2, 0} {
		put(c, ref(10+i))
		for j, h := range halves {
			if want := map[bool]int{true: 1}[j == gone || halves[j].Wiped > 0]; h.Wiped != want {
				t.Errorf("after %d more: key %d was wiped %d times, want %d", i+1, j, h.Wiped, want)
			}
		}
		if halves[gone].Wiped != 1 {
			t.Errorf("after %d more: key %d is still there", i+1, gone)
		}
	}
	if c.Len() != 3 {
		t.Errorf("got %d keys ready, want 3", c.Len())
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	for _, size := range []int{1, 3, 100, 128, 4096} {
		c := software.NewCache(size)
		for i := range 3 * size {
			put(c, ref(i))
			if c.Len() > size {
				t.Fatalf("got %d keys ready, want at most %d", c.Len(), size)
			}
		}
		if c.Len() < size*3/4 {
			t.Errorf("after %d keys only %d of %d places are taken", 3*size, c.Len(), size)
		}
	}
}

func TestAKeyInUseIsNotWiped(t *testing.T) {
	for name, drop := range map[string]func(software.Cache){
		"evicted": func(c software.Cache) { put(c, ref(2)) },
		"purged":  func(c software.Cache) { c.Purge(everything) },
	} {
		c := software.NewCache(1)
		put(c, ref(1))
		first, _, _ := c.Hold(ref(1))
		second, _, _ := c.Hold(ref(1))
		drop(c)
		if _, ok, _ := c.Hold(ref(1)); ok {
			t.Errorf("%s: it is still found", name)
		}
		first.Release()
		if n := second.Half().Wiped; n != 0 {
			t.Errorf("%s: wiped under its user", name)
		}
		half := second.Half()
		second.Release()
		if half.Wiped != 1 {
			t.Errorf("%s: wiped %d times after its last use, want once", name, half.Wiped)
		}
	}
}

func TestOfTwoThatWereLoadedOneStays(t *testing.T) {
	c := software.NewCache(10)
	_, _, purges := c.Hold(ref(1))
	first, second := c.Keep(ref(1), purges), c.Keep(ref(1), purges)
	if first.Half() != second.Half() || c.Len() != 1 {
		t.Error("one key is ready twice")
	}
	first.Release()
	second.Release()
	if first.Half().Wiped != 0 {
		t.Error("it was wiped although the cache holds it")
	}
}

// A key that is being loaded while it is destroyed must not come back.
func TestWhatWasLoadedBeforeAPurgeIsNotKept(t *testing.T) {
	c := software.NewCache(10)
	_, _, purges := c.Hold(ref(1))
	c.Purge(func(r key.Ref) bool { return r == ref(1) })
	h := c.Keep(ref(1), purges)
	if c.Len() != 0 {
		t.Error("it is ready after its purge")
	}
	half := h.Half()
	h.Release()
	if half.Wiped != 1 {
		t.Errorf("wiped %d times after its use, want once", half.Wiped)
	}
}

func TestCacheUnderManyCallers(t *testing.T) {
	c := software.NewCache(8)
	var wait sync.WaitGroup
	for g := range 16 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			for range 2000 {
				i := r.IntN(20)
				h, ok, purges := c.Hold(ref(i))
				if !ok {
					h = c.Keep(ref(i), purges)
				}
				if h.Half().Wiped != 0 {
					t.Error("a key was wiped under its user")
				}
				if r.IntN(100) == 0 {
					c.Purge(func(r key.Ref) bool { return r == ref(i) })
				}
				h.Release()
			}
		})
	}
	wait.Wait()
	c.Purge(everything)
	if c.Len() != 0 {
		t.Errorf("got %d keys ready, want none", c.Len())
	}
}
