package journal

import (
	"context"
	"fmt"

	"keyward/internal/key"
	"keyward/internal/store"
)

// State is where an operation stands.
type State string

// The states: waiting → begun → done | failed | unknown, or denied | expired.
const (
	Waiting State = "waiting"
	Begun   State = "begun"
	Done    State = "done"
	Failed  State = "failed"
	Unknown State = "unknown" // begun by a process that died: spent, and perhaps signed
	Denied  State = "denied"
	Expired State = "expired"
)

// Known is false for a word that is no state.
func (s State) Known() bool {
	switch s {
	case Waiting, Begun, Done, Failed, Unknown, Denied, Expired:
		return true
	}
	return false
}

func stateOf(ph phase) State {
	switch ph {
	case phaseWaiting:
		return Waiting
	case phaseDenied:
		return Denied
	case phaseDone:
		return Done
	}
	return Begun
}

// Operation is one request's life, as people see it.
type Operation struct {
	ID         string
	Parent     string
	Actor      string
	State      State
	Verb       key.Verb
	KeyID      key.ID
	KeyVersion key.Version
	Subject    string
	Request    []byte // canonical request, while it was kept
	Created    int64  // log time, ms
	Expires    int64
	Changed    int64
	Begun      uint64 // sequence of its records; 0 for none
	Ended      uint64
	Charter    uint64
	Outcome    string
	Result     []byte // public result, while it is kept

	idempotency string
	content     [32]byte
}

// operation is the row.
type operation struct {
	id, parent, actor, idem string
	index                   int64
	content                 []byte
	state                   State
	verb                    key.Verb
	keyID                   key.ID
	keyVersion              key.Version
	subject                 string
	request                 []byte
	created, expires        int64
	changed                 int64
	begun, ended            int64
	charter                 uint64
	outcome                 string
	result                  []byte
}

// Operations is the table of operations that somebody may come back to: by an
// idempotency key, or because they wait. All others are in the log alone (see
// docs/design/journal.md). Rows are authenticated and not summed.
//
// BUG(journal): whoever can write the database file can delete such a row, or
// put an older one of the same operation back, unnoticed. The request can then
// be made again under the same idempotency key: judged, recorded and charged
// anew, so never outside policy or budget, but twice.
func Operations() store.Table { return operations }

var operations = store.Table{
	Name: "operation", Key: []string{"id"},
	Columns: []string{"id", "parent", "actor", "idem", "idx", "hash", "state", "verb", "key_id", "key_version", "subject", "request",
		"created", "expires", "changed", "begun", "ended", "charter", "outcome", "result"},
}

func (o operation) values() store.Row {
	return store.Row{o.id, o.parent, o.actor, o.idem, o.index, bytesOf(o.content), string(o.state), string(o.verb), string(o.keyID),
		int64(o.keyVersion), o.subject, bytesOf(o.request), o.created, o.expires, o.changed, o.begun, o.ended, int64(o.charter), o.outcome,
		bytesOf(o.result)}
}

// kept tells whether the operation has a row. A denial has none: nothing was
// done, and under the same idempotency key it may be asked again.
func (o operation) kept() bool {
	return o.state != Denied && (o.idem != "" || o.state == Waiting || len(o.request) > 0)
}

// bytesOf keeps NULL out of the table.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func scan(r store.Row) operation {
	return operation{
		id: r[0].(string), parent: r[1].(string), actor: r[2].(string), idem: r[3].(string), index: r[4].(int64), content: r[5].([]byte),
		state: State(r[6].(string)), verb: key.Verb(r[7].(string)), keyID: key.ID(r[8].(string)), keyVersion: key.Version(r[9].(int64)),
		subject: r[10].(string), request: r[11].([]byte), created: r[12].(int64), expires: r[13].(int64), changed: r[14].(int64),
		begun: r[15].(int64), ended: r[16].(int64), charter: uint64(r[17].(int64)), outcome: r[18].(string), result: r[19].([]byte),
	}
}

func (o operation) public() Operation {
	p := Operation{
		ID: o.id, Parent: o.parent, Actor: o.actor, State: o.state, Verb: o.verb, KeyID: o.keyID, KeyVersion: o.keyVersion, Subject: o.subject,
		Request: o.request, Created: o.created, Expires: o.expires, Changed: o.changed, Begun: uint64(o.begun), Ended: uint64(o.ended),
		Charter: o.charter, Outcome: o.outcome, Result: o.result, idempotency: o.idem,
	}
	copy(p.content[:], o.content)
	return p
}

func (e *entry) operation() Operation { return e.row.public() }

// List returns operations that have a row, newest first, at most limit; state "" means all,
// actor "" everybody's. Before is the id to continue after, "" for the newest.
// Requests and results are left out: a page of them would hold a GiB, for every
// caller who asks at the same time.
func (j *Journal) List(ctx context.Context, state State, actor, before string, limit int) ([]Operation, error) {
	if before == "" {
		before = "op_~" // sorts after every id
	}
	where := "id < $1"
	args := []any{before}
	if state != "" {
		args = append(args, string(state))
		where += fmt.Sprintf(" AND state = $%d", len(args))
	}
	if actor != "" {
		args = append(args, actor)
		where += fmt.Sprintf(" AND actor = $%d", len(args))
	}
	args = append(args, limit)
	where += fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args))
	var all []Operation
	for row, err := range j.opt.Reader.Rows(ctx, operations, where, args...) {
		if err != nil {
			return nil, err
		}
		op := scan(row).public()
		op.Request, op.Result = nil, nil
		all = append(all, op)
	}
	return all, nil
}
