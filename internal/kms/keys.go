package kms

import (
	"context"
	"fmt"
	"time"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

// Bounds of what a caller may attach to a key.
const (
	maxTags      = 32
	maxTagLength = 256
	minDays      = 7 // before a destruction
	maxDays      = 30
	defaultDays  = 30
	pageMax      = 1000
)

// Keys lists keys by id, oldest first, after the given id: those that the actor,
// who may read all of them, is not kept from by a rule that denies some.
func (k *KMS) Keys(ctx context.Context, a identity.Actor, after string, limit int) ([]KeyView, error) {
	u, err := k.read(ctx, a, key.Read, everything)
	if err != nil {
		return nil, err
	}
	r, err := u.governing(ctx, k)
	if err != nil {
		return nil, k.wrap(err)
	}
	if limit <= 0 || limit > pageMax {
		limit = pageMax
	}
	var all []KeyView
	for row, err := range k.opt.Reader.Rows(ctx, keyTable, "id > $1 ORDER BY id", after) {
		if err != nil {
			return nil, k.wrap(err)
		}
		var found key.Key
		if err := scanKey(row, &found); err != nil {
			return nil, k.wrap(err)
		}
		if a.Kind() == identity.LocalOperator || r.policy.Reads(a.Name(), found.Name) {
			all = append(all, KeyView{Key: found})
		}
		if len(all) == limit {
			break
		}
	}
	for i := range all {
		full, _, err := u.find(ctx, k.opt.Reader, string(all[i].ID))
		if err != nil {
			return nil, k.wrap(err)
		}
		all[i] = view(full)
	}
	return all, nil
}

// Key shows one key by name or id, or an account below a seed. The network is for
// addresses that depend on it; "" for the key's own.
func (k *KMS) Key(ctx context.Context, a identity.Actor, ref, network string) (KeyView, error) {
	acc, err := k.look(ctx, a, key.Read, ref, 0)
	if err != nil {
		return KeyView{}, err
	}
	v, err := acc.view(network)
	return v, k.wrap(err)
}

// view shows a key without an account. Its addresses cannot be wrong: it was born
// with the public key that they are made of.
func view(found key.Key) KeyView {
	info, _ := found.Version(0)
	v := KeyView{Key: found}
	if found.Spec != key.HDSeed {
		v.Addresses, _ = account{key: found, info: info, domain: found.Domain, public: info.Public}.addresses("")
	}
	return v
}

// change is one step in a key's life.
type change struct {
	verb     key.Verb
	sentence string
	days     int
	// apply moves the key and says whether that tightens.
	apply func(found *key.Key, now int64) (tightens bool, err error)
}

// DisableKey suspends a key: it signs, encrypts and decrypts nothing until it is enabled.
func (k *KMS) DisableKey(ctx context.Context, a identity.Actor, ref string, ask Ask) (KeyView, Answer, error) {
	return k.change(ctx, a, ref, ask, change{verb: key.DisableKey, sentence: "Suspend key %q.", apply: moveTo(key.Suspended)})
}

// EnableKey makes a suspended key active again.
func (k *KMS) EnableKey(ctx context.Context, a identity.Actor, ref string, ask Ask) (KeyView, Answer, error) {
	return k.change(ctx, a, ref, ask, change{verb: key.EnableKey, sentence: "Make key %q active.", apply: moveTo(key.Active)})
}

// DestroyKey sets the date, 7 to 30 days from now (0 means 30), on which the
// key's material is deleted. Until then it can be cancelled.
func (k *KMS) DestroyKey(ctx context.Context, a identity.Actor, ref string, days int, ask Ask) (KeyView, Answer, error) {
	if days == 0 {
		days = defaultDays
	}
	if days < minDays || days > maxDays {
		return KeyView{}, Answer{}, fail(Invalid, "choose 7 to 30 days", "a key cannot be destroyed after %d days", days)
	}
	return k.change(ctx, a, ref, ask, change{
		verb: key.DestroyKey, sentence: fmt.Sprintf("Destroy key %%q in %d days.", days), days: days,
		apply: func(found *key.Key, now int64) (bool, error) {
			found.Resume = found.State
			if found.Resume == key.Active { // what was meant to end does not come back by itself
				found.Resume = key.Suspended
			}
			// Also by a clock that nobody has accepted yet, so that accepting it never
			// makes the time to change one's mind shorter.
			now = max(now, k.opt.Clock().UnixMilli())
			found.DestroyAt = now + int64(days)*int64(24*time.Hour/time.Millisecond)
			return move(found, key.PendingDestruction)
		},
	})
}

// CancelDestroy keeps a key that was to be destroyed. It comes back suspended.
func (k *KMS) CancelDestroy(ctx context.Context, a identity.Actor, ref string, ask Ask) (KeyView, Answer, error) {
	return k.change(ctx, a, ref, ask, change{
		verb: key.CancelDestroy, sentence: "Do not destroy key %q.",
		apply: func(found *key.Key, _ int64) (bool, error) {
			next := found.Resume
			found.Resume, found.DestroyAt = "", 0
			return move(found, next)
		},
	})
}

func moveTo(next key.State) func(*key.Key, int64) (bool, error) {
	return func(found *key.Key, _ int64) (bool, error) { return move(found, next) }
}

// move changes the state. Everything but becoming active tightens.
func move(found *key.Key, next key.State) (bool, error) {
	if err := found.State.To(next); err != nil {
		return false, fail(Conflict, "see: keyward key show "+found.Name, "%w", err)
	}
	found.State = next
	return true, nil // also enabling: what was denied before must be judged anew
}

func (k *KMS) change(ctx context.Context, a identity.Actor, ref string, ask Ask, c change) (KeyView, Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return KeyView{}, Answer{}, err
	}
	var after key.Key
	answer, err := k.act(ctx, u, k.aboutKey(a, ref, ask, c.verb, c.sentence, changeParameters{c.days}), ask,
		func(req policy.Request) (func(*store.Tx) error, error) {
			before := req.Key()
			return func(tx *store.Tx) error {
				after = before
				if _, err := c.apply(&after, tx.Head().Time); err != nil {
					return err
				}
				row, err := keyRow(after)
				if err != nil {
					return err
				}
				tx.RaiseEpoch()
				return tx.Put(keyTable, row)
			}, nil
		})
	if err != nil {
		return KeyView{}, answer, err
	}
	if answer.replayed() {
		shown, err := k.Key(ctx, a, ref, "")
		return shown, answer, err
	}
	return view(after), answer, nil
}

