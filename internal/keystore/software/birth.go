package software

import (
	"context"
	"crypto/fips140"
	"fmt"
	"runtime"
	"time"

	"keyward/internal/key"
	"keyward/internal/store"
)

// Birth is a new version of a key: its material, sealed, and what may be known
// of it. Nothing of it exists before Put is committed.
type Birth struct {
	Public   key.Public // nil for a symmetric key
	Evidence []byte     // of how it was made; canonical CBOR, docs/formats/material.md

	version key.Version
	row     store.Row
}

// Info is what the key's row keeps of the version; created is log time, in ms.
func (b Birth) Info(created int64) key.VersionInfo {
	return key.VersionInfo{Version: b.version, Created: created, Public: b.Public, Birth: b.Evidence}
}

// Put stores the sealed material. It is an effect, and fails with
// store.ErrConflict where that version of the key has material already.
func (b Birth) Put(tx *store.Tx) error { return tx.Insert(materials, b.row) }

// evidence is how a key was made. What comes later gets a new number.
type evidence struct {
	Format    uint     `cbor:"1,keyasint"` // 1
	Spec      key.Spec `cbor:"2,keyasint"`
	Made      int64    `cbor:"3,keyasint"` // this machine's clock, ms since 1970
	Sources   []string `cbor:"4,keyasint"` // of randomness
	Procedure string   `cbor:"5,keyasint"` // the standard and its section
	Program   string   `cbor:"6,keyasint"` // version of Go
	Module    string   `cbor:"7,keyasint"` // version of the validated module; "" where it is not in force
	Tests     []string `cbor:"8,keyasint"` // that it passed
}

// Generate makes the material of a version of k (its id, spec, usage, domain,
// origin and exportability are sealed with it), and tests it. A key that fails
// its test is keystore.ErrCheck, and gone. A seed has 256 bits of entropy.
func (k *Keystore) Generate(ctx context.Context, about key.Key, version key.Version) (Birth, error) {
	generate, procedure := generators(about.Spec)
	return k.bear(ctx, about, version, origin{key.Generated, sources(), procedure, generate})
}

// origin is where the material of a birth comes from.
type origin struct {
	is        key.Origin // what the key must say
	sources   []string
	procedure string
	generator
}

func (k *Keystore) bear(ctx context.Context, about key.Key, version key.Version, from origin) (Birth, error) {
	if err := k.enter(); err != nil {
		return Birth{}, err
	}
	defer k.leave()
	ref := key.Ref{ID: about.ID, Version: version}
	if _, err := key.ParseID(string(ref.ID)); err != nil || version == 0 {
		return Birth{}, fmt.Errorf("generate %s: no id or no version", ref)
	}
	if _, err := about.Spec.Usage(about.Usage); err != nil || about.Usage == "" {
		return Birth{}, fmt.Errorf("generate %s: a key of spec %q is not for %q", ref, about.Spec, about.Usage)
	}
	if err := about.Domain.Check(about.Spec); err != nil {
		return Birth{}, fmt.Errorf("generate %s: %w", ref, err)
	}
	if about.Origin != from.is {
		return Birth{}, fmt.Errorf("generate %s: a key of origin %q is %s", ref, about.Origin, from.is)
	}
	if err := ctx.Err(); err != nil { // RSA takes its time
		return Birth{}, err
	}
	plain, public, err := from.generator(about.Spec)
	defer plain.Destroy()
	if err != nil {
		return Birth{}, fmt.Errorf("generate %s: %w", ref, err)
	}

	a := attributes{about.Spec, about.Usage, about.Domain, about.Origin, about.Exportable, public.Hash()}
	h, err := prepare(a, plain)
	if err != nil {
		return Birth{}, fmt.Errorf("generate %s: %w", ref, err)
	}
	defer h.wipe()
	proof, err := prove(ref, a, h, public, AtBirth)
	if err != nil {
		return Birth{}, fmt.Errorf("generate %s: %w", ref, err)
	}
	evidence, err := strict.Marshal(evidence{
		1, about.Spec, time.Now().UnixMilli(), from.sources, from.procedure, runtime.Version(), moduleVersion(), proof.Tests,
	})
	if err != nil {
		return Birth{}, err
	}
	m := material{ref: ref, attributes: a}
	if m.wrapped, m.sealed, m.root, err = k.opt.Root.Wrap(k.opt.Rand, a.context(ref), plain.View()); err != nil {
		return Birth{}, known(ref, err)
	}
	row, err := m.row()
	return Birth{public, evidence, version, row}, err
}

func moduleVersion() string {
	if fips140.Enabled() {
		return fips140.Version()
	}
	return ""
}

func sources() []string {
	if fips140.Enabled() {
		return []string{"crypto/rand: AES-256 CTR_DRBG (SP 800-90Ar1), seeded by processor jitter and the system"}
	}
	if runtime.GOOS == "linux" {
		return []string{"crypto/rand: getrandom(2)"}
	}
	return []string{"crypto/rand: " + runtime.GOOS}
}
