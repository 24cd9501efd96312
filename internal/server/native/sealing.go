package native

import (
	"net/http"
	"reflect"
	"strings"

	"keyward/api"
	"keyward/internal/identity"
	"keyward/internal/kms"
	"keyward/internal/server"
)

// maxCredential bounds what opens a slot, in bytes.
const maxCredential = 64 << 10

var kindParameter = Parameter{"kind", "keyfile or passphrase", false}

func (h *house) sealing() []Route {
	status := get("/status", "status", "Say how the node stands", nil, h.status)
	status.Access = server.Anyone
	clock := post("/clock/accept", "accept-clock", "Believe the machine's clock, which is far from what it was. Only over the unix socket", h.acceptClock)
	clock.Access = server.Socket
	return []Route{
		status, clock,
		post("/seal", "seal", "Wipe every key from memory until somebody unseals", h.seal),
		opening("/unseal", "unseal", "Open the root key; the body is the credential. Only over the unix socket", []Parameter{kindParameter}, h.unseal),
		get("/seal/slots", "list-slots", "List the ways to unseal", nil, h.slots),
		opening("/seal/slots", "add-slot", "Add a way to unseal; the body is its credential. Only over the unix socket",
			[]Parameter{kindParameter, {"name", "of the slot", false}}, h.addSlot),
		post("/seal/slots/{id}/remove", "remove-slot", "Remove a way to unseal, never the last", h.removeSlot),
		post("/seal/rotate", "rotate-root", "Replace the root key, while serving", h.rotateRoot),
	}
}

// opening is a route whose body is a credential: never JSON, which would spread
// it over the heap, and never over the network.
func opening[Out any](path, name, summary string, query []Parameter, do func(*server.Call, kms.Credential) (Out, error)) Route {
	r := Route{Summary: summary, Out: reflect.TypeFor[Out](), Query: query, Binary: octets}
	r.Route = server.Route{Method: http.MethodPost, Path: api.Prefix + path, Name: name, Access: server.Socket, Handle: func(c *server.Call) error {
		if err := known(c, query); err != nil {
			return err
		}
		kind := c.Request.URL.Query().Get("kind")
		if kind == "" {
			return c.Invalid("kind", "missing")
		}
		b, err := c.Secret(maxCredential)
		if err != nil {
			return err
		}
		defer b.Destroy()
		out, err := do(c, kms.Credential{Kind: kind, Secret: b})
		if err != nil {
			return err
		}
		return c.JSON(&out)
	}}
	return r
}

// status tells strangers no more than whether they can be served.
func (h *house) status(c *server.Call) (api.Status, error) {
	s := h.kms.Status(c.Context())
	out := api.Status{
		Sealed: s.Sealed, Ready: s.Ready, Version: h.node.Version, Listen: []string{}, Seal: []api.Slot{},
	}
	if !c.Actor.Valid() {
		return out, nil
	}
	out.Why, out.Keys, out.AuditSize, out.TreeSize = s.Why, s.Keys, s.AuditSize, s.TreeSize
	out.Installation, out.Mode, out.Charter, out.Epoch, out.LogTime = s.Installation, s.Mode, s.Charter, s.Epoch, api.Time(s.LogTime)
	out.Memory = api.Memory{
		LockedBytes: s.Memory.LockedBytes, LockFailed: s.Memory.LockFailed, Erased: s.Memory.Runtime, Dumpable: s.Memory.Dumpable,
	}
	out.Warnings = s.Warnings
	for _, slot := range s.Seal {
		out.Seal = append(out.Seal, slotOf(slot))
	}
	for _, address := range h.node.Listen() {
		// A path of this machine is nothing for programs elsewhere.
		if c.Actor.Kind() == identity.LocalOperator || !strings.HasPrefix(address, "unix:") {
			out.Listen = append(out.Listen, address)
		}
	}
	return out, nil
}

func (h *house) seal(c *server.Call, _ *api.Ask) (api.SealState, error) {
	return api.SealState{Sealed: true}, h.kms.Seal(c.Context(), c.Actor)
}

func (h *house) unseal(c *server.Call, cred kms.Credential) (api.SealState, error) {
	return api.SealState{Sealed: false}, h.kms.Unseal(c.Context(), c.Actor, cred)
}

func (h *house) acceptClock(c *server.Call, in *api.AcceptClock) (api.AcceptedClock, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.AcceptedClock{}, err
	}
	v, err := h.kms.AcceptClock(c.Context(), c.Actor, int64(in.Time), a)
	return api.AcceptedClock{From: api.Time(v.From), To: api.Time(v.To), Answer: answer(v.Answer)}, err
}

func (h *house) slots(c *server.Call) (api.Slots, error) {
	all, err := h.kms.Slots(c.Context(), c.Actor)
	out := api.Slots{Slots: make([]api.Slot, 0, len(all))}
	for _, s := range all {
		out.Slots = append(out.Slots, slotOf(s))
	}
	return out, err
}

func (h *house) addSlot(c *server.Call, cred kms.Credential) (api.AddedSlot, error) {
	a, err := ask(c, api.Ask{})
	if err != nil {
		return api.AddedSlot{}, err
	}
	s, done, err := h.kms.AddSlot(c.Context(), c.Actor, c.Request.URL.Query().Get("name"), cred, a)
	return api.AddedSlot{Slot: slotOf(s), Answer: answer(done)}, err
}

func (h *house) removeSlot(c *server.Call, in *api.Ask) (api.Done, error) {
	a, err := ask(c, *in)
	if err != nil {
		return api.Done{}, err
	}
	return done(h.kms.RemoveSlot(c.Context(), c.Actor, c.Path("id"), a))
}

func (h *house) rotateRoot(c *server.Call, in *api.Ask) (api.Done, error) {
	a, err := ask(c, *in)
	if err != nil {
		return api.Done{}, err
	}
	return done(h.kms.RotateRoot(c.Context(), c.Actor, a))
}

func slotOf(s kms.SlotView) api.Slot {
	return api.Slot{ID: s.ID, Kind: s.Kind, Name: s.Name, Created: api.Time(s.Created), RootVersion: s.RootVersion, Warning: s.Warning}
}
