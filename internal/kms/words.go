package kms

import (
	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/policy"
	"keyward/internal/seal"
)

// The words of the rooms behind this one in which kms asks and answers, so that
// a protocol need not know those rooms.
type (
	Asset      = chain.Asset
	Credential = seal.Credential
	Entry      = audit.Entry
	Finding    = policy.Finding
	Intent     = chain.Intent
	Operation  = journal.Operation
	Query      = audit.Query
	Reason     = policy.Reason
	Record     = audit.Record
	State      = journal.State
	Type       = chain.Type
)
