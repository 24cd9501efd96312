package main

import (
	"slices"
	"time"
)

// point is one measurement: an operation under one load.
type point struct {
	callers  int
	count    int
	rate     float64       // operations a second
	p50, p99 time.Duration // as the caller sees them
	cpu      time.Duration // of the server, for each operation
}

func newPoint(callers int, took []time.Duration, wall, cpu time.Duration) point {
	p := point{callers: callers, count: len(took)}
	if len(took) == 0 {
		return p
	}
	slices.Sort(took)
	p.rate = float64(len(took)) / wall.Seconds()
	p.p50, p.p99 = took[len(took)/2], took[len(took)*99/100]
	p.cpu = cpu / time.Duration(len(took))
	return p
}

// micros is how durations of one operation are told.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
