// Package kms is the heart of keyward: one method for each thing that a caller
// may ask, all of them walking the same corridor (corridor.go). It knows no
// protocol, and it never touches a private half itself.
package kms

import (
	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/secret"
)

// Answer comes with everything that was done: the operation, and where its
// record stands in the log. With it every caller is a witness.
type Answer struct {
	Operation string         // "op_…"; "" for readings
	Position  audit.Position // of the operation's record; zero when it was answered from an earlier one
}

// replayed tells whether the request was done before, under the same idempotency
// key, and nothing was done now.
func (a Answer) replayed() bool { return a.Position.Sequence == 0 }

// Ask is what any request that walks the corridor may carry.
type Ask struct {
	Idempotency string // 1 to 128 printable ASCII characters; "" for none
	ExpiresIn   int64  // ms from now after which the request is void; 0 never, or a week when it must wait
	index       int    // within a batch
	parent      string
	own         bool   // goes on with a request that the actor made before
	counted     string // under which name a refusal is counted, where it is not recorded
}

// NewKey asks for a key.
type NewKey struct {
	Ask
	Name   string
	Spec   key.Spec
	Usage  key.Usage  // "" for the spec's own
	Domain key.Domain // "" for raw
	Tags   map[string]string
}

// SignRequest asks for a signature.
type SignRequest struct {
	Ask
	Key       string        // name or id, with the path of an account: "treasury/m/84h/0h/0h"
	Version   key.Version   // 0 for the current one
	Type      chain.Type    // Auto lets the domain's decoder look; raw keys: message or digest
	Algorithm key.Algorithm // raw keys; "" for the spec's default
	Payload   []byte
	Network   string // where the payload names none; "" for the key's own
	DryRun    bool   // judge only: nothing is recorded or signed
}

// Signed is a signature and what was signed.
type Signed struct {
	Answer
	Key       string // name
	KeyID     key.ID
	Version   key.Version
	Algorithm key.Algorithm
	Type      chain.Type
	Signature []byte       // raw keys: by algorithm; message of a chain: its own encoding; transactions: nil
	Path      string       // of the account below the key; "" for the key itself
	Output    []byte       // the signed payload, where the payload has a place for signatures; else nil
	Raw       []byte       // of a PSBT that is complete: the transaction for the network
	Intent    chain.Intent // what it means
	Reasons   []policy.Reason
	Replayed  bool // the stored result of an earlier, equal request
}

// BatchItem is one result of SignBatch: either is set.
type BatchItem struct {
	Signed Signed
	Err    error
}

// VerifyRequest asks whether a signature holds. It needs no private half.
type VerifyRequest struct {
	Key       string
	Version   key.Version
	Type      chain.Type
	Algorithm key.Algorithm
	Payload   []byte
	Network   string
	Signature []byte
}

// CryptRequest asks to encrypt, decrypt, make a data key, or authenticate.
// Input is plaintext, an envelope, nothing, or a message.
type CryptRequest struct {
	Ask
	Key       string
	Version   key.Version // 0 for the current one; Decrypt takes it from the envelope
	Algorithm key.Algorithm
	Input     []byte
	Context   map[string]string
	MAC       []byte // VerifyMAC alone
}

// Crypt is what comes back. The caller must Destroy Plaintext.
type Crypt struct {
	Answer
	Key       string
	KeyID     key.ID
	Version   key.Version
	Algorithm key.Algorithm
	Output    []byte       // envelope or MAC
	Plaintext secret.Bytes // Decrypt, DataKey
}

// KeyView is a key as it is shown.
type KeyView struct {
	key.Key
	Addresses []Address
	Path      key.Path   // of the account that is shown, below a seed; nil for the key itself
	Public    key.Public // of the account
	XPub      string     // of the account (BIP-32)
	Master    [4]byte    // fingerprint of the seed's master key, with XPub
}

// Address is a way to pay a key, or the account at a path below it.
type Address struct{ Chain, Form, Address, Path string }

// NewSeed asks for a seed: a tree of keys that hangs on words.
type NewSeed struct {
	Ask
	Name   string
	Domain key.Domain // "" for the one of each account's path
	Tags   map[string]string
	Words  int  // 12, 15, 18, 21 or 24; 0 for 24
	Show   bool // the words, once: to the local operator alone

	Import     secret.Bytes // words that exist already, instead of new ones; lent
	Passphrase secret.Bytes // of imported words; lent
}

// ServiceView is a program that may ask.
type ServiceView struct {
	ID, Name string
	Networks []string
	Created  int64 // log time, ms
	Expires  int64
	Revoked  int64 // 0 while it is valid
}

// NewService asks for a service with a bearer token.
type NewService struct {
	Ask
	Name      string
	Networks  []string // CIDR; empty for any
	ExpiresIn int64    // ms; 0 never
}

// PolicyView is the policy in force.
type PolicyView struct {
	Version   uint64 // of the charter that carries it
	Hash      [32]byte
	Text      []byte
	Sentences []string
}

// SlotView is one way to unseal.
type SlotView struct {
	ID, Kind, Name string
	Created        int64
	RootVersion    uint64
	Warning        string // what its kind does not protect against
}

// Status is how the node stands. It is answered also when sealed.
type Status struct {
	Sealed, Ready bool
	Why           string // why it is not ready
	Keys          int64
	AuditSize     uint64 // committed records
	TreeSize      uint64 // newest checkpoint
	Installation  string // hex; "" while sealed
	Mode          string // "solo": one person decides alone
	Charter       uint64
	Epoch         uint64
	Seal          []SlotView
	Memory        secret.MemoryStatus
	Warnings      []string
	LogTime       int64
}
