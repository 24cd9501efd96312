package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// target is a server under load.
type target struct {
	address string
	tls     *tls.Config // nil for plain HTTP
	pid     int
	header  string // lines that every request carries, each with its CRLF
}

// shot is a request, written out once. A number that differs from request to
// request stands at each mark, in as many digits as the mark has.
type shot struct {
	text  []byte
	marks []int // offsets
	pick  func(n uint64) uint64
}

const mark = "########"

// request writes a shot. Marks stand in path or body.
func (t target) request(method, path string, body []byte) shot {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, t.address, t.header)
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	s := shot{text: b.Bytes(), pick: func(n uint64) uint64 { return n }}
	for from := 0; ; {
		i := bytes.Index(s.text[from:], []byte(mark))
		if i < 0 {
			return s
		}
		s.marks = append(s.marks, from+i)
		from += i + len(mark)
	}
}

// number writes n at every mark of text.
func (s shot) number(text []byte, n uint64) {
	for _, at := range s.marks {
		v := n
		for i := at + len(mark) - 1; i >= at; i-- {
			text[i] = byte('0' + v%10)
			v /= 10
		}
	}
}

// caller is one keep-alive connection of HTTP/1.1.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte // of the last answer
}

const patience = 2 * time.Minute // longest life of a connection's silence

func (t target) dial(ctx context.Context) (*caller, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	if t.tls != nil {
		secure := tls.Client(conn, t.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	return &caller{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// round sends a request and reads the whole answer.
func (c *caller) round(text []byte) error {
	if _, err := c.conn.Write(text); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 {
		return fmt.Errorf("answer begins %q", line)
	}
	status := string(line[9:12])
	size := 0
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if size, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return fmt.Errorf("answer is %s", value)
		}
	}
	if cap(c.body) < size {
		c.body = make([]byte, size)
	}
	c.body = c.body[:size]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return err
	}
	if status[0] != '2' {
		return fmt.Errorf("answer %s: %s", status, c.body)
	}
	return nil
}

// once sends one request and returns the body of its answer.
func (t target) once(ctx context.Context, s shot, n uint64) ([]byte, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	s.number(s.text, s.pick(n))
	if err := c.round(s.text); err != nil {
		return nil, err
	}
	return bytes.Clone(c.body), nil
}

// load is how much of a request to send: for a time, after warming up, or a
// number of times.
type load struct {
	callers    int
	warm, time time.Duration
	times      uint64         // instead of a time
	next       *atomic.Uint64 // what the next request is numbered
}

// The phases of a point.
const (
	warming = iota
	measuring
	over
)

// fire puts a load on the target and measures it. Any answer that is no success
// is an error: nothing is measured by its failures.
func (t target) fire(ctx context.Context, s shot, l load) (point, error) {
	all := make([]*caller, l.callers)
	for i := range all {
		c, err := t.dial(ctx)
		if err != nil {
			return point{}, err
		}
		defer c.conn.Close()
		if err := c.conn.SetDeadline(time.Now().Add(l.warm + l.time + 30*time.Minute)); err != nil {
			return point{}, err
		}
		all[i] = c
	}
	return measure(l, func() (time.Duration, error) { return cpuOf(t.pid) }, func(i int) func(n uint64) error {
		text := bytes.Clone(s.text)
		return func(n uint64) error {
			s.number(text, s.pick(n))
			return all[i].round(text)
		}
	})
}

// measure runs what worker makes for each caller, as load says, and reads the
// clock and the processor time around the part that counts.
func measure(l load, cpu func() (time.Duration, error), worker func(i int) func(n uint64) error) (point, error) {
	var phase atomic.Int32
	var left atomic.Int64
	if left.Store(int64(l.times)); l.times > 0 {
		phase.Store(measuring)
	}
	last := l.next.Load() + l.times
	var group sync.WaitGroup
	took, failed := make([][]time.Duration, l.callers), make([]error, l.callers)
	run := func(i int) {
		defer group.Done()
		work := worker(i)
		for phase.Load() != over {
			n := l.next.Add(1) - 1
			if l.times > 0 && n >= last {
				return
			}
			start := time.Now()
			if err := work(n); err != nil {
				failed[i] = err
				phase.Store(over)
				return
			}
			if d := time.Since(start); phase.Load() == measuring {
				took[i] = append(took[i], d)
			}
		}
	}
	group.Add(l.callers)
	for i := range l.callers {
		go run(i)
	}
	if l.times == 0 {
		time.Sleep(l.warm)
	}
	before, err := cpu()
	if err != nil {
		phase.Store(over)
		return point{}, err
	}
	start := time.Now()
	if l.times == 0 {
		phase.CompareAndSwap(warming, measuring)
		time.Sleep(l.time)
		phase.Store(over)
	} else {
		group.Wait()
		l.next.Store(last) // each caller counted one too many, when it was told to stop
	}
	wall := time.Since(start)
	after, err := cpu()
	group.Wait()
	if err := errors.Join(append(failed, err)...); err != nil {
		return point{}, err
	}
	return newPoint(l.callers, slices.Concat(took...), wall, after-before), nil
}
