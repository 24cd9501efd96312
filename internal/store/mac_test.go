package store_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyward/internal/store"
	"keyward/internal/store/sqlite"
	"keyward/internal/store/storetest"
)

// page is the format's description, with its test vector.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/formats/rows.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\n", "")
}

func TestRowsAreSignedAsTheFormatSays(t *testing.T) {
	text := page(t)
	key := make([]byte, store.KeySize)
	for i := range key {
		key[i] = byte(i)
	}
	if !strings.Contains(text, hex.EncodeToString(key)) {
		t.Error("the page has another row key")
	}
	e, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := store.Open(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	total, _ := new(big.Int).SetString("5000000000000000000", 10)
	row := store.Row{int64(1700000000000), "key_01JABCDEFGHJKMNPQRSTVWXYZ0", "service:payouts", "eip155:1/slip44:60",
		"0x52908400098527886e0f7030069857d2e4169ee7", total.FillBytes(make([]byte, 32))}
	err = w.Init(context.Background(), key, [16]byte{}, func(tx *store.Tx) error {
		*tx.Head() = store.Head{
			Sequence: 7, Hash: [32]byte(bytes.Repeat([]byte{0xaa}, 32)), Time: 1700000000123, Epoch: 3,
			Charter: 2, Rules: [32]byte(bytes.Repeat([]byte{0xbb}, 32)), Open: 5,
		}
		return tx.Insert(storetest.Spend, row)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"spend", "head"} {
		got, err := r.QueryRow(context.Background(), `SELECT "mac" FROM "`+table+`"`)
		if err != nil {
			t.Fatal(err)
		}
		if mac := hex.EncodeToString(got.Bytes(0)); !strings.Contains(text, "mac  "+mac) {
			t.Errorf("table %s: got MAC %s, which is not the page's", table, mac)
		}
	}
	encoded, _ := store.EncodeRow("spend", 7, store.Row{int64(1700000000000), row[1], row[2], row[3], row[4], row[5]})
	if !strings.Contains(text, hex.EncodeToString(encoded)) {
		t.Errorf("got row %x, which is not the page's", encoded)
	}
}

func TestMACIsHMAC(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), store.KeySize, store.KeySize).Draw(r, "key")
		row := store.Row{rapid.String().Draw(r, "text"), rapid.Int64().Draw(r, "integer"), rapid.SliceOf(rapid.Byte()).Draw(r, "bytes")}
		written := rapid.Int64().Draw(r, "written")
		got, err := store.RowMAC(key, "table", written, row)
		if err != nil {
			r.Fatal(err)
		}
		message, _ := store.EncodeRow("table", written, row)
		h := hmac.New(sha256.New, key)
		h.Write(message)
		if want := h.Sum(nil); !bytes.Equal(got[:], want) {
			r.Fatalf("got %x, want %x", got, want)
		}
	})
}

// Two rows have one encoding only if they are one row.
func TestEncodingIsUnambiguous(t *testing.T) {
	value := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"", "a", "b", "ab", "\x01", "\x02\x00\x00\x00\x00"}), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"", "a", "b", "ab", "\x01", "\x03\x00\x00\x00\x00"}), func(s string) any { return []byte(s) }),
		rapid.Map(rapid.Int64Range(-2, 2), func(n int64) any { return n }),
	)
	row := rapid.Map(rapid.SliceOfN(value, 0, 4), func(v []any) store.Row { return v })
	table := rapid.SampledFrom([]string{"", "a", "ab"})
	equal := func(a, b store.Row) bool {
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			x, isBytes := a[i].([]byte)
			y, areBytes := b[i].([]byte)
			if isBytes != areBytes || isBytes && !bytes.Equal(x, y) || !isBytes && a[i] != b[i] {
				return false
			}
		}
		return true
	}
	rapid.Check(t, func(r *rapid.T) {
		a, b := row.Draw(r, "a"), row.Draw(r, "b")
		s, u := table.Draw(r, "table a"), table.Draw(r, "table b")
		m, n := rapid.Int64Range(0, 1).Draw(r, "written a"), rapid.Int64Range(0, 1).Draw(r, "written b")
		x, _ := store.EncodeRow(s, m, a)
		y, _ := store.EncodeRow(u, n, b)
		if got, want := bytes.Equal(x, y), s == u && m == n && equal(a, b); got != want {
			r.Fatalf("%q %d %v and %q %d %v: got equal encodings %v, want %v", s, m, a, u, n, b, got, want)
		}
	})
}

func TestSumsAreModulo256Bits(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		macs := rapid.SliceOf(rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80, 0xff}), 32, 32),
			func(b []byte) [32]byte { return [32]byte(b) })).Draw(r, "macs")
		want := new(big.Int)
		for _, m := range macs {
			want.Add(want, new(big.Int).SetBytes(m[:]))
		}
		want.Mod(want, new(big.Int).Lsh(big.NewInt(1), 256))
		there, back := store.AddAndSubtract(macs)
		got := new(big.Int)
		for i := range there {
			got.Lsh(got, 64).Or(got, new(big.Int).SetUint64(there[3-i]))
		}
		if got.Cmp(want) != 0 {
			r.Fatalf("got %x, want %x", got, want)
		}
		if back != [4]uint64{} {
			r.Fatalf("got %x after subtracting all, want 0", back)
		}
	})
}

func TestSigningARowAllocatesNothing(t *testing.T) {
	row := store.Row{int64(1), "key_01JABCDEFGHJKMNPQRSTVWXYZ0", "service:payouts", make([]byte, 200)}
	got := store.SignAllocations(func(f func()) float64 { return testing.AllocsPerRun(100, f) }, row)
	if got != 0 {
		t.Errorf("got %v allocations a row, want 0", got)
	}
}

func TestLockWipesTheKey(t *testing.T) {
	state := store.WipedState(bytes.Repeat([]byte{7}, store.KeySize))
	if len(state) == 0 || !bytes.Equal(state, make([]byte, len(state))) {
		t.Errorf("got %x, want zeros", state)
	}
}

func TestTableDescriptionsAreChecked(t *testing.T) {
	for name, table := range map[string]store.Table{
		"no key":            {Name: "t", Columns: []string{"a"}},
		"key not first":     {Name: "t", Key: []string{"b"}, Columns: []string{"a", "b"}},
		"key too long":      {Name: "t", Key: []string{"a", "b"}, Columns: []string{"a"}},
		"mutable key":       {Name: "t", Key: []string{"a"}, Columns: []string{"a", "b"}, Mutable: []string{"a"}},
		"mutable not there": {Name: "t", Key: []string{"a"}, Columns: []string{"a", "b"}, Mutable: []string{"c"}},
	} {
		if store.PlanErr(table) == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// Sums are decoded after their MAC was verified. The decoder refuses all the
// same whatever it would not write.
func FuzzSums(f *testing.F) {
	entry := append([]byte("\x02\x00\x00\x00\x05spend"), bytes.Repeat([]byte{1}, 32)...)
	second := append([]byte("\x02\x00\x00\x00\x03key"), bytes.Repeat([]byte{1}, 32)...)
	for _, seed := range [][]byte{nil, entry, append(second, entry...), append(entry, second...), append(entry, entry...),
		entry[:20], []byte("\x02\xff\xff\xff\xff"), append([]byte("\x02\x00\x00\x00\x05spend"), make([]byte, 32)...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := store.RecodeSums(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Errorf("got %x from %x", again, b)
		}
	})
}
