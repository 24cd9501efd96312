package charter_test

import (
	"context"
	"errors"
	"testing"

	"keyward/internal/charter"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/store"
)

func TestVersionsAreStoredInTheirOrder(t *testing.T) {
	h := journaltest.New(t)
	ctx := context.Background()
	put := func(s charter.Signed) error {
		n := journal.Notice{Actor: "operator", Action: "test"}
		return h.Journal.Note(ctx, n, func(tx *store.Tx) error { return charter.Put(tx, s, [32]byte{7}) })
	}
	k, c := chain(t)
	third, err := k.Next(c[1], []byte("version: 1\n"), 3000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := charter.Load(ctx, h.Reader); !errors.Is(err, charter.ErrInvalid) {
		t.Errorf("none: got %v, want ErrInvalid", err)
	}
	if err := put(c[0]); err != nil {
		t.Fatal(err)
	}
	if err := put(third); !errors.Is(err, charter.ErrInvalid) {
		t.Errorf("one left out: got %v, want ErrInvalid", err)
	}
	epoch := h.Journal.Epoch()
	if err := put(c[1]); err != nil {
		t.Fatal(err)
	}
	if err := put(c[1]); !errors.Is(err, charter.ErrInvalid) {
		t.Errorf("the same again: got %v, want ErrInvalid", err)
	}
	if err := put(c[0]); err == nil {
		t.Error("the first again: got no error")
	}
	head, err := h.Reader.Head(ctx)
	if err != nil || head.Charter != 1 || head.Rules != [32]byte{7} || head.Epoch <= epoch {
		t.Errorf("got head %+v, %v; want version 1 in force, under a new epoch", head, err)
	}
	loaded, err := charter.Load(ctx, h.Reader)
	if err != nil || len(loaded) != 2 || loaded[1].Hash() != c[1].Hash() {
		t.Errorf("got %d versions, %v; want 2", len(loaded), err)
	}
}
