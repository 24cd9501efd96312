package software_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/software"
	"keyward/internal/seal"
	"keyward/internal/store"
)

// docs/formats/material.md.
const goldenContext = "a6016f4543435f534543475f503235364b31026b5349474e5f564552494659" +
	"0368657468657265756d046967656e65726174656405f5065820" +
	"2222222222222222222222222222222222222222222222222222222222222222"

func TestContextFollowsItsFormat(t *testing.T) {
	golden, err := hex.DecodeString(goldenContext)
	if err != nil {
		t.Fatal(err)
	}
	want := software.Attributes{
		Spec: key.Secp256k1, Usage: key.SignVerify, Domain: key.Ethereum, Origin: key.Generated, Exportable: true,
		PublicHash: [32]byte(bytes.Repeat([]byte{0x22}, 32)),
	}
	if got, err := software.ParseAttributes(golden); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func FuzzContext(f *testing.F) {
	golden, err := hex.DecodeString(goldenContext)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(golden[:len(golden)-1])
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := software.ParseAttributes(b)
		if err != nil {
			return
		}
		if again := software.MarshalAttributes(a); !bytes.Equal(again, b) {
			t.Fatalf("got %x back, want %x", again, b)
		}
	})
}

func TestMaterialIsWrittenOnce(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.P256})
	b, err := w.Generate(t.Context(), k, 1)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Journal.Note(t.Context(), journal.Notice{Actor: "operator", Action: "test"}, b.Put)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v, want %v", err, store.ErrConflict)
	}
	w.works(t, k)
}

// What stands beside the sealed material decides what the key may do, so it must
// not be possible to say something else there, even for one who holds the row key.
func TestAttributesAreSealedWithTheMaterial(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.Secp256k1})
	table := software.Materials()
	original, err := w.Reader.Row(t.Context(), table, string(k.ID), int64(1))
	if err != nil {
		t.Fatal(err)
	}
	var context map[int]any
	if err := cbor.Unmarshal(original.Bytes(3), &context); err != nil {
		t.Fatal(err)
	}
	for field, other := range map[int]any{
		1: "ECC_NIST_P256", 2: "ENCRYPT_DECRYPT", 3: "ethereum", 4: "imported", 5: true, 6: make([]byte, 32),
	} {
		changed := map[int]any{}
		for i, v := range context {
			changed[i] = v
		}
		changed[field] = other
		w.overwrite(t, k, changed)
		w.fails(t, k, seal.ErrOpen)
	}
	for name, changed := range map[string]any{"another field": merge(context, 8, "x"), "a field less": merge(context, 6, nil), "an array": []any{1}} {
		w.overwrite(t, k, changed)
		if _, err := w.sign(t, k, "message"); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	w.overwrite(t, k, context)
	w.works(t, k)

	// Nor does it open in another key's row.
	other := w.create(t, key.Key{Spec: key.Secp256k1})
	w.Commit(func(tx *store.Tx) error {
		row, err := tx.Row(table, string(k.ID), int64(1))
		if err != nil {
			return err
		}
		row[0] = string(other.ID)
		if err := tx.Delete(table, string(other.ID), int64(1)); err != nil {
			return err
		}
		return tx.Insert(table, row)
	})
	w.Purge(other.ID)
	w.fails(t, other, seal.ErrOpen)
}

func merge(m map[int]any, field int, v any) map[int]any {
	all := map[int]any{field: v}
	for i, old := range m {
		if i != field {
			all[i] = old
		}
	}
	if v == nil {
		delete(all, field)
	}
	return all
}

// overwrite replaces the context of a row, with a right MAC.
func (w *world) overwrite(t testing.TB, k key.Key, context any) {
	t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(context)
	if err != nil {
		t.Fatal(err)
	}
	table := software.Materials()
	w.Commit(func(tx *store.Tx) error {
		row, err := tx.Row(table, string(k.ID), int64(1))
		if err != nil {
			return err
		}
		row[3] = b
		if err := tx.Delete(table, string(k.ID), int64(1)); err != nil {
			return err
		}
		return tx.Insert(table, row)
	})
	w.Purge(k.ID)
}

func TestRootRotatesWhileKeysAreUsed(t *testing.T) {
	w := newWorld(t, 2)
	var keys []key.Key
	for range 5 {
		keys = append(keys, w.create(t, key.Key{Spec: key.P256}))
	}
	before, err := w.Reader.Row(t.Context(), software.Materials(), string(keys[0].ID), int64(1))
	if err != nil {
		t.Fatal(err)
	}
	stale := func(limit int) []key.Ref {
		refs, err := software.Stale(t.Context(), w.Reader, w.root.Version(), limit)
		if err != nil {
			t.Fatal(err)
		}
		return refs
	}
	if refs := stale(10); len(refs) != 0 {
		t.Fatalf("before: got %d stale keys, want none", len(refs))
	}
	rotation, err := w.root.Rotate(rand.Reader, []seal.Slot{w.slot})
	if err == nil {
		err = rotation.Apply()
	}
	if err != nil {
		t.Fatal(err)
	}
	for left := 5; left > 0; left -= 2 {
		refs := stale(2)
		if len(refs) != min(left, 2) {
			t.Fatalf("got %d stale keys, want %d", len(refs), min(left, 2))
		}
		w.works(t, keys[4])
		refs = append(refs, key.Ref{ID: keys[0].ID, Version: 9}) // destroyed meanwhile
		w.Commit(func(tx *store.Tx) error { return w.Rewrap(tx, refs) })
	}
	if refs := stale(10); len(refs) != 0 {
		t.Fatalf("after: got %d stale keys, want none", len(refs))
	}
	after, err := w.Reader.Row(t.Context(), software.Materials(), string(keys[0].ID), int64(1))
	if err != nil {
		t.Fatal(err)
	}
	if after.Int(2) != 2 || bytes.Equal(after.Bytes(4), before.Bytes(4)) || !bytes.Equal(after.Bytes(5), before.Bytes(5)) {
		t.Error("want another root version and wrapping, and the sealed material as it was")
	}
	if err := w.root.Retire(1); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		w.Purge(k.ID)
		w.works(t, k)
	}
}

func TestADestroyedKeyIsGone(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.P256})
	k.Current = 2
	k = w.create(t, k)
	other := w.create(t, key.Key{Spec: key.P256})
	w.works(t, k)
	w.Commit(func(tx *store.Tx) error { return software.Destroy(tx, k.ID) })
	w.Purge(k.ID)
	for v := range key.Version(2) {
		k.Current = v + 1
		w.fails(t, k, keystore.ErrNoKey)
	}
	w.works(t, other)
	if row, err := w.Reader.QueryRow(t.Context(), "SELECT count(*) FROM material"); err != nil || row.Int(0) != 1 {
		t.Errorf("got %v rows of material, %v, want 1", row, err)
	}
	if err := w.Reader.VerifyAll(t.Context(), []store.Table{software.Materials()}); err != nil {
		t.Error(err)
	}
	w.Commit(func(tx *store.Tx) error { return software.Destroy(tx, k.ID) }) // again: nothing is there
}
