package storetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyward/internal/store"
)

// What the child process is told: where its installation lies, and when it will
// be killed.
const (
	placeVariable = "KEYWARD_STORETEST_PLACE"
	whenVariable  = "KEYWARD_STORETEST_WHEN"
)

// groupSize is how many rows each of the child's commits has.
const groupSize = 500

// killed is the child's part: it commits until it is killed, and says which
// sequence it was told is on disk. It returns false in the parent.
func killed(t *testing.T, open Opener) bool {
	place := os.Getenv(placeVariable)
	if place == "" {
		return false
	}
	h := &house{T: t, open: open, place: place}
	h.start()
	h.unlock()
	inside := os.Getenv(whenVariable) == "inside"
	for n := 0; ; n++ {
		h.must(h.commit(func(tx *store.Tx) error {
			sequence := tx.Head().Sequence
			rows := make([]store.Row, groupSize)
			for i := range rows {
				rows[i] = spend(int(sequence), fmt.Sprint(i), 1)
			}
			h.must(tx.InsertMany(Spend, rows))
			id := fmt.Sprint(sequence)
			h.must(tx.Insert(Service, service(id, id)))
			if inside && n == 3 {
				fmt.Println("inside")
				time.Sleep(time.Hour) // until it is killed; select{} would be found out as a deadlock
			}
			return nil
		}))
		fmt.Println("committed", h.head().Sequence)
	}
}

// kill ends the child with kill -9: once within a transaction, and then
// wherever it happens to be.
func kill(t *testing.T, open Opener) {
	h := settled(t, open)
	h.stop()
	for n, when := range []string{"inside", "anywhere", "anywhere", "anywhere"} {
		last := strangle(t, h.place, when, time.Duration(20*n)*time.Millisecond)
		h.start()
		h.unlock()
		h.must(h.verify())
		got := h.head().Sequence
		// What the child heard of is there. The next one may be, too: it was
		// on disk, and the child was killed before it could say so.
		if got != last && (got != last+1 || when == "inside") {
			t.Errorf("killed %s: got sequence %d, the child was told %d", when, got, last)
		}
		if rows, groups := h.count("spend"), h.count("service"); rows != groupSize*int64(got) || groups != int64(got) {
			t.Errorf("killed %s: got %d and %d rows for %d commits", when, rows, groups, got)
		}
		for i := range got {
			h.row(Service, fmt.Sprint(i+1))
		}
		h.must(h.commit(func(tx *store.Tx) error { // life goes on
			id := fmt.Sprint(tx.Head().Sequence)
			rows := make([]store.Row, groupSize)
			for i := range rows {
				rows[i] = spend(int(tx.Head().Sequence), fmt.Sprint(i), 1)
			}
			h.must(tx.InsertMany(Spend, rows))
			return tx.Insert(Service, service(id, id))
		}))
		h.stop()
	}
	h.start() // for the cleanup to stop
	if got, err := h.reader.Head(context.Background()); err != nil || got.Sequence == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// strangle runs the child, kills it, and returns the last sequence it heard of:
// within its fourth transaction, or some time after its third commit.
func strangle(t *testing.T, place, when string, later time.Duration) (last uint64) {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	child := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v=false")
	child.Env = append(os.Environ(), placeVariable+"="+place, whenVariable+"="+when)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { child.Process.Kill() })
	defer timer.Stop()
	ready := false
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		line := lines.Text()
		if number, ok := strings.CutPrefix(line, "committed "); ok {
			if last, err = strconv.ParseUint(number, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case when == "inside" && line == "inside":
			ready = true
			child.Process.Kill()
		case when == "anywhere" && n == 2:
			ready = true
			time.AfterFunc(later, func() { child.Process.Kill() })
		}
	}
	if err := child.Wait(); err == nil || !ready {
		t.Fatalf("the child ended by itself (%v), after sequence %d", err, last)
	}
	return last
}
