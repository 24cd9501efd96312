package api

// Status is how the node stands. It is answered also when sealed.
type Status struct {
	V            V1       `json:"v"`
	Sealed       bool     `json:"sealed"`
	Ready        bool     `json:"ready"`
	Why          string   `json:"why,omitzero" doc:"why it is not ready"`
	Version      string   `json:"version" doc:"of the program"`
	Keys         int64    `json:"keys"`
	AuditSize    uint64   `json:"auditSize" doc:"committed records"`
	TreeSize     uint64   `json:"treeSize" doc:"records under the newest checkpoint"`
	Listen       []string `json:"listen" doc:"bound addresses"`
	Seal         []Slot   `json:"seal"`
	Installation string   `json:"installation,omitzero" doc:"hex; absent while sealed"`
	Mode         string   `json:"mode,omitzero" doc:"solo: one person decides alone"`
	Charter      uint64   `json:"charter,omitzero"`
	Epoch        uint64   `json:"epoch,omitzero"`
	Memory       Memory   `json:"memory"`
	LogTime      Time     `json:"logTime,omitzero"`
	Warnings     []string `json:"warnings,omitempty"`
}

// Memory says how secrets are held.
type Memory struct {
	LockedBytes int64 `json:"lockedBytes"`
	LockFailed  bool  `json:"lockFailed,omitzero" doc:"some secret may be swapped to disk"`
	Erased      bool  `json:"erased" doc:"the runtime erases what cryptography leaves behind"`
	Dumpable    bool  `json:"dumpable,omitzero"`
}

// Slot is one way to unseal.
type Slot struct {
	ID          string `json:"id" doc:"slot_…"`
	Kind        string `json:"kind" enum:"keyfile,passphrase"`
	Name        string `json:"name"`
	Created     Time   `json:"created"`
	RootVersion uint64 `json:"rootVersion"`
	Warning     string `json:"warning,omitzero" doc:"what its kind does not protect against"`
}

// Slots lists the ways to unseal.
type Slots struct {
	V     V1     `json:"v"`
	Slots []Slot `json:"slots"`
}

// AddedSlot is a new way to unseal.
type AddedSlot struct {
	V    V1   `json:"v"`
	Slot Slot `json:"slot"`
	Answer
}

// AcceptClock asks to believe the machine's clock.
type AcceptClock struct {
	Ask
	Time Time `json:"time" doc:"what the clock showed when somebody looked at it; another time is not accepted"`
}

// AcceptedClock is how log time goes on.
type AcceptedClock struct {
	V    V1   `json:"v"`
	From Time `json:"from" doc:"log time before"`
	To   Time `json:"to" doc:"what it goes on from"`
	Answer
}

// SealState says whether the node is sealed now.
type SealState struct {
	V      V1   `json:"v"`
	Sealed bool `json:"sealed"`
}
