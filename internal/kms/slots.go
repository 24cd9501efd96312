package kms

import (
	"context"
	"errors"
	"fmt"

	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/seal"
	"keyward/internal/store"
)

var (
	slotTable = store.Table{
		Name: "slot", Key: []string{"id"},
		Columns: []string{"id", "kind", "name", "created", "root_version", "params", "public", "sealed_private", "sealed_root"}, Summed: true,
	}
	systemTable = store.Table{Name: "system_key", Key: []string{"name"}, Columns: []string{"name", "root_version", "public", "sealed"}, Summed: true}
)

func slotRow(s seal.Slot) store.Row {
	return store.Row{s.ID, s.Kind, s.Name, s.Created, int64(s.RootVersion), s.Params, s.Public, s.SealedPrivate, s.SealedRoot}
}

func scanSlot(r store.Row) seal.Slot {
	return seal.Slot{
		ID: r.Text(0), Kind: r.Text(1), Name: r.Text(2), Created: r.Int(3), RootVersion: uint64(r.Int(4)), Params: r.Bytes(5),
		Public: r.Bytes(6), SealedPrivate: r.Bytes(7), SealedRoot: r.Bytes(8),
	}
}

func systemRow(s seal.SystemKey) store.Row {
	return store.Row{s.Name, int64(s.RootVersion), s.Public, s.Sealed}
}

func scanSystem(r store.Row) seal.SystemKey {
	return seal.SystemKey{Name: r.Text(0), RootVersion: uint64(r.Int(1)), Public: r.Bytes(2), Sealed: r.Bytes(3)}
}

// sealed reads what is needed to unseal. None of it is verified yet: the root
// key itself proves which slots are its own.
func (k *KMS) sealed(ctx context.Context) (seal.Sealed, error) {
	var s seal.Sealed
	row, err := k.opt.Reader.QueryRow(ctx, "SELECT body FROM charter WHERE version = 0")
	if errors.Is(err, store.ErrNotFound) {
		return s, k.unborn(ctx)
	}
	if err != nil {
		return s, fmt.Errorf("read the first charter: %w", err)
	}
	s.Installation = hashOf(row.Bytes(0))
	for row, err := range k.opt.Reader.Unverified(ctx, slotTable, "ORDER BY id LIMIT $1", int64(seal.MaxSlots)) {
		if err != nil {
			return s, err
		}
		s.Slots = append(s.Slots, scanSlot(row))
	}
	for row, err := range k.opt.Reader.Unverified(ctx, systemTable, "name LIKE 'root/%' ORDER BY name") {
		if err != nil {
			return s, err
		}
		s.Ring = append(s.Ring, scanSystem(row))
	}
	return s, nil
}

// unborn tells a database without an installation from one whose first charter
// was removed.
func (k *KMS) unborn(ctx context.Context) error {
	_, err := k.opt.Reader.QueryRow(ctx, "SELECT id FROM slot LIMIT 1")
	switch {
	case err == nil:
		return &store.TamperError{Table: "charter", Key: "0", Gone: true}
	case errors.Is(err, store.ErrNotFound):
		return store.ErrUninitialized
	}
	return err
}

func (k *KMS) systemKey(ctx context.Context, name string) (seal.SystemKey, error) {
	for row, err := range k.opt.Reader.Unverified(ctx, systemTable, "name = $1", name) {
		if err != nil {
			return seal.SystemKey{}, err
		}
		return scanSystem(row), nil
	}
	return seal.SystemKey{}, &store.TamperError{Table: systemTable.Name, Key: name, Gone: true}
}

func (k *KMS) slots(ctx context.Context) ([]seal.Slot, error) {
	var all []seal.Slot
	for row, err := range k.opt.Reader.Rows(ctx, slotTable, "ORDER BY id") {
		if err != nil {
			return nil, err
		}
		all = append(all, scanSlot(row))
	}
	return all, nil
}

