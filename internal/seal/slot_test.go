package seal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/sealtest"
)

// newSlot is a slot of the test method that opens with the word.
func newSlot(t testing.TB, name, word string) seal.NewSlot {
	return seal.NewSlot{Method: new(sealtest.Method), Credential: sealtest.Credential(t, word), Name: name, Created: 1}
}

func unseal(t testing.TB, s seal.Sealed, word string) (*seal.Root, string, error) {
	root, id, err := seal.Unseal(t.Context(), s, []seal.Method{new(sealtest.Method)}, sealtest.Credential(t, word))
	if err == nil {
		t.Cleanup(root.Destroy)
	}
	return root, id, err
}

// two is an installation with two slots, and its root key.
func two(t testing.TB) (*seal.Root, seal.Sealed) {
	t.Helper()
	root, first, err := seal.Init(t.Context(), rand.Reader, home, newSlot(t, "first", "one"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Destroy)
	second, err := root.AddSlot(t.Context(), rand.Reader, []seal.Slot{first}, newSlot(t, "second", "two"))
	if err != nil {
		t.Fatal(err)
	}
	return root, seal.Sealed{Installation: home, Slots: []seal.Slot{first, second}}
}

func TestEitherOfTwoSlotsOpens(t *testing.T) {
	root, sealed := two(t)
	row, key, err := root.NewRowKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	root.Destroy()
	for i, word := range []string{"one", "two"} {
		opened, id, err := unseal(t, sealed, word)
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		if id != sealed.Slots[i].ID {
			t.Errorf("%q opened slot %q, want %q", word, id, sealed.Slots[i].ID)
		}
		got, err := opened.RowKey(row)
		if err != nil || !got.Equal(key) {
			t.Errorf("%q: another row key, or %v", word, err)
		}
		got.Destroy()
	}
	if sealed.Slots[0].ID == sealed.Slots[1].ID || !strings.HasPrefix(sealed.Slots[0].ID, "slot_") || len(sealed.Slots[0].ID) != 21 {
		t.Errorf("got ids %q and %q", sealed.Slots[0].ID, sealed.Slots[1].ID)
	}
}

func TestAWrongCredentialTellsNothing(t *testing.T) {
	_, sealed := two(t)
	_, _, err := unseal(t, sealed, "three")
	if err != seal.ErrWrongCredential {
		t.Fatalf("got %v, want %v and nothing more", err, seal.ErrWrongCredential)
	}
}

// Every slot of the kind is derived in full, also when it could be seen
// beforehand that it will not open.
func TestAWrongCredentialCostsEveryDerivation(t *testing.T) {
	_, sealed := two(t)
	for name, alter := range map[string]func(s *seal.Slot){
		"whole":         func(s *seal.Slot) {},
		"no public":     func(s *seal.Slot) { s.Public = nil },
		"no private":    func(s *seal.Slot) { s.SealedPrivate = nil },
		"no root":       func(s *seal.Slot) { s.SealedRoot = nil },
		"version 0":     func(s *seal.Slot) { s.RootVersion = 0 },
		"other version": func(s *seal.Slot) { s.RootVersion = 9 },
	} {
		method := new(sealtest.Method)
		s := sealed
		s.Slots = slices.Clone(sealed.Slots)
		for i := range s.Slots {
			alter(&s.Slots[i])
		}
		_, _, err := seal.Unseal(t.Context(), s, []seal.Method{method}, sealtest.Credential(t, "three"))
		if !errors.Is(err, seal.ErrWrongCredential) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrWrongCredential)
		}
		if method.Derived() != 2 {
			t.Errorf("%s: got %d derivations, want 2", name, method.Derived())
		}
	}
}

