package sealtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/secret"
)

// A Harness is what Run needs to know about a method.
type Harness struct {
	Method seal.Method
	Right  func(t testing.TB) seal.Credential // the same each time; the suite destroys it
	Wrong  func(t testing.TB) seal.Credential // of the same kind and form
}

// Run is the suite that every implementation of seal.Method must pass.
func Run(t *testing.T, h Harness) {
	t.Run("MethodKeepsItsContract", h.contract)
	t.Run("ParametersAreRefusedUnlessWhole", h.parameters)
	h.Method = memo{h.Method, make(map[string][]byte)}
	t.Run("SlotOpensWithTheRightCredentialOnly", h.slot)
	t.Run("SlotIsOfItsInstallation", h.installation)
	t.Run("AlteredSlotNeverOpens", h.altered)
}

// memo remembers derivations, which may be meant to be slow, where a test is
// about slots and not about the method.
type memo struct {
	seal.Method
	known map[string][]byte
}

func (m memo) Create(ctx context.Context, rand io.Reader, cred seal.Credential) ([]byte, secret.Bytes, error) {
	params, kek, err := m.Method.Create(ctx, rand, cred)
	if err == nil {
		m.known[string(params)+"|"+string(cred.Secret.View())] = bytes.Clone(kek.View())
	}
	return params, kek, err
}

func (m memo) KEK(ctx context.Context, params []byte, cred seal.Credential) (secret.Bytes, error) {
	name := string(params) + "|" + string(cred.Secret.View())
	if kek := m.known[name]; kek != nil {
		return secret.Take(bytes.Clone(kek)), nil
	}
	kek, err := m.Method.KEK(ctx, params, cred)
	if err == nil {
		m.known[name] = bytes.Clone(kek.View())
	}
	return kek, err
}

func (h Harness) right(t *testing.T) seal.Credential {
	c := h.Right(t)
	t.Cleanup(c.Destroy)
	return c
}

func (h Harness) wrong(t *testing.T) seal.Credential {
	c := h.Wrong(t)
	t.Cleanup(c.Destroy)
	return c
}

func (h Harness) contract(t *testing.T) {
	ctx, m, right := t.Context(), h.Method, h.right(t)
	if m.Kind() == "" || m.Kind() != right.Kind {
		t.Fatalf("kind: got %q and a credential of %q", m.Kind(), right.Kind)
	}
	before := right.Secret.Clone()
	defer before.Destroy()
	params, kek, err := m.Create(ctx, rand.Reader, right)
	if err != nil {
		t.Fatal(err)
	}
	defer kek.Destroy()
	if kek.Len() != seal.KeySize {
		t.Fatalf("KEK: got %d bytes, want %d", kek.Len(), seal.KeySize)
	}
	again, err := m.KEK(ctx, params, right)
	if err != nil || !again.Equal(kek) {
		t.Fatalf("derived again: got another KEK, or %v", err)
	}
	again.Destroy()
	if right.Secret.Len() != before.Len() || (before.Len() > 0 && !right.Secret.Equal(before)) {
		t.Fatal("the method altered or destroyed the credential, which it only borrows")
	}
	for name, s := range map[string]secret.Bytes{"credential": right.Secret, "KEK": kek} {
		if s.Len() > 0 && bytes.Contains(params, s.View()) {
			t.Fatalf("the parameters, stored in the clear, contain the %s", name)
		}
	}
	if other, err := m.KEK(ctx, params, h.wrong(t)); err == nil && other.Equal(kek) {
		t.Fatal("a wrong credential gave the same KEK")
	} else if err != nil && !errors.Is(err, seal.ErrWrongCredential) {
		t.Fatalf("wrong credential: got %v, want %v or another KEK", err, seal.ErrWrongCredential)
	}
	foreign := seal.Credential{Kind: "foreign", Secret: right.Secret}
	if _, err := m.KEK(ctx, params, foreign); !errors.Is(err, seal.ErrWrongCredential) {
		t.Fatalf("credential of another kind: got %v, want %v", err, seal.ErrWrongCredential)
	}
	if _, err := m.KEK(ctx, params, seal.Credential{Kind: m.Kind()}); right.Secret.Len() > 0 && !errors.Is(err, seal.ErrWrongCredential) {
		t.Fatalf("empty credential: got %v, want %v", err, seal.ErrWrongCredential)
	}
	if _, _, err := m.Create(ctx, rand.Reader, seal.Credential{Kind: m.Kind()}); right.Secret.Len() > 0 && err == nil {
		t.Fatal("a slot was made for an empty credential")
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.KEK(over, params, right); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: got %v, want %v", err, context.Canceled)
	}
}

