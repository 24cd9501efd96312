package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"keyward/api"
	"keyward/internal/chain"
	"keyward/internal/key"
)

const (
	fewKeys    = 10
	noSlower   = 1.1         // times the CPU of one of few keys
	mostMemory = 250_000_000 // bytes, after the random uses
)

// many fills a store with keys and then uses random ones, as many times as asked:
// is it as fast as with a few, and does memory stay bounded?
func (s settings) many(ctx context.Context) error {
	h, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer h.stop()
	create, err := json.Marshal(api.CreateKey{Name: "k-" + mark, Spec: string(key.P256)})
	if err != nil {
		return err
	}
	sign, err := json.Marshal(api.Sign{Payload: make([]byte, 32), Type: string(chain.Digest)})
	if err != nil {
		return err
	}
	most := callers[len(callers)-1]
	made := h.target.request("POST", "/v1/keys", create)
	used := h.target.request("POST", "/v1/keys/k-"+mark+"/sign", sign)
	var names, uses atomic.Uint64
	signs := func(among int, random bool) (point, error) {
		used.pick = func(n uint64) uint64 { return n % uint64(among) }
		if random {
			used.pick = func(n uint64) uint64 { return scatter(n) % uint64(among) }
		}
		return h.target.fire(ctx, used, load{callers: most, times: uint64(s.uses), next: &uses})
	}

	fmt.Printf("\nP-256 keys, %d callers\n%s\n", most, plainColumns)
	if _, err := h.target.fire(ctx, made, load{callers: 1, times: fewKeys, next: &names}); err != nil {
		return err
	}
	if _, err := signs(fewKeys, false); err != nil { // a server that has just started is slower
		return err
	}
	few, err := signs(fewKeys, false)
	if err != nil {
		return err
	}
	report(fmt.Sprintf("sign, %d keys", fewKeys), few)
	for names.Load() < uint64(s.keys) {
		step := min(uint64(s.keys)-names.Load(), uint64(max(s.keys/10, 1)))
		p, err := h.target.fire(ctx, made, load{callers: most, times: step, next: &names})
		if err != nil {
			return err
		}
		report(fmt.Sprintf("create, up to %d keys", names.Load()), p)
		fmt.Fprintf(os.Stderr, "%d keys: %s\n", names.Load(), footprint(h.cmd.Process.Pid))
	}
	again, err := signs(fewKeys, false)
	if err != nil {
		return err
	}
	report(fmt.Sprintf("sign, %d keys of %d", fewKeys, s.keys), again)
	random, err := signs(s.keys, true)
	if err != nil {
		return err
	}
	report("sign, random keys", random)
	rss, err := memoryOf(h.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return err
	}
	fmt.Printf("\n%d keys, %d random uses: %s; database %d MB\n", s.keys, s.uses, footprint(h.cmd.Process.Pid), size(filepath.Join(s.dir, "served", "keyward.db"))/1e6)
	for _, c := range []struct {
		what string
		p    point
	}{{"few keys among many", again}, {"random keys", random}} {
		say(ratio(c.p.cpu, few.cpu) <= noSlower, "%s: %.2f of the CPU, %.2f of the rate, with %d keys in the store", c.what, ratio(c.p.cpu, few.cpu), c.p.rate/few.rate, fewKeys)
	}
	say(rss <= mostMemory, "VmRSS %d MB after the random uses, at most %d", rss/1e6, mostMemory/1_000_000)
	return nil
}

func report(name string, p point) {
	fmt.Println(line(name, p))
}

// scatter spreads numbers over all others, the same in every run (the finalizer
// of SplitMix64).
func scatter(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