func slotView(s seal.Slot) SlotView {
	v := SlotView{ID: s.ID, Kind: s.Kind, Name: s.Name, Created: s.Created, RootVersion: s.RootVersion}
	if s.Kind == "keyfile" {
		v.Warning = "whoever can read the key file and the database has every key: the weakest seal"
	}
	return v
}

// Slots lists the ways to unseal.
func (k *KMS) Slots(ctx context.Context, a identity.Actor) ([]SlotView, error) {
	if _, err := k.read(ctx, a, key.Read, everything); err != nil {
		return nil, err
	}
	all, err := k.slots(ctx)
	if err != nil {
		return nil, k.wrap(err)
	}
	var views []SlotView
	for _, s := range all {
		views = append(views, slotView(s))
	}
	return views, nil
}

// AddSlot adds a way to unseal.
func (k *KMS) AddSlot(ctx context.Context, a identity.Actor, name string, cred seal.Credential, ask Ask) (SlotView, Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return SlotView{}, Answer{}, err
	}
	method, err := k.method(cred.Kind)
	if err != nil {
		return SlotView{}, Answer{}, err
	}
	k.slotting.Lock() // no rotation may come between making a slot and storing it
	defer k.slotting.Unlock()
	if err := k.settle(ctx, u); err != nil {
		return SlotView{}, Answer{}, k.wrap(err)
	}
	var made seal.Slot
	q := k.administration(a, key.ChangeSlots, "seal", slotParameters{"add", cred.Kind, name}, fmt.Sprintf("Let a %s, %q, unseal keyward.", cred.Kind, name))
	answer, err := k.act(ctx, u, q, ask, func(policy.Request) (func(*store.Tx) error, error) {
		slots, err := k.slots(ctx)
		if err != nil {
			return nil, err
		}
		made, err = u.root.AddSlot(ctx, k.opt.Rand, slots, seal.NewSlot{Method: method, Credential: cred, Name: name, Created: u.journal.Now()})
		if err != nil {
			return nil, err
		}
		return func(tx *store.Tx) error {
			tx.RaiseEpoch()
			return tx.Insert(slotTable, slotRow(made))
		}, nil
	})
	if err == nil && answer.replayed() {
		err = fail(Conflict, "see: keyward seal slot list; to be sure of its credential remove it and add another",
			"slot %q was added before, perhaps with another credential", name)
	}
	if err != nil {
		return SlotView{}, answer, err
	}
	return slotView(made), answer, nil
}

type slotParameters struct {
	Change string `cbor:"1,keyasint"`
	Kind   string `cbor:"2,keyasint,omitempty"`
	Name   string `cbor:"3,keyasint,omitempty"`
}

func (k *KMS) method(kind string) (seal.Method, error) {
	for _, m := range k.opt.Methods {
		if m.Kind() == kind {
			return m, nil
		}
	}
	return nil, fail(Invalid, "use keyfile or passphrase", "unknown kind of slot %q", kind)
}

// RemoveSlot ends one way to unseal; never the last.
func (k *KMS) RemoveSlot(ctx context.Context, a identity.Actor, id string, ask Ask) (Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return Answer{}, err
	}
	k.slotting.Lock()
	defer k.slotting.Unlock()
	slots, err := k.slots(ctx)
	if err != nil {
		return Answer{}, k.wrap(err)
	}
	for _, s := range slots { // people may say the name
		if s.Name == id {
			id = s.ID
			break
		}
	}
	q := k.administration(a, key.ChangeSlots, "seal", slotParameters{"remove", "", id}, fmt.Sprintf("Let slot %s unseal keyward no longer.", id))
	return k.act(ctx, u, q, ask, func(policy.Request) (func(*store.Tx) error, error) {
		// Only now: which slots there are is not for everybody.
		if _, err := seal.RemoveSlot(slots, id); err != nil {
			return nil, err
		}
		return func(tx *store.Tx) error {
			tx.RaiseEpoch()
			return tx.Delete(slotTable, id)
		}, nil
	})
}
