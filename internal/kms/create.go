package kms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/keystore/software"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// reserved are the subjects of what is about no key: a rule that names a key must
// not mean one of them too.
var reserved = []string{"any", "audit", "keyward", "policy", "seal", "services"}

// CreateKey makes a key. Its material is made and tested before the commit that
// records it, and exists only if that commit does.
func (k *KMS) CreateKey(ctx context.Context, a identity.Actor, n NewKey) (KeyView, Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return KeyView{}, Answer{}, err
	}
	meta, err := n.check()
	if err != nil {
		return KeyView{}, Answer{}, fail(Invalid, "see: keyward key create --help", "%w", err)
	}
	sentence := fmt.Sprintf("Create key %q: %s, for %s, domain %s.", meta.Name, meta.Spec, meta.Usage, meta.Domain)
	p := newKeyParameters{Spec: meta.Spec, Usage: meta.Usage, Domain: meta.Domain, Tags: meta.Tags}
	return k.bring(ctx, u, a, meta, p, sentence, n.Ask, func(made key.Key) (software.Birth, error) {
		return u.keystore.Generate(ctx, made, 1)
	})
}

// bring walks the making of a key whose material comes of bear, which may run
// more than once: only the last Birth is stored.
func (k *KMS) bring(ctx context.Context, u *unsealed, a identity.Actor, meta key.Key, p newKeyParameters, sentence string, ask Ask, bear func(key.Key) (software.Birth, error)) (KeyView, Answer, error) {
	meta.Owner = a.Name()
	var made key.Key
	q := k.administration(a, key.CreateKey, meta.Name, p, sentence)
	answer, err := k.act(ctx, u, q, ask, func(req policy.Request) (func(*store.Tx) error, error) {
		made = meta
		var err error
		made.Created = u.journal.Now()
		if made.ID, err = key.NewID(made.Created, k.opt.Rand); err != nil {
			return nil, err
		}
		root := u.root.Version()
		birth, err := bear(made)
		if err != nil {
			return nil, err
		}
		made.Versions = []key.VersionInfo{birth.Info(made.Created)}
		row, err := keyRow(made)
		if err != nil {
			return nil, err
		}
		return u.sealedUnder(root, func(tx *store.Tx) error {
			if err := free(tx, made.Name); err != nil {
				return err
			}
			if err := tx.Insert(keyTable, row); err != nil {
				return err
			}
			if err := tx.Insert(versionTable, versionRow(made.ID, made.Versions[0])); err != nil {
				return err
			}
			return birth.Put(tx)
		}), nil
	})
	if err != nil {
		return KeyView{}, answer, err
	}
	if answer.replayed() {
		view, err := k.Key(ctx, a, meta.Name, "")
		return view, answer, err
	}
	return view(made), answer, nil
}

type newKeyParameters struct {
	Spec   key.Spec          `cbor:"1,keyasint"`
	Usage  key.Usage         `cbor:"2,keyasint"`
	Domain key.Domain        `cbor:"3,keyasint"`
	Tags   map[string]string `cbor:"4,keyasint,omitempty"`
	Words  int               `cbor:"5,keyasint,omitempty"` // of a seed
	Shown  bool              `cbor:"6,keyasint,omitempty"`
	Origin key.Origin        `cbor:"7,keyasint,omitempty"` // of a seed that was imported
}

func (n NewKey) check() (key.Key, error) {
	if err := key.ValidName(n.Name); err != nil {
		return key.Key{}, err
	}
	if n.Spec == key.HDSeed {
		return key.Key{}, errors.New("spec HD_SEED: a seed has words: keyward seed create")
	}
	return n.meta()
}

// meta is what is known of the key before it has an id.
func (n NewKey) meta() (key.Key, error) {
	if slices.Contains(reserved, n.Name) {
		return key.Key{}, fmt.Errorf("name %q: it has a meaning of its own in policies", n.Name)
	}
	usage, err := n.Spec.Usage(n.Usage)
	if err != nil {
		return key.Key{}, err
	}
	domain := n.Domain
	if domain == "" {
		domain = key.Raw
	}
	if err := domain.Check(n.Spec); err != nil {
		return key.Key{}, err
	}
	if len(n.Tags) > maxTags {
		return key.Key{}, fmt.Errorf("%d tags, at most %d", len(n.Tags), maxTags)
	}
	for name, value := range n.Tags {
		if name == "" || len(name) > maxTagLength || len(value) > maxTagLength {
			return key.Key{}, fmt.Errorf("tag %q: name and value have 1 to %d characters", name, maxTagLength)
		}
	}
	return key.Key{
		Name: n.Name, Spec: n.Spec, Usage: usage, Domain: domain, Origin: key.Generated, State: key.Active, Tags: maps.Clone(n.Tags), Current: 1,
	}, nil
}

// free makes sure that no key, also none that was destroyed, had this name.
func free(tx *store.Tx, name string) error {
	_, err := tx.QueryRow("SELECT id FROM key WHERE name = $1", name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fail(Conflict, "choose another name; names are never used twice", "there is a key %q already", name)
}
