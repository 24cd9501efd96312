// Command bench measures keyward against what its parts cost alone: the bare
// primitives, a bare net/http server and one sync of the disk, all in one run on
// one machine, so that ratios mean something where absolute figures do not.
// What the figures say is explained in docs/design/speed.md.
//
//	make bench                      the table; -quick for a rough one
//	make bench BAO=/path/to/bao     beside OpenBao's transit engine
//	go run ./bench -keys 100000     a store of many keys
//
// It serves and asks on loopback only, in a folder that it removes again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// settings is what a run was asked for.
type settings struct {
	keyward string // path of the program to measure
	bao     string // path of OpenBao's, "" for none
	dir     string // throw-away; on the disk that is measured
	point   time.Duration
	warm    time.Duration
	only    string // part of the names of the jobs to measure
	profile string // file for a CPU profile of the corridor in process at most callers
	keys    int
	uses    int
}

// callers are the loads of the table.
var callers = []int{1, 16, 64}

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareArgument {
		exit(serveBare())
	}
	s := settings{bao: os.Getenv("BAO"), warm: 400 * time.Millisecond}
	var quick bool
	flag.StringVar(&s.keyward, "keyward", "bin/keyward", "program to measure, as make build makes it")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where the throw-away folder goes: the disk that is measured")
	flag.DurationVar(&s.point, "point", 3*time.Second, "how long each point is measured")
	flag.BoolVar(&quick, "quick", false, "1 s a point")
	flag.StringVar(&s.only, "only", "", "measure only what has this in its name")
	flag.StringVar(&s.profile, "profile", "", "write a CPU profile of the corridor in process, at most callers, to this `file`")
	flag.IntVar(&s.keys, "keys", 0, "instead of the table: fill a store with so many keys, then use random ones")
	flag.IntVar(&s.uses, "uses", 100_000, "with -keys: how many uses")
	flag.Parse()
	if quick {
		s.point = time.Second
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := s.run(ctx)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (s settings) run(ctx context.Context) (err error) {
	if s.keyward, err = filepath.Abs(s.keyward); err != nil {
		return err
	}
	if _, err := os.Stat(s.keyward); err != nil {
		return fmt.Errorf("%w: run make build first", err)
	}
	if s.dir, err = os.MkdirTemp(s.dir, "keyward-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	fmt.Printf("keyward bench, %s %s/%s, %d processors, %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Format(time.DateTime))
	fmt.Print(beside())
	if s.keys > 0 {
		return s.many(ctx)
	}
	return s.table(ctx)
}

// beside says what else the machine is doing: figures of a busy machine are
// worse than the program.
func beside() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	var one, five float64
	if _, err := fmt.Sscan(string(b), &one, &five); err != nil {
		return ""
	}
	return fmt.Sprintf("load before the run: %.1f (1 min), %.1f (5 min)\n", one, five)
}
