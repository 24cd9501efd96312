package audit_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"keyward/internal/audit"
)

func TestProofsOfEveryRecord(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	h.fill(t, 600)
	c := h.checkpoint(t)
	for e, err := range audit.Records(t.Context(), h.reader, 1, 0) {
		if err != nil {
			t.Fatal(err)
		}
		proof, err := h.log.Prove(t.Context(), e.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		proof.Extra = audit.AppendGroup(nil, []audit.Entry{e})
		text, err := proof.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		read, err := audit.ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(proof, read); d != "" {
			t.Fatal(d)
		}
		got, err := read.Check(h.key.Verifier(), e.LeafData())
		if err != nil || got.Size != c.Size {
			t.Fatalf("record %d: %v", e.Sequence, err)
		}
		if e.Sequence%50 != 0 {
			continue
		}
		// Nothing else is proved by it.
		e.Nonce[0] ^= 1
		_, err = read.Check(h.key.Verifier(), e.LeafData())
		wantFault(t, err, e.Sequence)
		e.Nonce[0] ^= 1
		for i := range read.Path {
			read.Path[i][0] ^= 1
			_, err = read.Check(h.key.Verifier(), e.LeafData())
			wantFault(t, err, e.Sequence)
			read.Path[i][0] ^= 1
		}
		read.Sequence++
		if _, err = read.Check(h.key.Verifier(), e.LeafData()); err == nil {
			t.Errorf("record %d is proved to be %d", e.Sequence, read.Sequence)
		}
	}
	for _, sequence := range []uint64{0, 601, math.MaxUint64} {
		if _, err := h.log.Prove(t.Context(), sequence); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("record %d: got %v, want ErrNotFound", sequence, err)
		}
	}
	exec(t, h.derived, `UPDATE tree_tile SET data = zeroblob(length(data)) WHERE level = 0 AND n = 0`)
	if _, err := h.log.Prove(t.Context(), 5); err == nil {
		t.Error("a proof was made of damaged tiles")
	}
}

func TestConsistencyOfAllSizes(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "d"))
	var all []audit.Checkpoint
	for i := range 40 {
		h.commit(t, 1+i*i%31)
		all = append(all, h.checkpoint(t))
	}
	for i, older := range all {
		for _, newer := range all[i:] {
			proof, err := h.log.ProveConsistency(t.Context(), older.Size, newer.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckConsistency(older, newer, proof); err != nil {
				t.Fatalf("%d to %d: %v", older.Size, newer.Size, err)
			}
			forged := older
			forged.Root[0] ^= 1
			if err := audit.CheckConsistency(forged, newer, proof); !errors.Is(err, audit.ErrFork) {
				t.Fatalf("%d to %d with another root: got %v, want ErrFork", older.Size, newer.Size, err)
			}
			if newer.Size > older.Size && !errors.Is(audit.CheckConsistency(newer, older, proof), audit.ErrFork) {
				t.Fatalf("%d to %d: a log that shrank is consistent", newer.Size, older.Size)
			}
		}
	}
	for _, c := range [][2]uint64{{1, 100_000}, {5, 4}} {
		if _, err := h.log.ProveConsistency(t.Context(), c[0], c[1]); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("%v: got %v, want ErrNotFound", c, err)
		}
	}
}

