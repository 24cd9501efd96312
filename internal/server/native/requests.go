package native

import (
	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

func (h *house) requests() []Route {
	list := []Parameter{
		{"state", "waiting, begun, done, failed, unknown, denied or expired; absent: all", false},
		{"before", "the id that the page before ended with", false}, limitParameter,
	}
	return []Route{
		get("/requests", "list-requests", "List operations, newest first", list, h.listRequests),
		get("/requests/{id}", "show-request", "Show an operation, and what it means", nil, h.showRequest),
		post("/requests/{id}/collect", "collect", "Get the signature of a request that waited, once it may go", h.collect),
		post("/requests/{id}/withdraw", "withdraw", "Withdraw a waiting request of one's own", h.withdraw),
	}
}

func (h *house) listRequests(c *server.Call) (api.Requests, error) {
	q := query(c)
	limit := q.limit()
	if limit == 0 {
		limit = defaultPage
	}
	if q.err != nil {
		return api.Requests{}, q.err
	}
	all, err := h.kms.Requests(c.Context(), c.Actor, kms.State(q.text("state")), q.text("before"), limit)
	if err != nil {
		return api.Requests{}, err
	}
	out := api.Requests{Requests: make([]api.Request, 0, len(all))}
	for _, o := range all {
		out.Requests = append(out.Requests, requestOf(o))
	}
	if len(all) == limit {
		out.Next = all[limit-1].ID
	}
	return out, nil
}

func (h *house) showRequest(c *server.Call) (api.Request, error) {
	o, meaning, err := h.kms.Request(c.Context(), c.Actor, c.Path("id"))
	if err != nil {
		return api.Request{}, err
	}
	out := requestOf(o)
	out.Request = o.Request
	if meaning.Kind != "" {
		i := intentOf(meaning)
		out.Intent = &i
	}
	p, err := h.kms.Prospect(c.Context(), c.Actor, o)
	if err != nil { // its key is gone, for instance: collecting says the same
		out.Reasons = []api.Reason{{Code: string(kms.KindOf(err)), Text: err.Error()}}
		return out, nil
	}
	out.Collectable, out.NotBefore, out.Reasons = p.Collectable, api.Time(p.NotBefore), reasonsOf(p.Reasons)
	return out, nil
}

func (h *house) withdraw(c *server.Call, _ *api.Ask) (api.Done, error) {
	return done(h.kms.Withdraw(c.Context(), c.Actor, c.Path("id")))
}

func (h *house) collect(c *server.Call, _ *api.Ask) (api.Signed, error) {
	s, err := h.kms.Collect(c.Context(), c.Actor, c.Path("id"))
	if err != nil {
		return api.Signed{}, err
	}
	return signedOf(s), nil
}

func requestOf(o kms.Operation) api.Request {
	return api.Request{
		ID: o.ID, Parent: o.Parent, Actor: o.Actor, State: string(o.State), Verb: string(o.Verb), KeyID: string(o.KeyID),
		KeyVersion: uint32(o.KeyVersion), Subject: o.Subject, Created: api.Time(o.Created), Expires: api.Time(o.Expires),
		Changed: api.Time(o.Changed), Begun: o.Begun, Ended: o.Ended, Charter: o.Charter, Outcome: o.Outcome,
	}
}
