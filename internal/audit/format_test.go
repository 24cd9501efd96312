package audit_test

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"keyward/internal/audit"
)

// page is the format that outlives releases. What its code blocks say is what
// the code does.
const page = "../../docs/formats/log.md"

// worked computes what the page prints: the two records of example, in one group.
func worked(t *testing.T) map[string]string {
	t.Helper()
	got := map[string]string{}
	put := func(name string, b []byte) { got[name] = hex.EncodeToString(b) }
	var all []audit.Entry
	at := audit.Position{}
	for _, name := range []string{"one", "two"} {
		var e audit.Entry
		e, at = enter(at, example(at.Sequence+1))
		all = append(all, e)
		put("nonce "+name, e.Nonce[:])
		put("record "+name, e.Record)
		put("leaf "+name, e.LeafData())
		put("running hash "+name, at.Hash[:])
		hash := tlog.RecordHash(e.LeafData())
		put("leaf hash "+name, hash[:])
	}
	put("group", audit.AppendGroup(nil, all))
	put("group erased", audit.AppendGroup(nil, []audit.Entry{all[0], all[1].Erase()}))
	m := newMemory(t, all)
	put("root", m.root[:])
	put("bundle", m.tiles["tile/entries/000.p/2"])
	got["log key"] = logKey(t).Verifier()
	for i, line := range strings.Split(strings.TrimSuffix(string(m.note), "\n"), "\n") {
		if line != "" {
			got["checkpoint "+string(rune('1'+i))] = line
		}
	}
	proof, err := audit.Proof{Sequence: 2, Path: []tlog.Hash{tlog.RecordHash(all[0].LeafData())}, Checkpoint: m.note}.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	got["proof"] = base64.StdEncoding.EncodeToString(proof)
	return got
}

func TestFormatPageIsTrue(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, " = "); ok {
			want[name] = value
		}
	}
	got := worked(t)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", page, d)
	}
	// And back: what the page prints is read.
	body, err := hex.DecodeString(want["group"])
	if err != nil {
		t.Fatal(err)
	}
	all, err := audit.DecodeGroup(body)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		r, err := audit.DecodeRecord(e.Record)
		if err != nil {
			t.Fatal(err)
		}
		wanted := example(uint64(i + 1))
		wanted.Previous = r.Previous
		if d := cmp.Diff(wanted, r); d != "" {
			t.Error(d)
		}
	}
	proof, err := base64.StdEncoding.DecodeString(want["proof"])
	if err != nil {
		t.Fatal(err)
	}
	p, err := audit.ParseProof(proof)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := p.Check(want["log key"], all[1].LeafData()); err != nil || c.Size != 2 {
		t.Errorf("the proof: got %+v and %v", c, err)
	}
}
