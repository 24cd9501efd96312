package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"

	"keyward/internal/seal"
)

func TestRotationWhileServing(t *testing.T) {
	root, sealed := two(t)
	row, key, err := root.NewRowKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	wrapped, material, version, err := root.Wrap(rand.Reader, sample(), []byte("material"))
	if err != nil {
		t.Fatal(err)
	}

	rotation, err := root.Rotate(rand.Reader, sealed.Slots)
	if err != nil {
		t.Fatal(err)
	}
	if root.Version() != 1 || rotation.Version() != 2 {
		t.Fatalf("before Apply: got versions %d and %d, want 1 and 2", root.Version(), rotation.Version())
	}
	if err := rotation.Apply(); err != nil {
		t.Fatal(err)
	}
	sealed.Slots, sealed.Ring = rotation.Slots, rotation.Ring
	if root.Version() != 2 || !slices.Equal(root.Versions(), []uint64{1, 2}) {
		t.Fatalf("after Apply: got %d of %v, want 2 of 1 and 2", root.Version(), root.Versions())
	}

	// Rows under the old version open until they are sealed anew.
	rewrapped, now, err := root.Rewrap(rand.Reader, sample(), version, wrapped)
	if err != nil || now != 2 {
		t.Fatalf("Rewrap: got version %d, %v, want 2", now, err)
	}
	for name, w := range map[uint64][]byte{1: wrapped, 2: rewrapped} {
		got, err := root.Unwrap(sample(), name, w, material)
		if err != nil || string(got.View()) != "material" {
			t.Fatalf("version %d: got %q, %v", name, got.View(), err)
		}
		got.Destroy()
		if _, err := root.Unwrap(sample(), 3-name, w, material); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("version %d as %d: got %v, want %v", name, 3-name, err, seal.ErrOpen)
		}
	}
	row2, err := root.ResealSystem(rand.Reader, row)
	if err != nil || row2.RootVersion != 2 {
		t.Fatalf("ResealSystem: got version %d, %v, want 2", row2.RootVersion, err)
	}

	// A restart, by either credential, opens old and new rows and the same row key.
	for _, word := range []string{"one", "two"} {
		opened, _, err := unseal(t, sealed, word)
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		for _, k := range []seal.SystemKey{row, row2} {
			got, err := opened.RowKey(k)
			if err != nil || !got.Equal(key) {
				t.Fatalf("%q: another row key, or %v", word, err)
			}
			got.Destroy()
		}
	}

	// When no row needs it any more, the old version goes.
	if err := root.Retire(2); err == nil {
		t.Error("the current version was retired")
	}
	if err := root.Retire(1); err != nil {
		t.Fatal(err)
	}
	if _, err := root.RowKey(row); !errors.Is(err, seal.ErrVersion) {
		t.Errorf("a row under a retired version: got %v, want %v", err, seal.ErrVersion)
	}
	if err := root.Retire(1); !errors.Is(err, seal.ErrVersion) {
		t.Errorf("retired twice: got %v, want %v", err, seal.ErrVersion)
	}
	sealed.Ring = nil
	opened, _, err := unseal(t, sealed, "one")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(opened.Versions(), []uint64{2}) {
		t.Errorf("got versions %v, want 2 only", opened.Versions())
	}
	if _, err := opened.Unwrap(sample(), 2, rewrapped, material); err != nil {
		t.Errorf("the rewrapped row: %v", err)
	}
}

func TestEveryOlderVersionStandsByItself(t *testing.T) {
	root, sealed := two(t)
	var rows []seal.SystemKey
	for range 4 {
		row, key, err := root.NewRowKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key.Destroy()
		rows = append(rows, row)
		rotation, err := root.Rotate(rand.Reader, sealed.Slots)
		if err != nil {
			t.Fatal(err)
		}
		if err := rotation.Apply(); err != nil {
			t.Fatal(err)
		}
		sealed.Slots, sealed.Ring = rotation.Slots, rotation.Ring
	}
	if len(sealed.Ring) != 4 || sealed.Ring[0].Name != seal.OldRootName(1) || sealed.Ring[3].Name != "root/4" {
		t.Fatalf("got a ring of %d, want versions 1 to 4", len(sealed.Ring))
	}
	for i := range sealed.Slots { // a database may return either
		sealed.Ring[i].Public, sealed.Slots[i].Name = nil, ""
	}
	sealed.Ring = slices.Delete(sealed.Ring, 1, 3) // 2 and 3 are retired, 1 and 4 are not
	opened, _, err := unseal(t, sealed, "two")
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		_, err := opened.RowKey(row)
		if i == 0 || i == 3 {
			if err != nil {
				t.Errorf("version %d: %v", i+1, err)
			}
		} else if !errors.Is(err, seal.ErrVersion) {
			t.Errorf("version %d: got %v, want %v", i+1, err, seal.ErrVersion)
		}
	}
}

