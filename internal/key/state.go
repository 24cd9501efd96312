package key

import "fmt"

// State is where a key stands in its life, after NIST SP 800-57 part 1,
// revision 5, section 7.
type State string

// The states. PendingDestruction is deactivated with a date of destruction that
// can still be cancelled.
const (
	Pending            State = "pending" // pre-activation
	Active             State = "active"
	Suspended          State = "suspended"
	Deactivated        State = "deactivated"
	Compromised        State = "compromised"
	PendingDestruction State = "pending-destruction"
	Destroyed          State = "destroyed"
)

// Verb is what may be done; also the words of a policy's `do:`.
type Verb string

// The verbs that use a key. Sign is the plain signature of a raw key over bytes
// or a digest; the others of its kind sign payloads that a chain's decoder
// understood, and SignBlind the parts of them that it did not.
const (
	Sign            Verb = "sign"
	SignTransaction Verb = "sign-transaction"
	SignMessage     Verb = "sign-message"
	SignTypedData   Verb = "sign-typed-data"
	SignBlind       Verb = "sign-blind"
	Encrypt         Verb = "encrypt"
	Decrypt         Verb = "decrypt"
	DataKey         Verb = "data-key"
	MAC             Verb = "mac"
	VerifyMAC       Verb = "verify-mac"
	Verify          Verb = "verify" // public half only
)

// The verbs that change keyward's own state, and the two that read it.
const (
	CreateKey     Verb = "create-key"
	RotateKey     Verb = "rotate-key"
	DisableKey    Verb = "disable-key"
	EnableKey     Verb = "enable-key"
	DestroyKey    Verb = "destroy-key"
	CancelDestroy Verb = "cancel-destroy"
	ApplyPolicy   Verb = "apply-policy"
	CreateService Verb = "create-service"
	RevokeService Verb = "revoke-service"
	ChangeSlots   Verb = "change-slots"
	RotateRoot    Verb = "rotate-root"
	Seal          Verb = "seal"
	Unseal        Verb = "unseal"
	AcceptClock   Verb = "accept-clock"
	Read          Verb = "read"
	ReadAudit     Verb = "read-audit"
)

// Verbs lists every verb that a policy may name.
func Verbs() []Verb {
	return []Verb{
		Sign, SignTransaction, SignMessage, SignTypedData, SignBlind, Encrypt, Decrypt, DataKey, MAC, VerifyMAC, Verify,
		CreateKey, RotateKey, DisableKey, EnableKey, DestroyKey, CancelDestroy, ApplyPolicy, CreateService, RevokeService,
		ChangeSlots, RotateRoot, Seal, Unseal, AcceptClock, Read, ReadAudit,
	}
}

// Tightens is the one table of the verbs that take away what can be done, or
// save what would be lost: they come last to be refused when space runs out.
// A policy, which may tighten too, may as well loosen.
func (v Verb) Tightens() bool {
	switch v {
	case DisableKey, DestroyKey, RevokeService, Seal:
		return true
	case CancelDestroy: // what comes back is suspended; what is not saved in time is gone for ever
		return true
	}
	return false
}

// Untimely tells whether the verb is done also while the clock cannot be
// trusted: it tightens, or it is how somebody says that the clock is right.
func (v Verb) Untimely() bool { return v.Tightens() || v == AcceptClock }

// Permits is the one table of which use a state allows (SP 800-57 part 1,
// section 7): protecting (sign, encrypt, MAC) needs an active key; processing
// what was protected before (verify, decrypt) is allowed until destruction.
func (s State) Permits(v Verb) bool {
	switch v {
	case Sign, SignTransaction, SignMessage, SignTypedData, SignBlind, Encrypt, DataKey, MAC, RotateKey:
		return s == Active
	case Decrypt, VerifyMAC:
		return s == Active || s == Deactivated || s == Compromised
	case Verify:
		return s != Destroyed && s != Pending
	case DisableKey:
		return s == Active // to suspend a key that waits for its destruction would cancel that
	case EnableKey:
		return s == Suspended || s == Pending
	case DestroyKey:
		return s.To(PendingDestruction) == nil
	case CancelDestroy:
		return s == PendingDestruction
	case Read:
		return true
	}
	return false
}

// To says whether a key may go from s to next. Nothing leaves Destroyed, and a
// compromised key never works again.
func (s State) To(next State) error {
	for _, ok := range transitions(s) {
		if ok == next {
			return nil
		}
	}
	return fmt.Errorf("a key that is %s cannot become %s", s, next)
}

func transitions(from State) []State {
	switch from {
	case Pending:
		return []State{Active, PendingDestruction, Compromised}
	case Active:
		return []State{Suspended, Deactivated, Compromised, PendingDestruction}
	case Suspended:
		return []State{Active, Deactivated, Compromised, PendingDestruction}
	case Deactivated:
		return []State{Compromised, PendingDestruction}
	case Compromised:
		return []State{PendingDestruction}
	case PendingDestruction: // cancelled, or done
		return []State{Pending, Suspended, Deactivated, Compromised, Destroyed}
	}
	return nil
}
