package seal

import "strings"

// A Label separates one use of a key from every other: it stands first in the
// associated data of what is sealed, so that bytes sealed for one use never
// open for another. A format that changes gets a new label.
type Label string

// Every label of keyward's own sealing, and what it is for.
const (
	// WrappingKey: the wrapping key of a user key, sealed by the root key (Root.Wrap).
	WrappingKey Label = "keyward/wrapping-key/v1"
	// Material: the private half of a user key, sealed by its wrapping key (Root.Wrap).
	Material Label = "keyward/material/v1"
	// Ciphertext: what a caller encrypts with a user key (docs/formats/ciphertext.md).
	Ciphertext Label = "keyward/ciphertext/v1"

	// RowKey: the key of the store's row MACs, sealed by the root key.
	RowKey Label = "keyward/row-key/v1"
	// InstallationKey: the key that signs the charter in solo mode, sealed by the root key.
	InstallationKey Label = "keyward/installation-key/v1"
	// CheckpointKey: the key that signs the log's checkpoints, sealed by the root key.
	CheckpointKey Label = "keyward/checkpoint-key/v1"
	// AuthorityKey: the key of the certificate authority for TLS, sealed by the root key.
	AuthorityKey Label = "keyward/authority-key/v1"
	// OldRoot: an older version of the root key, sealed by the current one (Rotation.Ring).
	OldRoot Label = "keyward/old-root/v1"

	// SlotHead: prefix of the digest over a slot's kind, parameters and public half.
	SlotHead Label = "keyward/slot-head/v1"
	// SlotPrivate: a slot's private half, sealed by the slot's key-encryption key.
	SlotPrivate Label = "keyward/slot-private/v1"
	// SlotRoot: HPKE info under which the root key is sealed to a slot's public half.
	SlotRoot Label = "keyward/slot-root/v1"
	// SlotProof: the root key's proof, inside a slot, that it knows this slot.
	SlotProof Label = "keyward/slot-proof/v1"
	// KeyFile: prefix of the checksum in a key file (package keyfile).
	KeyFile Label = "keyward/key-file/v1"
)

// open reports whether callers may use the label with Root.Seal and Root.Open.
// The others are used by this package alone, each in one place.
func (l Label) open() bool {
	switch l {
	case RowKey, InstallationKey, CheckpointKey, AuthorityKey:
		return true
	}
	return false
}

// Purposes of system keys. A SystemKey is named by its purpose, or, where there
// are several of one purpose, by "purpose/instance".
const (
	PurposeRow          = "row"
	PurposeInstallation = "installation"
	PurposeCheckpoint   = "checkpoint"
	PurposeAuthority    = "authority"
	purposeRoot         = "root" // older versions of the root key: "root/3"
)

// labelOf returns the label under which the system key of that name is sealed;
// empty when the purpose is not in the list.
func labelOf(name string) Label {
	purpose, _, _ := strings.Cut(name, "/")
	switch purpose {
	case PurposeRow:
		return RowKey
	case PurposeInstallation:
		return InstallationKey
	case PurposeCheckpoint:
		return CheckpointKey
	case PurposeAuthority:
		return AuthorityKey
	case purposeRoot:
		return OldRoot
	}
	return ""
}
