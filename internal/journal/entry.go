package journal

import (
	"cmp"
	"context"
	"crypto/sha256"

	"keyward/internal/audit"
	"keyward/internal/key"
	"keyward/internal/policy"
	"keyward/internal/store"
)

type phase string

// The phases of a record; see docs/formats/log.md.
const (
	phaseBegun   phase = "begun"
	phaseEnded   phase = "ended"
	phaseWaiting phase = "waiting"
	phaseDenied  phase = "denied"
	phaseCounted phase = "counted"
	phaseNoted   phase = "noted"
	phaseExpired phase = "expired" // its record is the end of what waited
	phaseDone    phase = "done"    // begun and ended in one record: its effect is in the same commit
)

// entry is one record on its way into a commit, with all that goes with it.
type entry struct {
	ctx       context.Context
	phase     phase
	decision  policy.Decision
	terms     Terms
	row       operation // its operation; id "" when it has none
	record    audit.Record
	effect    func(*store.Tx) error
	resumed   bool
	stored    *int     // bytes of request kept by the waiting operation that it ends; nil for none
	known     bool     // its row exists already
	keyDigest [32]byte // of the key that was judged

	withdrawer string // whose own request it ends

	began    uint64     // of an orphan: where its first record stands
	tried    [][16]byte // commits of unknown outcome that it was in
	lazy     bool       // nobody waits
	done     chan struct{}
	err      error
	position audit.Position
}

// Outcome is what came of an operation.
type Outcome struct {
	Failed string // why nothing came of it; "" when it was done
	Result []byte // public result, kept for a replay; nil for none
	Digest [32]byte
	Keep   bool // keep Result with the operation
	Wait   bool // wait until it is on disk
}

// Notice is a record that belongs to no operation.
type Notice struct {
	Actor, Source, Action, Subject, Outcome, Detail string
}

func (n Notice) record() audit.Record {
	return audit.Record{
		Phase: string(phaseNoted), Action: n.Action, Actor: n.Actor, Source: n.Source, Subject: n.Subject, Outcome: n.Outcome, Detail: n.Detail,
	}
}

// action is the log's name for a verb: dotted, noun first.
func action(v key.Verb) string {
	if a, ok := actions[v]; ok {
		return a
	}
	return "key." + string(v)
}

var actions = map[key.Verb]string{
	key.Sign: "key.sign", key.SignTransaction: "key.sign", key.SignMessage: "key.sign", key.SignTypedData: "key.sign", key.SignBlind: "key.sign",
	key.Encrypt: "key.encrypt", key.Decrypt: "key.decrypt", key.DataKey: "key.datakey", key.MAC: "key.mac", key.VerifyMAC: "key.mac-verify",
	key.CreateKey: "key.create", key.RotateKey: "key.rotate", key.DisableKey: "key.disable", key.EnableKey: "key.enable",
	key.DestroyKey: "key.destroy", key.CancelDestroy: "key.cancel-destroy", key.ApplyPolicy: "policy.apply",
	key.CreateService: "service.create", key.RevokeService: "service.revoke", key.ChangeSlots: "seal.slots", key.RotateRoot: "seal.rotate",
	key.Seal: "seal.seal", key.Unseal: "seal.unseal", key.AcceptClock: "clock.accept",
}

func (j *Journal) newEntry(ctx context.Context, d policy.Decision, t Terms, ph phase) (*entry, error) {
	req := d.Request()
	id := t.Waiting
	if id == "" {
		ulid, err := key.ULID(j.Now(), j.opt.Rand)
		if err != nil {
			return &entry{}, err
		}
		id = "op_" + ulid
	}
	row := operation{
		id: id, parent: t.Parent, actor: req.Actor().Name(), idem: t.Idempotency, index: int64(t.Index), state: stateOf(ph),
		verb: req.Verb(), keyID: req.Key().ID, keyVersion: req.Version(), subject: req.Subject(), created: req.Created(), expires: req.Expires(),
		charter: req.Charter(),
	}
	if t.Idempotency != "" || t.Waiting != "" || ph == phaseWaiting {
		content, err := req.Content()
		if err != nil {
			return &entry{}, err
		}
		row.content = content[:]
	}
	if ph == phaseWaiting {
		row.request = req.Bytes()
	}
	outcome := ""
	if ph == phaseDone {
		outcome, row.outcome = "done", "done"
	}
	return &entry{
		ctx: ctx, phase: ph, decision: d, terms: t, row: row, effect: t.Effect, done: make(chan struct{}), keyDigest: req.Key().Digest(),
		record: audit.Record{
			Phase: string(ph), Operation: id, Action: action(req.Verb()), Actor: req.Actor().Name(), Source: req.Actor().Source(),
			Subject: req.Subject(), Request: req.Digest(), Decision: string(d.Outcome()), Rules: d.Fitting(), Charter: req.Charter(),
			Charges: charges(d), Detail: cmp.Or(t.Detail, detail(d, ph)), Outcome: outcome,
		},
	}, nil
}

func (j *Journal) finishEntry(p Permit, o Outcome) *entry {
	row := p.p.row
	row.state, row.outcome = Done, "done"
	digest := o.Digest
	if o.Failed != "" {
		row.state, row.outcome = Failed, "failed: "+o.Failed
	} else if digest == ([32]byte{}) && o.Result != nil {
		digest = sha256.Sum256(o.Result)
	}
	if o.Keep {
		row.result = o.Result
	}
	return &entry{
		ctx: context.Background(), phase: phaseEnded, row: row, known: row.kept(), done: make(chan struct{}),
		record: audit.Record{
			Phase: string(phaseEnded), Operation: row.id, Action: action(row.verb), Actor: row.actor, Subject: row.subject,
			Outcome: row.outcome, Result: digest,
		},
	}
}

// renew forgets what an earlier try at a commit found out.
func (e *entry) renew() {
	if e.phase == phaseEnded {
		return
	}
	e.resumed, e.known, e.stored = false, false, nil
}

func (e *entry) permit() Permit {
	req := e.decision.Request()
	return Permit{&permit{
		operation: e.row.id, position: e.position, row: e.row,
		order: Order{
			Key: key.Ref{ID: req.Key().ID, Version: req.Version()}, Path: req.Path(), Verb: req.Verb(), Algorithm: req.Algorithm(),
			Parsed: req.Parsed(),
		},
	}}
}

func charges(d policy.Decision) []audit.Charge {
	var all []audit.Charge
	for _, c := range d.Charges() {
		all = append(all, audit.Charge{Asset: c.Asset, Destination: c.Destination, Amount: c.Amount.String()})
	}
	return all
}

// detail keeps the reasons of a denial and what a waiting request waits for; an
// allowed request is explained by its rules.
func detail(d policy.Decision, ph phase) string {
	if ph == phaseBegun || ph == phaseDone {
		return ""
	}
	text := ""
	for _, r := range d.Reasons() {
		if text != "" {
			text += "; "
		}
		text += r.Text
		if len(text) > 1024 {
			return text[:1024]
		}
	}
	return text
}
