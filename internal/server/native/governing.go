package native

import (
	"net/http"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

func (h *house) governing() []Route {
	apply := post("/policy", "apply-policy", "Put a policy in force", h.applyPolicy)
	apply.Method = http.MethodPut
	return []Route{
		get("/policy", "show-policy", "Show the policy in force", nil, h.showPolicy),
		apply,
		post("/policy/check", "check-policy", "Say what is wrong or odd about a policy; nothing changes", h.checkPolicy),
		post("/services", "create-service", "Make a program's identity and its bearer token, which is shown this once", h.createService),
		get("/services", "list-services", "List programs", nil, h.listServices),
		post("/services/{name}/revoke", "revoke-service", "End a program's token at once", h.revokeService),
	}
}

func (h *house) showPolicy(c *server.Call) (api.Policy, error) {
	p, err := h.kms.Policy(c.Context(), c.Actor)
	return policyOf(p), err
}

func (h *house) applyPolicy(c *server.Call, in *api.ApplyPolicy) (api.Policy, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Policy{}, err
	}
	p, done, err := h.kms.ApplyPolicy(c.Context(), c.Actor, []byte(in.Text), a)
	out := policyOf(p)
	out.Answer = answer(done)
	return out, err
}

func policyOf(p kms.PolicyView) api.Policy {
	return api.Policy{Version: p.Version, Hash: p.Hash[:], Text: string(p.Text), Sentences: p.Sentences}
}

func (h *house) checkPolicy(c *server.Call, in *api.CheckPolicy) (api.PolicyFindings, error) {
	all, err := h.kms.CheckPolicy(c.Context(), c.Actor, []byte(in.Text))
	out := api.PolicyFindings{Findings: []api.Finding{}}
	for _, f := range all {
		out.Findings = append(out.Findings, api.Finding{Level: string(f.Level), Rule: f.Rule, Text: f.Text, Code: f.Code})
	}
	return out, err
}

func (h *house) createService(c *server.Call, in *api.CreateService) (api.CreatedService, error) {
	a, err := ask(c, in.Ask)
	if err == nil && (in.LifetimeSeconds < 0 || in.LifetimeSeconds > 100*maxSeconds) {
		err = c.Invalid("lifetimeSeconds", "want at most a hundred years")
	}
	if err != nil {
		return api.CreatedService{}, err
	}
	s, token, done, err := h.kms.CreateService(c.Context(), c.Actor, kms.NewService{
		Ask: a, Name: in.Name, Networks: in.Networks, ExpiresIn: in.LifetimeSeconds * 1000,
	})
	c.After(token.Destroy)
	return api.CreatedService{Service: serviceOf(s), Token: token.View(), Answer: answer(done)}, err
}

func (h *house) listServices(c *server.Call) (api.Services, error) {
	all, err := h.kms.Services(c.Context(), c.Actor)
	out := api.Services{Services: make([]api.Service, 0, len(all))}
	for _, s := range all {
		out.Services = append(out.Services, serviceOf(s))
	}
	return out, err
}

func (h *house) revokeService(c *server.Call, in *api.Ask) (api.Done, error) {
	a, err := ask(c, *in)
	if err != nil {
		return api.Done{}, err
	}
	return done(h.kms.RevokeService(c.Context(), c.Actor, c.Path("name"), a))
}

func serviceOf(s kms.ServiceView) api.Service {
	return api.Service{
		ID: s.ID, Name: s.Name, Networks: s.Networks, Created: api.Time(s.Created), Expires: api.Time(s.Expires), Revoked: api.Time(s.Revoked),
	}
}