func (h Harness) parameters(t *testing.T) {
	right := h.right(t)
	params, kek, err := h.Method.Create(t.Context(), rand.Reader, right)
	if err != nil {
		t.Fatal(err)
	}
	kek.Destroy()
	cases := map[string][]byte{
		"longer":  append(bytes.Clone(params), 0),
		"garbage": bytes.Repeat([]byte{0xff}, 40),
		"long":    make([]byte, 1<<20),
	}
	if len(params) > 0 {
		cases["none"] = nil
		cases["cut"] = params[:len(params)-1]
	}
	for name, p := range cases {
		if _, err := h.Method.KEK(t.Context(), p, right); !errors.Is(err, seal.ErrParams) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrParams)
		}
	}
}

func (h Harness) init(t *testing.T, installation [32]byte) (*seal.Root, seal.Slot) {
	t.Helper()
	root, slot, err := seal.Init(t.Context(), rand.Reader, installation,
		seal.NewSlot{Method: h.Method, Credential: h.right(t), Name: "one", Created: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Destroy)
	return root, slot
}

func (h Harness) slot(t *testing.T) {
	methods := []seal.Method{new(Method), h.Method}
	root, slot := h.init(t, [32]byte{1})
	row, _, err := root.NewRowKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rotation, err := root.Rotate(rand.Reader, []seal.Slot{slot})
	if err != nil {
		t.Fatal(err)
	}
	root.Destroy()

	sealed := seal.Sealed{Installation: [32]byte{1}, Slots: rotation.Slots, Ring: rotation.Ring}
	if _, _, err := seal.Unseal(t.Context(), sealed, methods, h.wrong(t)); !errors.Is(err, seal.ErrWrongCredential) {
		t.Fatalf("wrong credential: got %v, want %v", err, seal.ErrWrongCredential)
	}
	if len(slot.Params) == 0 { // a database may return either
		sealed.Slots[0].Params = nil
	}
	opened, id, err := seal.Unseal(t.Context(), sealed, methods, h.right(t))
	if err != nil {
		t.Fatalf("after a rotation: %v", err)
	}
	defer opened.Destroy()
	if id != slot.ID || opened.Version() != 2 {
		t.Fatalf("got slot %q at version %d, want %q at 2", id, opened.Version(), slot.ID)
	}
	key, err := opened.RowKey(row)
	if err != nil {
		t.Fatalf("a row from before the rotation: %v", err)
	}
	key.Destroy()
}

func (h Harness) installation(t *testing.T) {
	_, slot := h.init(t, [32]byte{1})
	moved := seal.Sealed{Installation: [32]byte{2}, Slots: []seal.Slot{slot}}
	if _, _, err := seal.Unseal(t.Context(), moved, []seal.Method{h.Method}, h.right(t)); !errors.Is(err, seal.ErrWrongCredential) {
		t.Fatalf("slot of another installation: got %v, want %v", err, seal.ErrWrongCredential)
	}
}

func (h Harness) altered(t *testing.T) {
	_, slot := h.init(t, [32]byte{1})
	flip := func(b []byte, i int) []byte {
		c := bytes.Clone(b)
		c[i] ^= 1
		return c
	}
	cases := map[string]func(s *seal.Slot){
		"public":         func(s *seal.Slot) { s.Public = flip(s.Public, 5) },
		"private":        func(s *seal.Slot) { s.SealedPrivate = flip(s.SealedPrivate, 40) },
		"root":           func(s *seal.Slot) { s.SealedRoot = flip(s.SealedRoot, 40) },
		"proof":          func(s *seal.Slot) { s.SealedRoot = flip(s.SealedRoot, len(s.SealedRoot)-1) },
		"root version":   func(s *seal.Slot) { s.RootVersion++ },
		"id":             func(s *seal.Slot) { s.ID += "x" },
		"nothing inside": func(s *seal.Slot) { *s = seal.Slot{ID: s.ID, Kind: s.Kind, Params: s.Params} },
	}
	if len(slot.Params) > 0 {
		cases["params"] = func(s *seal.Slot) { s.Params = flip(s.Params, len(s.Params)/2) }
	}
	for name, alter := range cases {
		s := slot
		alter(&s)
		root, _, err := seal.Unseal(t.Context(), seal.Sealed{Installation: [32]byte{1}, Slots: []seal.Slot{s}}, []seal.Method{h.Method}, h.right(t))
		if err == nil {
			root.Destroy()
			t.Errorf("%s altered: the slot opened", name)
		} else if !errors.Is(err, seal.ErrWrongCredential) {
			t.Errorf("%s altered: got %v, want %v", name, err, seal.ErrWrongCredential)
		}
	}
}
