package software

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/seal"
	"keyward/internal/store"
)

var materials = store.Table{
	Name:    "material",
	Key:     []string{"key_id", "version"},
	Columns: []string{"key_id", "version", "root_version", "context", "wrapped", "sealed"},
	Mutable: []string{"root_version", "wrapped"},
	Summed:  true,
}

// Materials is the table of sealed material (docs/formats/material.md).
func Materials() store.Table { return materials }

// attributes is what a key was born as: the column "context". The material is
// bound to them; when they are changed, it does not open.
type attributes struct {
	Spec       key.Spec   `cbor:"1,keyasint"`
	Usage      key.Usage  `cbor:"2,keyasint"`
	Domain     key.Domain `cbor:"3,keyasint"`
	Origin     key.Origin `cbor:"4,keyasint"`
	Exportable bool       `cbor:"5,keyasint"`
	PublicHash [32]byte   `cbor:"6,keyasint"`
}

func (a attributes) context(ref key.Ref) seal.Context {
	return seal.Context{
		Table: materials.Name, ID: string(ref.ID), Version: uint64(ref.Version), Spec: string(a.Spec), Usage: string(a.Usage),
		Domain: string(a.Domain), Exportable: a.Exportable, Origin: string(a.Origin), PublicHash: a.PublicHash,
	}
}

// strict is canonical CBOR: RFC 8949, section 4.2.1, and nothing that a reader
// might take differently.
var strict = func() (m struct {
	cbor.EncMode
	cbor.DecMode
}) {
	var err error
	if m.EncMode, err = cbor.CoreDetEncOptions().EncMode(); err != nil {
		panic(err) // the options are constants
	}
	m.DecMode, err = cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxArrayElements: 16, MaxMapPairs: 16, MaxNestedLevels: 4,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// material is a row of the table.
type material struct {
	ref key.Ref
	attributes
	root    uint64 // version of the root key that seals wrapped
	wrapped []byte // the wrapping key
	sealed  []byte // by the wrapping key
}

func (m material) row() (store.Row, error) {
	context, err := strict.Marshal(m.attributes)
	return store.Row{string(m.ref.ID), int64(m.ref.Version), int64(m.root), context, m.wrapped, m.sealed}, err
}

func parseRow(row store.Row) (m material, err error) {
	m.ref = key.Ref{ID: key.ID(row.Text(0)), Version: key.Version(row.Int(1))}
	m.root, m.wrapped, m.sealed = uint64(row.Int(2)), row.Bytes(4), row.Bytes(5)
	if m.attributes, err = parseAttributes(row.Bytes(3)); err != nil {
		return material{}, fmt.Errorf("material of %s: context: %w", m.ref, err)
	}
	return m, nil
}

func parseAttributes(b []byte) (a attributes, err error) {
	if err := strict.Unmarshal(b, &a); err != nil {
		return attributes{}, err
	}
	if again, err := strict.Marshal(a); err != nil || !bytes.Equal(again, b) {
		return attributes{}, errors.New("not canonical")
	}
	return a, nil
}

// load reads, opens and prepares the material of ref.
func (k *Keystore) load(ctx context.Context, ref key.Ref) (*entry[key.Ref, ready], error) {
	e, err := k.loadOnce(ctx, ref)
	if errors.Is(err, seal.ErrVersion) {
		return k.loadOnce(ctx, ref) // sealed anew, and the older root key retired, since the row was read
	}
	return e, err
}

func (k *Keystore) loadOnce(ctx context.Context, ref key.Ref) (*entry[key.Ref, ready], error) {
	row, err := k.opt.Reader.Row(ctx, materials, string(ref.ID), int64(ref.Version))
	if err != nil {
		return nil, known(ref, err)
	}
	m, err := parseRow(row)
	if err != nil {
		return nil, err
	}
	plain, err := k.opt.Root.Unwrap(m.context(ref), m.root, m.wrapped, m.sealed)
	if err != nil {
		return nil, known(ref, err)
	}
	defer plain.Destroy()
	h, err := prepare(m.attributes, plain)
	if err != nil {
		return nil, fmt.Errorf("material of %s: %w", ref, err)
	}
	return held(ref, ready{m.attributes, h}), nil
}

// known gives the errors of store and seal the names that callers of a keystore
// branch on.
func known(ref key.Ref, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = keystore.ErrNoKey
	case errors.Is(err, store.ErrLocked), errors.Is(err, seal.ErrSealed):
		err = keystore.ErrSealed
	}
	return fmt.Errorf("material of %s: %w", ref, err)
}

// Stale lists at most limit versions of keys whose wrapping key is not sealed
// under version current of the root key.
func Stale(ctx context.Context, r *store.Reader, current uint64, limit int) ([]key.Ref, error) {
	var refs []key.Ref
	for row, err := range r.Query(ctx, "SELECT key_id, version FROM material WHERE root_version <> $1 LIMIT $2", int64(current), int64(limit)) {
		if err != nil {
			return nil, err
		}
		refs = append(refs, key.Ref{ID: key.ID(row.Text(0)), Version: key.Version(row.Int(1))})
	}
	return refs, nil
}

// Rewrap seals the wrapping keys of refs under the current version of the root
// key. What was destroyed meanwhile is left out. It is an effect: it may run
// again, and material that is ready stays so.
func (k *Keystore) Rewrap(tx *store.Tx, refs []key.Ref) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	for _, ref := range refs {
		row, err := tx.Row(materials, string(ref.ID), int64(ref.Version))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		m, err := parseRow(row)
		if err != nil {
			return err
		}
		if m.wrapped, m.root, err = k.opt.Root.Rewrap(k.opt.Rand, m.context(ref), m.root, m.wrapped); err != nil {
			return known(ref, err)
		}
		row[2], row[4] = int64(m.root), m.wrapped
		if err := tx.Update(materials, row); err != nil {
			return err
		}
	}
	return nil
}

// Destroy deletes the material of every version of a key, and with it their
// wrapping keys: without those not even a copy of the material opens. It is an
// effect; after its commit call Purge.
func Destroy(tx *store.Tx, id key.ID) error {
	for row, err := range tx.Query("SELECT version FROM material WHERE key_id = $1", string(id)) {
		if err != nil {
			return err
		}
		if err := tx.Delete(materials, string(id), row.Int(0)); err != nil {
			return err
		}
	}
	return nil
}
