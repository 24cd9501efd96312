package native

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

const (
	octets    = "application/octet-stream"
	plainText = "text/plain; charset=utf-8"
)

func (h *house) log() []Route {
	number := func(name, doc string) Parameter { return Parameter{name, doc, true} }
	text := func(name, doc string) Parameter { return Parameter{name, doc, false} }
	filters := []Parameter{
		number("from", "the lowest sequence"), number("to", "the highest sequence"),
		text("since", "log time, included; RFC 3339"), text("until", "log time, not included"), text("actor", "service:payouts"),
		text("action", "key.sign"), text("subject", "name of a key, service, …"), text("operation", "op_…"), text("phase", "begun, ended, denied, …"),
		text("order", "newest: the newest first"), limitParameter,
	}
	entries := Route{
		Summary: "Read entries of the log as they are kept, to verify them (docs/formats/log.md)", Plain: octets,
		Query: []Parameter{number("from", "the first sequence")},
	}
	entries.Route = server.Route{
		Method: http.MethodGet, Path: api.Prefix + "/audit/entries", Name: "audit-entries", Handle: h.entries,
	}
	return []Route{
		get("/audit/records", "audit-records", "Search the log", filters, h.records),
		entries,
		get("/audit/checkpoint", "audit-checkpoint", "Sign a checkpoint over every record committed until now", nil, h.freshCheckpoint),
	}
}

func (h *house) records(c *server.Call) (api.Records, error) {
	v := query(c)
	q := kms.Query{
		From: v.number("from"), To: v.number("to"), After: v.moment("since"), Until: v.moment("until"), Actor: v.text("actor"),
		Action: v.text("action"), Subject: v.text("subject"), Operation: v.text("operation"), Phase: v.text("phase"), Limit: v.limit(),
		Reverse: v.text("order") == "newest",
	}
	if v.err == nil && v.text("order") != "" && !q.Reverse {
		v.err = c.Invalid("order", "want newest")
	}
	if v.err != nil {
		return api.Records{}, v.err
	}
	page, err := h.kms.AuditRecords(c.Context(), c.Actor, q)
	if err != nil {
		return api.Records{}, err
	}
	out := api.Records{Records: make([]api.Record, 0, len(page.Found)), Next: page.Next}
	for _, f := range page.Found {
		out.Records = append(out.Records, recordOf(f.Entry, f.Record))
	}
	return out, nil
}

func recordOf(e kms.Entry, r kms.Record) api.Record {
	if e.Erased() {
		return api.Record{Sequence: e.Sequence, Leaf: e.Leaf}
	}
	out := api.Record{
		Sequence: e.Sequence, Time: api.Time(r.Time), Node: r.Node, Action: r.Action, Phase: r.Phase, Operation: r.Operation, Actor: r.Actor,
		Source: r.Source, Subject: r.Subject, Decision: r.Decision, Rules: r.Rules, Charter: r.Charter, Epoch: r.Epoch, Outcome: r.Outcome,
		Count: r.Count, Detail: r.Detail, Nonce: e.Nonce[:], Encoded: e.Record,
	}
	var none [32]byte
	if r.Request != none {
		out.Request = r.Request[:]
	}
	if r.Result != none {
		out.Result = r.Result[:]
	}
	for _, charge := range r.Charges {
		out.Charges = append(out.Charges, api.Charge{Asset: charge.Asset, Destination: charge.Destination, Amount: charge.Amount})
	}
	return out
}

// freshCheckpoint reads size and root out of the note, where its reader is going
// to look too (C2SP tlog-checkpoint).
func (h *house) freshCheckpoint(c *server.Call) (api.Checkpoint, error) {
	note, err := h.kms.AuditCheckpoint(c.Context(), c.Actor)
	if err != nil {
		return api.Checkpoint{}, err
	}
	lines := bytes.SplitN(note, []byte("\n"), 4)
	if len(lines) < 4 {
		return api.Checkpoint{}, errors.New("checkpoint: cut short")
	}
	size, err := strconv.ParseUint(string(lines[1]), 10, 64)
	if err != nil {
		return api.Checkpoint{}, errors.New("checkpoint: its size cannot be read")
	}
	root, err := base64.StdEncoding.DecodeString(string(lines[2]))
	if err != nil {
		return api.Checkpoint{}, errors.New("checkpoint: its root cannot be read")
	}
	return api.Checkpoint{Origin: string(lines[0]), Size: size, Root: root, LogKey: h.kms.LogKey(), Note: string(note)}, nil
}

// entries answers with a group of consecutive entries, nothing at the end.
func (h *house) entries(c *server.Call) error {
	v := query(c)
	from := v.number("from")
	if v.err != nil {
		return v.err
	}
	group, err := h.kms.AuditEntries(c.Context(), c.Actor, from)
	if err != nil {
		return err
	}
	return c.Answer(octets, group)
}