func TestADamagedSlotDoesNotKeepTheOtherShut(t *testing.T) {
	_, sealed := two(t)
	for name, alter := range map[string]func(s *seal.Slot){
		"params":      func(s *seal.Slot) { s.Params = nil },
		"huge params": func(s *seal.Slot) { s.Params = make([]byte, 1<<20) },
		"public":      func(s *seal.Slot) { s.Public = s.Public[1:] },
	} {
		s := sealed
		s.Slots = slices.Clone(sealed.Slots)
		alter(&s.Slots[0])
		if _, _, err := unseal(t, s, "two"); err != nil {
			t.Errorf("%s, the other's credential: got %v", name, err)
		}
		_, _, err := unseal(t, s, "one")
		if !errors.Is(err, seal.ErrWrongCredential) || !strings.Contains(err.Error(), s.Slots[0].ID) {
			t.Errorf("%s: got %v, want it to name the slot", name, err)
		}
		if !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrParams) {
			t.Errorf("%s: got %v, want %v or %v", name, err, seal.ErrDamaged, seal.ErrParams)
		}
	}
}

func TestUnsealNeedsASlotOfTheKind(t *testing.T) {
	_, sealed := two(t)
	foreign := seal.Credential{Kind: "foreign"}
	if _, _, err := seal.Unseal(t.Context(), sealed, []seal.Method{new(sealtest.Method)}, foreign); !errors.Is(err, seal.ErrNoSlot) {
		t.Errorf("no such method: got %v, want %v", err, seal.ErrNoSlot)
	}
	sealed.Slots = nil
	if _, _, err := unseal(t, sealed, "one"); !errors.Is(err, seal.ErrNoSlot) {
		t.Errorf("no slots: got %v, want %v", err, seal.ErrNoSlot)
	}
	sealed.Slots = make([]seal.Slot, seal.MaxSlots+1)
	if _, _, err := unseal(t, sealed, "one"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("too many slots: got %v, want %v", err, seal.ErrDamaged)
	}
}

func TestUnsealStopsWhenCancelled(t *testing.T) {
	_, sealed := two(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := seal.Unseal(ctx, sealed, []seal.Method{new(sealtest.Method)}, sealtest.Credential(t, "one"))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
}

func TestTheLastSlotStays(t *testing.T) {
	_, sealed := two(t)
	left, err := seal.RemoveSlot(sealed.Slots, sealed.Slots[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0].ID != sealed.Slots[1].ID || len(sealed.Slots) != 2 {
		t.Fatalf("got %d slots, want the second only", len(left))
	}
	if _, err := seal.RemoveSlot(left, left[0].ID); !errors.Is(err, seal.ErrLastSlot) {
		t.Errorf("got %v, want %v", err, seal.ErrLastSlot)
	}
	if _, err := seal.RemoveSlot(left, sealed.Slots[0].ID); !errors.Is(err, seal.ErrNoSlot) {
		t.Errorf("got %v, want %v", err, seal.ErrNoSlot)
	}
	if _, err := seal.RemoveSlot(nil, "slot_x"); !errors.Is(err, seal.ErrNoSlot) {
		t.Errorf("got %v, want %v", err, seal.ErrNoSlot)
	}
	sealed.Slots = left
	if _, _, err := unseal(t, sealed, "one"); !errors.Is(err, seal.ErrWrongCredential) {
		t.Errorf("the removed credential: got %v, want %v", err, seal.ErrWrongCredential)
	}
}

func TestSlotsAreRefused(t *testing.T) {
	root, sealed := two(t)
	many := make([]seal.Slot, seal.MaxSlots)
	for name, c := range map[string]struct {
		slots []seal.Slot
		n     seal.NewSlot
	}{
		"name taken": {sealed.Slots, newSlot(t, "first", "x")},
		"no name":    {sealed.Slots, newSlot(t, "", "x")},
		"long name":  {sealed.Slots, newSlot(t, strings.Repeat("a", 65), "x")},
		"upper case": {sealed.Slots, newSlot(t, "Third", "x")},
		"dash first": {sealed.Slots, newSlot(t, "-third", "x")},
		"space":      {sealed.Slots, newSlot(t, "the third", "x")},
		"not ASCII":  {sealed.Slots, newSlot(t, "drítter", "x")},
		"too many":   {many, newSlot(t, "third", "x")},
		"no method":  {sealed.Slots, seal.NewSlot{Name: "third"}},
		"wrong kind": {sealed.Slots, seal.NewSlot{Name: "third", Method: new(sealtest.Method), Credential: seal.Credential{Kind: "foreign"}}},
	} {
		if _, err := root.AddSlot(t.Context(), rand.Reader, c.slots, c.n); !errors.Is(err, seal.ErrSlot) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrSlot)
		}
	}
	if _, err := root.AddSlot(t.Context(), rand.Reader, many[1:], newSlot(t, "0.third_slot-", "x")); err != nil {
		t.Errorf("the last that fits: got %v", err)
	}
}

