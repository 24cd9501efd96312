package audit_test

import (
	"bytes"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"keyward/internal/audit"
)

func FuzzDecodeRecord(f *testing.F) {
	for i := range uint64(4) {
		f.Add(example(i + 1).Encode())
	}
	f.Add([]byte("\xa5\x01\x01\x02\x02\x04\x61a\x05\x65noted\x14\x58\x20"))
	f.Add([]byte("\xbf\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := audit.DecodeRecord(b)
		if err != nil {
			return
		}
		same(t, "encoded again", r.Encode(), b)
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzDecodeGroup(f *testing.F) {
	all, _ := entries(audit.Position{}, 4)
	f.Add(audit.AppendGroup(nil, all))
	all[2] = all[2].Erase()
	f.Add(audit.AppendGroup(nil, all[2:]))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := audit.DecodeGroup(b)
		if err != nil {
			return
		}
		same(t, "encoded again", audit.AppendGroup(nil, got), b)
		for i, e := range got {
			if e.Sequence != got[0].Sequence+uint64(i) || len(e.LeafData()) != 41 {
				t.Errorf("entry %d is %+v", i, e)
			}
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	k := logKey(f)
	f.Add(sign(f, k, 5, tlog.Hash{}))
	f.Add(sign(f, k, 0, tlog.Hash{1}))
	f.Add([]byte(origin + "\n5\nAAAA\n\n— x y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := audit.OpenCheckpoint(b, k.Verifier())
		if err != nil {
			return
		}
		if c.Origin != origin || !bytes.Equal(c.Note, b) {
			t.Errorf("got %+v", c)
		}
		_ = audit.CheckConsistency(c, c, nil)
	})
}

func FuzzParseProof(f *testing.F) {
	k := logKey(f)
	all, _ := entries(audit.Position{}, 1)
	p := audit.Proof{Sequence: 1, Extra: audit.AppendGroup(nil, all), Checkpoint: sign(f, k, 1, tlog.RecordHash(all[0].LeafData()))}
	if _, err := p.Check(k.Verifier(), all[0].LeafData()); err != nil {
		f.Fatal(err)
	}
	text, err := p.MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	p.Sequence, p.Path = 9, []tlog.Hash{{1}, {2}}
	if text, err = p.MarshalText(); err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := audit.ParseProof(b)
		if err != nil {
			return
		}
		again, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		same(t, "written again", again, b)
		if c, err := p.Check(k.Verifier(), all[0].LeafData()); err == nil && (p.Sequence != 1 || c.Size != 1) {
			t.Errorf("record %d of %d was proved", p.Sequence, c.Size)
		}
	})
}

// What a source says must not stop or hang the verifier.
func FuzzVerify(f *testing.F) {
	all, _ := entries(audit.Position{}, 5)
	m := newMemory(f, all)
	f.Add(audit.AppendGroup(nil, all), m.note, m.tiles["tile/0/000.p/5"])
	f.Add(audit.AppendGroup(nil, all[2:]), m.note, []byte{})
	f.Fuzz(func(t *testing.T, group, note, tile []byte) {
		got, err := audit.DecodeGroup(group)
		if err != nil {
			return
		}
		bad := *m
		bad.entries, bad.note, bad.tiles = got, note, map[string][]byte{"tile/0/000.p/5": tile, "tile/entries/000.p/5": m.tiles["tile/entries/000.p/5"]}
		report, err := bad.verify(t, audit.Check{})
		if err == nil && report.Checkpoint.Root != m.root {
			t.Errorf("a forged log was believed: %+v", report)
		}
	})
}
