package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"
)

// table measures everything side by side and prints it.
func (s settings) table(ctx context.Context) error {
	if inMemory(s.dir) {
		fmt.Println("NOTE: the folder is in memory: a sync costs nothing here; give -dir on a disk")
	}
	sync, slow, err := syncTimes(s.dir)
	if err != nil {
		return err
	}
	fmt.Printf("append 4 KiB and fdatasync: p50 %.3f ms, p99 %.3f ms\n\n", millis(sync), millis(slow))
	p, err := measurePrimitives()
	if err != nil {
		return err
	}
	fmt.Println("primitives, alone on one thread                    CPU µs")
	for _, one := range append([]primitive{p.p256, p.secp256k1, p.seal, p.open, p.generate}, p.others...) {
		fmt.Printf("  %-46s %8.2f\n", one.name, micros(one.cpu))
	}
	h, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer h.stop()
	in, err := s.house(ctx)
	if err != nil {
		return fmt.Errorf("in process: %w", err)
	}
	defer in.close()
	c, bare, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer c.stop()
	over, err := h.envelope(ctx)
	if err != nil {
		return err
	}
	own, err := in.envelope(ctx)
	if err != nil {
		return err
	}
	all, err := jobs(over, own, p)
	if err != nil {
		return err
	}
	r := &run{settings: s, served: h, inside: in, bare: bare, sync: sync}
	for _, j := range all {
		if !strings.Contains(j.name, s.only) {
			continue
		}
		if err := r.job(ctx, j); err != nil {
			return err
		}
	}
	r.verdict()
	fmt.Printf("\nkeyward after the run: %s\n", footprint(h.cmd.Process.Pid))
	if s.bao != "" {
		return s.openBao(ctx)
	}
	return nil
}

// run is one run of the table.
type run struct {
	settings
	served *served
	inside *inside
	bare   target
	sync   time.Duration
	next   atomic.Uint64 // numbers what must be new: names, idempotency keys
	found  []finding
}

// finding is what a target of speed is judged by.
type finding struct {
	name                  string
	most                  float64
	primitive             time.Duration
	one, many             point // over HTTP, by one caller and by most
	bareOne, bareMany     point
	insideOne, insideMany point
}

// added is what keyward costs beside the bare server and the checked primitive.
func (f finding) added() time.Duration { return f.many.cpu - f.bareMany.cpu - f.primitive }

const (
	plainColumns = "                                  callers  requests/s   p50 ms   p99 ms   CPU s/1000"
	columns      = plainColumns + "   × bare   added µs"
)

func (r *run) job(ctx context.Context, j job) error {
	fmt.Printf("\n%s\n%s\n", j.name, columns)
	if err := r.served.sample(ctx, j, r.bare, r.next.Add(1)-1); err != nil {
		return err
	}
	f := finding{name: j.name, most: j.most, primitive: j.primitive.cpu}
	ways := []struct {
		name string
		fire func(load) (point, error)
		one  *point
		many *point
	}{
		{"bare net/http JSON, TLS", func(l load) (point, error) { return r.bare.fire(ctx, j.on(r.bare, j.bare), l) }, &f.bareOne, &f.bareMany},
		{"keyward in process", func(l load) (point, error) { return r.insideRun(ctx, j, l) }, &f.insideOne, &f.insideMany},
		{"keyward over TLS", func(l load) (point, error) { return r.served.target.fire(ctx, j.on(r.served.target, j.path), l) }, &f.one, &f.many},
	}
	points := make([][]point, len(ways))
	for _, n := range callers {
		for i, way := range ways { // in turn, so that what else the machine does meets all of them
			p, err := way.fire(load{callers: n, warm: r.warm, time: r.point, next: &r.next})
			if err != nil {
				return fmt.Errorf("%s, %s, %d callers: %w", j.name, way.name, n, err)
			}
			if points[i] = append(points[i], p); n == callers[0] {
				*way.one = p
			}
			*way.many = p
		}
	}
	fmt.Printf("  %-32s %6s %11s %8s %8s %12.4f %8.2f\n", "primitive, checked", "", "", "", "", j.primitive.cpu.Seconds()*1000, ratio(j.primitive.cpu, f.bareMany.cpu))
	for i, way := range ways {
		for k, p := range points[i] {
			added := p.cpu - j.primitive.cpu
			if i == 2 {
				added -= points[0][k].cpu
			}
			fmt.Printf("%s %8.2f", line(way.name, p), ratio(p.cpu, points[0][k].cpu))
			if i > 0 {
				fmt.Printf(" %10.1f", micros(added))
			}
			fmt.Println()
		}
	}
	r.found = append(r.found, f)
	return nil
}

// insideRun measures in process, with a profile where one was asked for. What a
// profile costs is in its figures, so that those are only for orientation.
func (r *run) insideRun(ctx context.Context, j job, l load) (p point, err error) {
	if r.profile == "" || l.callers != callers[len(callers)-1] {
		return r.inside.run(ctx, j, l)
	}
	f, err := os.Create(r.profile)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return p, err
	}
	defer pprof.StopCPUProfile()
	return r.inside.run(ctx, j, l)
}

func line(name string, p point) string {
	return fmt.Sprintf("  %-32s %6d %11.0f %8.2f %8.2f %12.4f", name, p.callers, p.rate, millis(p.p50), millis(p.p99), p.cpu.Seconds()*1000)
}

func ratio(a, b time.Duration) float64 { return float64(a) / max(1, float64(b)) }

// What the product is measured by.
const (
	mostAdded   = 40 * time.Microsecond // of processor time, for each operation at most callers
	mostLatency = 1.5                   // of one sync and the bare server's, for one caller
	leastKeys   = 3000                  // made in a second
	// A payment decoded, judged, signed and executed, as 0.35 s are to the 0.031 s
	// of the bare server for 1,000 requests.
	mostPSBT = 11.3
)

func (r *run) verdict() {
	fmt.Printf("\nagainst what keyward is meant to reach\n")
	for _, f := range r.found {
		if f.most > 0 {
			many := ratio(f.many.cpu, f.bareMany.cpu)
			say(many <= f.most, "%s: %.1f times the bare server's CPU at %d callers, at most %.1f", f.name, many, f.many.callers, f.most)
			continue
		}
		say(f.added() <= mostAdded, "%s: %.1f µs of CPU added over bare and primitive at %d callers, at most %.0f", f.name, micros(f.added()), f.many.callers, micros(mostAdded))
	}
	for _, f := range r.found {
		if f.most > 0 {
			continue
		}
		least := r.sync + f.bareOne.p50
		say(ratio(f.one.p50, least) <= mostLatency, "%s: one caller waits %.2f ms, %.2f of sync and bare (%.2f ms), at most %.1f", f.name, millis(f.one.p50), ratio(f.one.p50, least), millis(least), mostLatency)
	}
	for _, f := range r.found {
		if f.name == "create P-256 key" {
			say(f.many.rate >= leastKeys, "%s: %.0f a second at %d callers, at least %d", f.name, f.many.rate, f.many.callers, leastKeys)
		}
	}
}

func say(met bool, format string, args ...any) {
	fmt.Printf("  %-6s %s\n", map[bool]string{true: "met", false: "MISSED"}[met], fmt.Sprintf(format, args...))
}

// footprint is the memory of a server.
func footprint(pid int) string {
	now, err := memoryOf(pid, "VmRSS")
	if err != nil {
		return err.Error()
	}
	most, err := memoryOf(pid, "VmHWM")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("VmRSS %d MB, at most %d MB", now/1e6, most/1e6)
}
