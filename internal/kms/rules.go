package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyward/internal/charter"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/secret"
	"keyward/internal/store"
)

// Policy shows the policy in force.
func (k *KMS) Policy(ctx context.Context, a identity.Actor) (PolicyView, error) {
	u, err := k.read(ctx, a, key.Read, everything)
	if err != nil {
		return PolicyView{}, err
	}
	r, err := u.governing(ctx, k)
	if err != nil {
		return PolicyView{}, k.wrap(err)
	}
	return policyView(r.signed, r.policy), nil
}

func policyView(s charter.Signed, p *policy.Policy) PolicyView {
	return PolicyView{Version: s.Charter.Version, Hash: p.Hash(), Text: p.Text(), Sentences: p.Sentences()}
}

// CheckPolicy reads a draft and says what is doubtful about it. It changes
// nothing. It is for whoever may read the policy in force: nothing of ours is in
// the answer, but comparing hundreds of rules is work that not every token may
// ask for, and everybody can have it done on their own machine.
func (k *KMS) CheckPolicy(ctx context.Context, a identity.Actor, text []byte) ([]policy.Finding, error) {
	u, err := k.read(ctx, a, key.Read, everything)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, fail(Invalid, "see docs/policy.md", "%w", err)
	}
	unknown, err := k.unknownNames(ctx, u, p)
	if err != nil {
		return nil, k.wrap(err)
	}
	locked, err := k.lockedOut(ctx, u, a, p)
	if err != nil {
		return nil, k.wrap(err)
	}
	return slices.Concat(locked, p.Check(), unknown), nil
}

// unknownNames notes the services and keys that rules speak of and that are not
// there: mistyped, perhaps, or made later.
func (k *KMS) unknownNames(ctx context.Context, u *unsealed, p *policy.Policy) ([]policy.Finding, error) {
	var all []policy.Finding
	for _, n := range p.Names() {
		what, name := "service", n.Service
		_, err := u.directory.Named(ctx, n.Service)
		if n.Key != "" {
			what, name = "key", n.Key
			_, _, err = u.find(ctx, k.opt.Reader, n.Key)
		}
		switch {
		case err == nil:
		case errors.Is(err, store.ErrNotFound), KindOf(err) == NotFound:
			all = append(all, policy.Finding{Level: policy.Note, Rule: n.Rule, Text: fmt.Sprintf("there is no %s %q", what, name), Code: policy.UnknownName})
		default:
			return nil, err
		}
	}
	return all, nil
}

// lockedOut warns who asks that, under this policy, they could not apply another.
func (k *KMS) lockedOut(ctx context.Context, u *unsealed, a identity.Actor, p *policy.Policy) ([]policy.Finding, error) {
	q := k.administration(a, key.ApplyPolicy, "policy", p.Text(), "")
	d, err := k.judgeBy(ctx, u, Ask{}, u.journal.Now(), q, p)
	if err != nil || d.Outcome() == policy.Allowed {
		return nil, err
	}
	text := fmt.Sprintf("locks %s out of applying another policy: %s", a.Name(), sentences(d))
	return []policy.Finding{{Level: policy.Warning, Text: text, Code: policy.LockedOut}}, nil
}

// applicable refuses a policy with an error among its findings.
func applicable(p *policy.Policy) error {
	for _, f := range p.Check() {
		if f.Level == policy.Error {
			return fail(Invalid, "keyward policy check shows all findings", "policy: rule %q: %s", f.Rule, f.Text)
		}
	}
	return nil
}

// ApplyPolicy puts a policy in force, as the next version of the charter. What
// was judged before is stale from that commit on.
func (k *KMS) ApplyPolicy(ctx context.Context, a identity.Actor, text []byte, ask Ask) (PolicyView, Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return PolicyView{}, Answer{}, err
	}
	if !a.Valid() {
		return PolicyView{}, Answer{}, fail(Unauthenticated, "", "nobody asks")
	}
	p, err := policy.Parse(text)
	if err != nil {
		return PolicyView{}, Answer{}, fail(Invalid, "see docs/policy.md", "%w", err)
	}
	var signed charter.Signed
	q := k.administration(a, key.ApplyPolicy, "policy", p.Text(), "Put another policy in force.")
	answer, err := k.act(ctx, u, q, ask, func(policy.Request) (func(*store.Tx) error, error) {
		if err := applicable(p); err != nil {
			return nil, err
		}
		now, err := u.governing(ctx, k)
		if err != nil {
			return nil, err
		}
		err = u.withPrivate(func() (err error) {
			signed, err = u.charterKey.Next(now.signed, p.Text(), max(u.journal.Now(), now.signed.Charter.Time))
			return err
		})
		if err != nil {
			return nil, err
		}
		return func(tx *store.Tx) error {
			if tx.Head().Charter+1 != signed.Charter.Version {
				return journal.ErrStale // another policy came first: sign after that one
			}
			return charter.Put(tx, signed, p.Hash())
		}, nil
	})
	if err != nil {
		return PolicyView{}, answer, err
	}
	if answer.replayed() {
		now, err := u.governing(ctx, k)
		if err != nil {
			return PolicyView{}, answer, k.wrap(err)
		}
		return policyView(now.signed, now.policy), answer, nil
	}
	return policyView(signed, p), answer, nil
}