func TestARotationThatWasNotStoredIsForgotten(t *testing.T) {
	root, sealed := two(t)
	rotation, err := root.Rotate(rand.Reader, sealed.Slots)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Rotate(rand.Reader, sealed.Slots); !errors.Is(err, seal.ErrRotating) {
		t.Errorf("a second one: got %v, want %v", err, seal.ErrRotating)
	}
	if _, err := root.AddSlot(t.Context(), rand.Reader, sealed.Slots, newSlot(t, "third", "x")); !errors.Is(err, seal.ErrRotating) {
		t.Errorf("a new slot meanwhile: got %v, want %v", err, seal.ErrRotating)
	}
	if _, version, err := root.Seal(rand.Reader, system(), nil); err != nil || version != 1 {
		t.Errorf("a row meanwhile: got version %d, %v, want 1", version, err)
	}
	rotation.Discard()
	rotation.Discard()
	if err := rotation.Apply(); err == nil {
		t.Error("a discarded rotation was applied")
	}
	if root.Version() != 1 {
		t.Errorf("got version %d, want 1", root.Version())
	}
	if _, _, err := unseal(t, sealed, "one"); err != nil {
		t.Errorf("the slots from before: %v", err)
	}
	again, err := root.Rotate(rand.Reader, sealed.Slots)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Apply(); err != nil {
		t.Fatal(err)
	}
	again.Discard()
	if err := again.Apply(); err == nil || root.Version() != 2 {
		t.Errorf("applied twice: got %v at version %d, want an error at 2", err, root.Version())
	}
}

func TestRotationThatFailsHalfwayChangesNothing(t *testing.T) {
	root, sealed := two(t)
	before := slices.Clone(sealed.Slots)
	for n := range int64(32 + 24 + 24 + 24) {
		if _, err := root.Rotate(io.LimitReader(rand.Reader, n), sealed.Slots); err == nil {
			t.Fatalf("%d bytes of randomness: got no error", n)
		}
	}
	for i := range before {
		if !bytes.Equal(before[i].SealedRoot, sealed.Slots[i].SealedRoot) || before[i].RootVersion != 1 {
			t.Errorf("slot %d was altered", i)
		}
	}
	if _, err := root.Rotate(rand.Reader, sealed.Slots); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Whoever can write to the database must not get the next root key sealed to a
// public half of theirs.
func TestRotationRefusesSlotsThatTheRootKeyDoesNotKnow(t *testing.T) {
	root, sealed := two(t)
	_, foreign, err := seal.Init(t.Context(), rand.Reader, home, newSlot(t, "evil", "x"))
	if err != nil {
		t.Fatal(err)
	}
	planted := sealed.Slots[1]
	planted.Public = foreign.Public
	renamed := sealed.Slots[1]
	renamed.ID = sealed.Slots[0].ID
	cheap := sealed.Slots[1]
	cheap.Params = bytes.Repeat([]byte{0}, 16)
	stale := sealed.Slots[1]
	stale.RootVersion = 2
	for name, slot := range map[string]seal.Slot{
		"foreign": foreign, "planted public half": planted, "other id": renamed, "other params": cheap, "other version": stale, "empty": {RootVersion: 1},
	} {
		if _, err := root.Rotate(rand.Reader, []seal.Slot{sealed.Slots[0], slot}); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrDamaged)
		}
	}
	if _, err := root.Rotate(rand.Reader, nil); !errors.Is(err, seal.ErrNoSlot) {
		t.Errorf("no slots: got %v, want %v", err, seal.ErrNoSlot)
	}
	renamedForPeople := slices.Clone(sealed.Slots)
	renamedForPeople[0].Name = "other"
	if _, err := root.Rotate(rand.Reader, renamedForPeople); err != nil {
		t.Errorf("a slot with another name: %v", err)
	}
}

func TestASlotThatMissedARotationIsNamed(t *testing.T) {
	root, sealed := two(t)
	rotation, err := root.Rotate(rand.Reader, sealed.Slots)
	if err != nil {
		t.Fatal(err)
	}
	put := seal.Sealed{Installation: home, Slots: []seal.Slot{sealed.Slots[0], rotation.Slots[1]}, Ring: rotation.Ring}
	if _, _, err := unseal(t, put, "one"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("the slot put back: got %v, want %v", err, seal.ErrDamaged)
	}
	if _, _, err := unseal(t, put, "two"); err != nil {
		t.Errorf("the other slot: %v", err)
	}
	// The version that a slot names is bound to what it holds.
	lie := rotation.Slots[0]
	lie.RootVersion = 3
	if _, _, err := unseal(t, seal.Sealed{Installation: home, Slots: []seal.Slot{lie}}, "one"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("another version named: got %v, want %v", err, seal.ErrDamaged)
	}
}

func TestAnAlteredRingStopsTheUnsealing(t *testing.T) {
	root, sealed := two(t)
	for range 2 {
		rotation, err := root.Rotate(rand.Reader, sealed.Slots)
		if err != nil {
			t.Fatal(err)
		}
		if err := rotation.Apply(); err != nil {
			t.Fatal(err)
		}
		sealed.Slots, sealed.Ring = rotation.Slots, rotation.Ring
	}
	for name, alter := range map[string]func(ring []seal.SystemKey){
		"exchanged":  func(r []seal.SystemKey) { r[0].Sealed, r[1].Sealed = r[1].Sealed, r[0].Sealed },
		"twice":      func(r []seal.SystemKey) { r[0] = r[1] },
		"cut":        func(r []seal.SystemKey) { r[0].Sealed = r[0].Sealed[1:] },
		"renamed":    func(r []seal.SystemKey) { r[0].Name = "root/3" },
		"padded":     func(r []seal.SystemKey) { r[0].Name = "root/01" },
		"no version": func(r []seal.SystemKey) { r[0].Name = "root" },
		"other kind": func(r []seal.SystemKey) { r[0].Name = "row" },
		"under 2":    func(r []seal.SystemKey) { r[0].RootVersion = 2 },
		"public":     func(r []seal.SystemKey) { r[0].Public = []byte{1} },
	} {
		s := sealed
		s.Ring = slices.Clone(sealed.Ring)
		alter(s.Ring)
		if _, _, err := unseal(t, s, "one"); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrDamaged)
		}
	}
}
