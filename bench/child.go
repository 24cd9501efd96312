package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a server that runs beside the bench and ends with it.
type child struct {
	cmd     *exec.Cmd
	address string // what it said after its mark
	mu      sync.Mutex
	said    bytes.Buffer // its last words, for when it fails
}

// start runs a server and waits until it says where it listens, on the line that
// has mark; with an empty mark it does not wait.
func start(ctx context.Context, mark, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, program, args...)}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 30 * time.Second
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.cmd.Stderr = c.cmd.Stdout
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go c.listen(out, mark, found)
	if mark == "" {
		return c, nil
	}
	select {
	case address, ok := <-found:
		if !ok {
			c.stop()
			return nil, fmt.Errorf("%s ended before it listened:\n%s", program, c.words())
		}
		c.address = address
		return c, nil
	case <-time.After(time.Minute):
		c.stop()
		return nil, fmt.Errorf("%s does not listen after a minute:\n%s", program, c.words())
	}
}

const maxWords = 16 << 10

func (c *child) listen(out io.Reader, mark string, found chan<- string) {
	defer close(found)
	waiting := mark != ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, address, ok := strings.Cut(lines.Text(), mark); ok && waiting {
			found <- strings.TrimSpace(address)
			waiting = false
		}
		c.mu.Lock()
		if c.said.Len() < maxWords {
			fmt.Fprintln(&c.said, lines.Text())
		}
		c.mu.Unlock()
	}
}

func (c *child) words() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.String()
}

// stop ends the server; how it ended is not measured.
func (c *child) stop() {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it is gone
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	_ = c.cmd.Wait()
}

// clockTick is what /proc counts processor time in: USER_HZ, 100 a second on
// every Linux there is.
const clockTick = 10 * time.Millisecond

// cpuOf is the processor time of a process, user and system, from
// /proc/PID/stat: its fields 14 and 15.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte(") ")) // the name before may hold anything
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of process %d: %d fields", pid, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, err
}

// memoryOf is a field of /proc/PID/status, such as VmRSS, in bytes.
func memoryOf(pid int, field string) (int64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("status of process %d has no %s", pid, field)
}