type changeParameters struct {
	Days int `cbor:"1,keyasint,omitempty"`
}

// RotateKey makes a new version of a key. Older versions go on verifying and
// decrypting.
func (k *KMS) RotateKey(ctx context.Context, a identity.Actor, ref string, ask Ask) (KeyView, Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return KeyView{}, Answer{}, err
	}
	q := k.aboutKey(a, ref, ask, key.RotateKey, "Make a new version of key %q.", changeParameters{})
	rotatable := func(ctx context.Context, u *unsealed, r *rules) (policy.Input, error) {
		in, err := q(ctx, u, r)
		if err == nil && in.Key.Domain != key.Raw {
			err = fail(Invalid, "create a new key and move the funds", "a key of domain %s cannot be rotated: its address would change", in.Key.Domain)
		}
		return in, err
	}
	var after key.Key
	answer, err := k.act(ctx, u, rotatable, ask,
		func(req policy.Request) (func(*store.Tx) error, error) {
			after = req.Key()
			after.Current++
			root := u.root.Version()
			birth, err := u.keystore.Generate(ctx, after, after.Current)
			if err != nil {
				return nil, err
			}
			info := birth.Info(u.journal.Now())
			after.Versions = append(append([]key.VersionInfo(nil), after.Versions...), info)
			row, err := keyRow(after)
			if err != nil {
				return nil, err
			}
			return u.sealedUnder(root, func(tx *store.Tx) error {
				if err := tx.Put(keyTable, row); err != nil {
					return err
				}
				if err := tx.Insert(versionTable, versionRow(after.ID, info)); err != nil {
					return err
				}
				tx.RaiseEpoch()
				return birth.Put(tx)
			}), nil
		})
	if err != nil {
		return KeyView{}, answer, err
	}
	if answer.replayed() {
		shown, err := k.Key(ctx, a, ref, "")
		return shown, answer, err
	}
	return view(after), answer, nil
}

// aboutKey is the question of a change to a key that exists.
func (k *KMS) aboutKey(a identity.Actor, ref string, ask Ask, verb key.Verb, sentence string, parameters any) question {
	return func(ctx context.Context, u *unsealed, r *rules) (policy.Input, error) {
		found, epoch, err := k.known(ctx, u, r, a, verb, ref, ask)
		if err != nil {
			return policy.Input{}, err
		}
		b, err := canonical.Marshal(parameters)
		if err != nil {
			return policy.Input{}, err
		}
		return policy.Input{
			Actor: a, Parsed: chain.ParseAdministration(verb, b, fmt.Sprintf(sentence, found.Name)), Key: found, Version: found.Current, Epoch: epoch,
		}, nil
	}
}

// everything is the subject of readings about keyward itself or about all keys:
// it is no name that a key can have, and only a rule for keys: [any] speaks of it.
const everything = "any"

// read judges a reading. It is counted, not recorded one by one.
func (k *KMS) read(ctx context.Context, a identity.Actor, verb key.Verb, subject string) (*unsealed, error) {
	return k.readAt(ctx, a, verb, subject, nil)
}

// readAt is read for an account below a key.
func (k *KMS) readAt(ctx context.Context, a identity.Actor, verb key.Verb, subject string, path key.Path) (*unsealed, error) {
	u, err := k.unsealed()
	if err != nil {
		return nil, err
	}
	if !a.Valid() {
		return nil, fail(Unauthenticated, "", "nobody asks")
	}
	d, err := k.judge(ctx, u, Ask{}, u.journal.Now(), func(ctx context.Context, u *unsealed, r *rules) (policy.Input, error) {
		in, err := k.administration(a, verb, subject, nil, "")(ctx, u, r)
		if len(path) > 0 {
			in.Path = path.String()
		}
		return in, err
	})
	if err != nil {
		return nil, k.wrap(err)
	}
	if d.Outcome() != policy.Allowed {
		u.journal.Count(a.Name(), a.Source(), string(verb)+".denied")
		return nil, denied(d, "")
	}
	u.journal.Count(a.Name(), a.Source(), string(verb))
	return u, nil
}
