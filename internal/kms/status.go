package kms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/secret"
)

func hashOf(b []byte) [32]byte { return sha256.Sum256(b) }

// lowSpace is the free space below which status warns, in bytes.
const lowSpace = 256 << 20

// Ready is nil while requests can be served.
func (k *KMS) Ready() error {
	u, err := k.unsealed()
	if err != nil {
		return err
	}
	return k.wrap(cmp.Or(u.log.Damage(), u.journal.Ready(), u.journal.Timely()))
}

// Status tells how the node stands. It needs no actor and gives no secrets away;
// what needs the root key is left out while sealed.
func (k *KMS) Status(ctx context.Context) (s Status) {
	s = Status{Sealed: true, Memory: secret.Status(), Mode: "solo"}
	defer s.warn()
	sealed, err := k.sealed(ctx)
	if err != nil {
		s.Why = "the database holds no installation"
		return s
	}
	for _, slot := range sealed.Slots {
		s.Seal = append(s.Seal, slotView(slot))
	}
	u := k.state.Load()
	if u == nil {
		s.Why = "sealed: keyward unseal"
		return s
	}
	s.Sealed, s.Ready = false, true
	if err := k.Ready(); err != nil {
		s.Ready, s.Why = false, why(err)
	}
	head, err := k.opt.Reader.Head(ctx)
	if err != nil {
		s.Ready, s.Why = false, why(k.wrap(err))
		return s
	}
	s.Installation = hex.EncodeToString(u.installation[:])
	s.AuditSize, s.Charter, s.Epoch, s.LogTime = head.Sequence, head.Charter, head.Epoch, u.journal.Now()
	if c, ok := u.log.Newest(); ok {
		s.TreeSize = c.Size
	}
	if row, err := k.opt.Reader.QueryRow(ctx, "SELECT count(*) FROM key"); err == nil {
		s.Keys = row.Int(0)
	}
	s.warnOfSpace(u.journal.Room())
	return s
}

// warnOfSpace says what the disk has no room for any more, as Ready and the
// refused requests do.
func (s *Status) warnOfSpace(r journal.Room) {
	warn := func(text string) { s.Warnings = append(s.Warnings, text) }
	left := fmt.Sprintf("(%d MiB left)", r.Free>>20)
	switch {
	case !r.Uses:
		warn("the disk is full " + left + ": no key is used or made; disabling and destroying keys, revoking and sealing still work. Make space")
	case !r.Waiting:
		warn("the disk is nearly full " + left + ": no request may wait, and denials are only counted. Make space, or keyward stops signing")
	case r.Free < lowSpace:
		warn("the disk is nearly full " + left + ": when it is, keyward stops signing")
	}
	if !r.Reserve {
		warn("the reserve of disk space is not whole (file reserve): keyward makes it again once there is space")
	}
}

// why is an error as a status tells it: the fact, then the next step.
func why(err error) string {
	var known *Error
	if errors.As(err, &known) && known.Hint != "" {
		return known.Message + "; " + known.Hint
	}
	return err.Error()
}

func (s *Status) warn() {
	if s.Memory.LockFailed {
		s.Warnings = append(s.Warnings, "memory could not be locked: secrets may be swapped to disk; raise the memlock limit (ulimit -l)")
	}
	if s.Memory.Dumpable {
		s.Warnings = append(s.Warnings, "this process may be dumped")
	}
	for _, slot := range s.Seal {
		if slot.Warning != "" {
			s.Warnings = append(s.Warnings, "auto-unseal: key file; "+slot.Warning)
		}
	}
	if !s.Sealed {
		s.Warnings = append(s.Warnings, "one person decides alone (solo mode)", "rollback of the whole database cannot be detected: no anchor is configured")
	}
}

// Authenticate finds the service whose token this is.
func (k *KMS) Authenticate(ctx context.Context, token []byte, source netip.Addr) (identity.Actor, error) {
	u, err := k.unsealed()
	if err != nil {
		return identity.Actor{}, err
	}
	a, err := u.directory.Authenticate(ctx, token, source, u.journal.Now(), u.journal.Epoch())
	if err != nil {
		return identity.Actor{}, k.wrap(err)
	}
	return a, nil
}

// CountFailedAuthentication notes one failed try, by source and minute.
func (k *KMS) CountFailedAuthentication(source string) {
	if u := k.state.Load(); u != nil {
		u.journal.Count("nobody", source, "authenticate.failed")
	}
}

// Leaf returns a certificate for TLS: the one given when it still serves, else a
// new one. While sealed only the one given can be had.
func (k *KMS) Leaf(old identity.Leaf, hosts []string) (leaf identity.Leaf, renewed bool, err error) {
	u := k.state.Load()
	if u == nil {
		if len(old.Certificate) == 0 {
			return identity.Leaf{}, false, fail(Sealed, "keyward unseal", "there is no certificate yet, and its authority is sealed")
		}
		return old, false, nil
	}
	now := k.opt.Clock()
	err = u.withPrivate(func() (err error) {
		if leaf = old; !u.authority.Serves(old, hosts, now) {
			renewed = true
			leaf, err = u.authority.Issue(hosts, now)
		}
		return err
	})
	return leaf, renewed, k.wrap(err)
}

// AuthorityPEM is the certificate that clients pin.
func (k *KMS) AuthorityPEM(ctx context.Context) ([]byte, error) {
	sys, err := k.systemKey(ctx, "authority")
	if err != nil {
		return nil, k.wrap(err)
	}
	a, err := identity.TakeAuthority(secret.Bytes{}, sys.Public)
	if err != nil {
		return nil, k.wrap(err)
	}
	return a.PEM(), nil
}