func TestSlotsMovedBetweenInstallationsDoNotOpen(t *testing.T) {
	_, here := two(t)
	_, slot := sealtest.Root(t, [32]byte{9})
	for name, s := range map[string]seal.Sealed{
		"foreign slot here": {Installation: home, Slots: []seal.Slot{slot}},
		"our slot there":    {Installation: [32]byte{9}, Slots: here.Slots},
	} {
		for _, word := range []string{"one", "correct horse"} {
			if _, _, err := unseal(t, s, word); !errors.Is(err, seal.ErrWrongCredential) {
				t.Errorf("%s: got %v, want %v", name, err, seal.ErrWrongCredential)
			}
		}
	}
	// Parts of two slots of one installation do not fit either.
	mixed := here.Slots[0]
	mixed.SealedRoot = here.Slots[1].SealedRoot
	if _, _, err := unseal(t, seal.Sealed{Installation: home, Slots: []seal.Slot{mixed}}, "one"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("another slot's root key: got %v, want %v", err, seal.ErrDamaged)
	}
}

// FuzzSlot feeds Unseal with rows that anybody may have written.
func FuzzSlot(f *testing.F) {
	g := readGolden(f) // the same in each worker
	installation, good := [32]byte(unhex(f, g.Installation)), g.Slots[0]
	cred, err := keyfile.Parse([]byte(g.KeyFile))
	if err != nil {
		f.Fatal(err)
	}
	open := func(t *testing.T, s seal.Sealed) error {
		root, _, err := seal.Unseal(t.Context(), s, goldenMethods, cred)
		if err == nil {
			root.Destroy()
		}
		return err
	}
	f.Add(good.ID, good.RootVersion, good.Params, good.Public, good.SealedPrivate, good.SealedRoot, "root/1", uint64(2), []byte{})
	f.Add("", uint64(0), []byte{}, []byte{}, []byte{}, []byte{}, "", uint64(0), []byte{})
	f.Add(good.ID, uint64(1)<<63, good.Params, good.Public[:1215], good.SealedPrivate, good.SealedRoot[:1168], "root/01", uint64(1), make([]byte, 72))
	f.Fuzz(func(t *testing.T, id string, version uint64, params, public, private, root []byte, name string, under uint64, old []byte) {
		s := seal.Sealed{Installation: installation, Slots: []seal.Slot{{
			ID: id, Kind: keyfile.Kind, RootVersion: version, Params: params, Public: public, SealedPrivate: private, SealedRoot: root,
		}}}
		same := id == good.ID && version == good.RootVersion && bytes.Equal(params, good.Params) && bytes.Equal(public, good.Public) &&
			bytes.Equal(private, good.SealedPrivate) && bytes.Equal(root, good.SealedRoot)
		if err := open(t, s); (err == nil) != same {
			t.Fatalf("got %v for a slot that is ours: %v", err, same)
		}
		s = seal.Sealed{Installation: installation, Slots: []seal.Slot{good}, Ring: []seal.SystemKey{{Name: name, RootVersion: under, Sealed: old}}}
		if err := open(t, s); !errors.Is(err, seal.ErrDamaged) {
			t.Fatalf("an older root key from nowhere: got %v, want %v", err, seal.ErrDamaged)
		}
	})
}

func ExampleRemoveSlot() {
	_, err := seal.RemoveSlot([]seal.Slot{{ID: "slot_1"}}, "slot_1")
	fmt.Println(err)
	// Output: the last slot cannot be removed
}