// CreateService makes a service and its token, which is shown this once. The
// caller must Destroy it.
func (k *KMS) CreateService(ctx context.Context, a identity.Actor, n NewService) (ServiceView, secret.Bytes, Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return ServiceView{}, secret.Bytes{}, Answer{}, err
	}
	if n.ExpiresIn < 0 {
		return ServiceView{}, secret.Bytes{}, Answer{}, fail(Invalid, "", "service %q: expiry lies in the past", n.Name)
	}
	now := u.journal.Now()
	expires := int64(0)
	if n.ExpiresIn > 0 {
		expires = now + n.ExpiresIn
	}
	s, token, err := identity.NewService(k.opt.Rand, n.Name, n.Networks, now, expires)
	if err != nil {
		return ServiceView{}, secret.Bytes{}, Answer{}, fail(Invalid, "see: keyward service create --help", "%w", err)
	}
	q := k.administration(a, key.CreateService, n.Name, newServiceParameters{n.Networks, n.ExpiresIn}, "Create service \""+n.Name+"\".")
	answer, err := k.act(ctx, u, q, n.Ask, func(policy.Request) (func(*store.Tx) error, error) {
		return func(tx *store.Tx) error {
			_, err := tx.QueryRow("SELECT id FROM service WHERE name = $1", n.Name)
			if err == nil {
				return fail(Conflict, "choose another name; names are never used twice", "there is a service %q already", n.Name)
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return s.Insert(tx)
		}, nil
	})
	if err == nil && answer.replayed() {
		err = fail(Conflict, "revoke it and create another, or use a new idempotency key", "service %q was created before; its token is never kept", n.Name)
	}
	if err != nil {
		token.Destroy()
		return ServiceView{}, secret.Bytes{}, answer, err
	}
	return serviceView(s), token, answer, nil
}

type newServiceParameters struct {
	Networks  []string `cbor:"1,keyasint,omitempty"`
	ExpiresIn int64    `cbor:"2,keyasint,omitempty"`
}

func serviceView(s identity.Service) ServiceView {
	v := ServiceView{ID: s.ID, Name: s.Name, Created: s.Created, Expires: s.Expires, Revoked: s.Revoked}
	for _, p := range s.Networks {
		v.Networks = append(v.Networks, p.String())
	}
	return v
}

// Services lists all services, also those revoked.
func (k *KMS) Services(ctx context.Context, a identity.Actor) ([]ServiceView, error) {
	u, err := k.read(ctx, a, key.Read, everything)
	if err != nil {
		return nil, err
	}
	all, err := u.directory.List(ctx)
	if err != nil {
		return nil, k.wrap(err)
	}
	var views []ServiceView
	for _, s := range all {
		views = append(views, serviceView(s))
	}
	return views, nil
}

// RevokeService ends a service for ever: no request that begins later is its.
func (k *KMS) RevokeService(ctx context.Context, a identity.Actor, name string, ask Ask) (Answer, error) {
	u, err := k.unsealed()
	if err != nil {
		return Answer{}, err
	}
	if err := key.ValidName(name); err != nil {
		return Answer{}, fail(Invalid, "see: keyward service list", "service: %w", err)
	}
	q := k.administration(a, key.RevokeService, name, nil, "Revoke service \""+name+"\".")
	return k.act(ctx, u, q, ask, func(policy.Request) (func(*store.Tx) error, error) {
		s, err := u.directory.Named(ctx, name) // only now: which services there are is not for everybody
		if errors.Is(err, store.ErrNotFound) {
			return nil, fail(NotFound, "see: keyward service list", "there is no service %q", name)
		}
		if err != nil {
			return nil, err
		}
		if s.Revoked != 0 {
			return nil, fail(Conflict, "", "service %q is revoked already", name)
		}
		return func(tx *store.Tx) error { return s.Revoke(tx, max(u.journal.Now(), 1)) }, nil
	})
}
