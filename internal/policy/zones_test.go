package policy_test

import (
	"archive/zip"
	"encoding/binary"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/internal/policy"
)

var updateZones = flag.Bool("update-zones", false, "write zones.txt anew from Go's copy of the IANA data")

// fixedFrom is the time, in seconds, from which on the clock of a zone must
// follow one rule: before any decision is made.
const fixedFrom = 1_767_225_600 // 2026-01-01

// TestZonesAreThoseOfGo: zones.txt is made from Go's copy of the IANA data, and
// every zone in it has the same clock as there, until a rule is changed by law.
func TestZonesAreThoseOfGo(t *testing.T) {
	// Go's own, beside its compiler: the test is of the data, not of this system.
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var lines []string
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		rule, last := footer(data)
		if rule == "" || last > fixedFrom {
			continue
		}
		lines = append(lines, f.Name+" "+rule)
		compareZone(t, f.Name, rule, data)
	}
	slices.Sort(lines)
	want := strings.Join(lines, "\n") + "\n"
	if *updateZones {
		if err := os.WriteFile("zones.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if policy.Zones != want && !*updateZones {
		t.Error("zones.txt is not what this Go knows: look at the difference that `go test -run Zones ./internal/policy -update-zones` makes")
	}
	if len(lines) < 500 || policy.ZoneNamed("Europe/Zurich") == nil || policy.ZoneNamed("UTC") == nil {
		t.Errorf("got %d zones", len(lines))
	}
}

// footer finds the rule of a TZif file and the time of its last transition.
func footer(data []byte) (rule string, last int64) {
	at := 0
	for _, width := range []int{4, 8} {
		n := [6]int{}
		for i := range n {
			n[i] = int(binary.BigEndian.Uint32(data[at+20+4*i:]))
		}
		at += 44
		if width == 8 && n[3] > 0 {
			last = int64(binary.BigEndian.Uint64(data[at+8*(n[3]-1):]))
		}
		at += n[3]*width + n[3] + n[4]*6 + n[5] + n[2]*(width+4) + n[1] + n[0]
	}
	return strings.Trim(string(data[at:]), "\n"), last
}

// compareZone looks at every six hours of ten years.
func compareZone(t *testing.T, name, rule string, data []byte) {
	t.Helper()
	want, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := time.LoadLocationFromTZData(name, policy.TZif(rule))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for at := time.Unix(fixedFrom, 0); at.Year() < 2036; at = at.Add(6 * time.Hour) {
		_, a := at.In(got).Zone()
		if _, b := at.In(want).Zone(); a != b {
			t.Errorf("%s at %s: got %d seconds from UTC, want %d", name, at.UTC(), a, b)
			return
		}
	}
}