func TestOpenCheckpointRefuses(t *testing.T) {
	k := logKey(t)
	other, err := audit.GenerateLogKey(origin, zeros{})
	if err != nil {
		t.Fatal(err)
	}
	root := strings.Repeat("A", 43) + "="
	signed := func(k note.Signer, text string) []byte {
		b, err := note.Sign(&note.Note{Text: text}, k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := signed(k, origin+"\n7\n"+root+"\n")
	c, err := audit.OpenCheckpoint(good, k.Verifier())
	if err != nil || c.Size != 7 || c.Origin != origin || c.Root != ([32]byte{}) {
		t.Fatalf("got %+v and %v", c, err)
	}
	// A witness may cosign.
	n, err := note.Open(good, note.VerifierList(verifier(t, k)))
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := note.Sign(n, other)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := audit.OpenCheckpoint(cosigned, k.Verifier()); err != nil || c.Size != 7 {
		t.Errorf("cosigned: got %+v and %v", c, err)
	}
	for name, bad := range map[string][]byte{
		"empty":          nil,
		"foreign key":    signed(other, origin+"\n7\n"+root+"\n"),
		"foreign origin": signed(k, "keyward/ffff\n7\n"+root+"\n"),
		"leading zero":   signed(k, origin+"\n07\n"+root+"\n"),
		"plus":           signed(k, origin+"\n+7\n"+root+"\n"),
		"negative":       signed(k, origin+"\n-7\n"+root+"\n"),
		"size too high":  signed(k, fmt.Sprintf("%s\n%d\n%s\n", origin, uint64(1)<<60, root)),
		"overflow":       signed(k, origin+"\n99999999999999999999\n"+root+"\n"),
		"short root":     signed(k, origin+"\n7\nAAAA\n"),
		"loose base64":   signed(k, origin+"\n7\n"+strings.Repeat("A", 42)+"B=\n"),
		"no root":        signed(k, origin+"\n7\n"),
		"extension":      signed(k, origin+"\n7\n"+root+"\nmore\n"),
		"unsigned":       []byte(origin + "\n7\n" + root + "\n"),
		"changed":        bytes.Replace(good, []byte("\n7\n"), []byte("\n8\n"), 1),
		"too long":       append(bytes.Repeat([]byte("x"), 1<<16), good...),
	} {
		if c, err := audit.OpenCheckpoint(bad, k.Verifier()); err == nil {
			t.Errorf("%s: got %+v, want an error", name, c)
		}
	}
}

func verifier(t *testing.T, k *audit.LogKey) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(k.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseProofRefuses(t *testing.T) {
	hash := strings.Repeat("A", 43) + "="
	if _, err := audit.ParseProof([]byte("c2sp.org/tlog-proof@v1\nindex 0\n" + hash + "\n\ncheckpoint")); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":          "",
		"header":         "c2sp.org/tlog-proof@v2\nindex 0\n\nx",
		"no index":       "c2sp.org/tlog-proof@v1\n\nx",
		"no checkpoint":  "c2sp.org/tlog-proof@v1\nindex 0\n",
		"leading zero":   "c2sp.org/tlog-proof@v1\nindex 00\n\nx",
		"index too high": "c2sp.org/tlog-proof@v1\nindex 99999999999999999999\n\nx",
		"hash":           "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx",
		"loose hash":     "c2sp.org/tlog-proof@v1\nindex 0\n" + strings.Repeat("A", 42) + "B=\n\nx",
		"long path":      "c2sp.org/tlog-proof@v1\nindex 0\n" + strings.Repeat(hash+"\n", 65) + "\nx",
		"bad extra":      "c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nx",
		"empty extra":    "c2sp.org/tlog-proof@v1\nextra \nindex 0\n\nx",
		"late extra":     "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\nx",
		"too long":       "c2sp.org/tlog-proof@v1\nindex 0\n\n" + strings.Repeat("x", 4<<20),
	} {
		if p, err := audit.ParseProof([]byte(bad)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, p)
		}
	}
	if _, err := (audit.Proof{}).MarshalText(); err == nil {
		t.Error("a proof of nothing was written")
	}
	// Sizes at which x/mod would never come back are refused before.
	k := logKey(t)
	p := audit.Proof{Sequence: 1, Checkpoint: sign(t, k, 1<<60, tlog.Hash{})}
	if _, err := p.Check(k.Verifier(), nil); err == nil {
		t.Error("a checkpoint beyond the bound was read")
	}
	if _, err := (audit.Proof{Sequence: math.MaxUint64, Checkpoint: sign(t, k, 5, tlog.Hash{})}).Check(k.Verifier(), nil); err == nil {
		t.Error("a record beyond the bound was proved")
	}
}

func TestLogKeyIsWhatItWasSealedAs(t *testing.T) {
	k := logKey(t)
	if got := k.View(); !bytes.Equal(got[:4], []byte{0, 1, 2, 3}) || len(got) != 32 {
		t.Error("View is not the seed")
	}
	parts := strings.SplitN(k.Verifier(), "+", 3)
	if raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1]); len(parts) != 3 || err != nil || len(raw) != 33 || raw[0] != 1 {
		t.Errorf("got verifier %s", k.Verifier())
	}
	signature, err := k.Sign([]byte("text\n"))
	if err != nil || !verifier(t, k).Verify([]byte("text\n"), signature) {
		t.Errorf("the signature does not verify: %v", err)
	}
	k.Destroy()
	if _, err := k.Sign([]byte("text\n")); !errors.Is(err, audit.ErrLocked) {
		t.Errorf("after Destroy: got %v, want ErrLocked", err)
	}
	for _, bad := range []string{"", "a b", "a+b"} {
		if _, err := audit.TakeLogKey(bad, seed()); err == nil {
			t.Errorf("origin %q: got no error", bad)
		}
	}
	if got, want := audit.Origin([32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}), origin; got != want {
		t.Errorf("got origin %s, want %s", got, want)
	}
}
