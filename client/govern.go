package client

import (
	"context"
	"net/http"
	"net/url"

	"keyward/api"
)

// Policy shows the policy in force.
func (c *Client) Policy(ctx context.Context) (out api.Policy, err error) {
	return out, c.read(ctx, "/v1/policy", &out)
}

// ApplyPolicy puts a policy in force.
func (c *Client) ApplyPolicy(ctx context.Context, in api.ApplyPolicy) (out api.Policy, err error) {
	return out, c.operate(ctx, http.MethodPut, "/v1/policy", in, &out)
}

// CheckPolicy says what is wrong or odd about a policy.
func (c *Client) CheckPolicy(ctx context.Context, in api.CheckPolicy) (out api.PolicyFindings, err error) {
	return out, c.repeat(ctx, http.MethodPost, "/v1/policy/check", in, &out)
}

// CreateService makes a program's identity. Its token is shown this once; the
// caller wipes it.
func (c *Client) CreateService(ctx context.Context, in api.CreateService) (out api.CreatedService, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/services", in, &out)
}

// Services lists programs.
func (c *Client) Services(ctx context.Context) (out api.Services, err error) {
	return out, c.read(ctx, "/v1/services", &out)
}

// RevokeService ends a program's token at once.
func (c *Client) RevokeService(ctx context.Context, name string, in api.Ask) (out api.Done, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/services/"+url.PathEscape(name)+"/revoke", in, &out)
}

// Slots lists the ways to unseal.
func (c *Client) Slots(ctx context.Context) (out api.Slots, err error) {
	return out, c.read(ctx, "/v1/seal/slots", &out)
}

// AddSlot adds a way to unseal. It works only over the unix socket. The
// credential is borrowed.
func (c *Client) AddSlot(ctx context.Context, kind, name string, credential []byte) (out api.AddedSlot, err error) {
	return out, c.credential(ctx, "/v1/seal/slots"+query("kind", kind, "name", name), credential, &out)
}

// RemoveSlot removes a way to unseal, never the last.
func (c *Client) RemoveSlot(ctx context.Context, id string, in api.Ask) (out api.Done, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/seal/slots/"+url.PathEscape(id)+"/remove", in, &out)
}

// RotateRoot gives the installation a new root key, while it serves.
func (c *Client) RotateRoot(ctx context.Context, in api.Ask) (out api.Done, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/seal/rotate", in, &out)
}

// Seal forgets the root key until somebody unseals.
func (c *Client) Seal(ctx context.Context) (out api.SealState, err error) {
	return out, c.repeat(ctx, http.MethodPost, "/v1/seal", api.Ask{}, &out)
}

// Unseal opens the root key. It works only over the unix socket. The credential
// is borrowed; a wrong one is never tried twice.
func (c *Client) Unseal(ctx context.Context, kind string, credential []byte) (out api.SealState, err error) {
	return out, c.credential(ctx, "/v1/unseal"+query("kind", kind), credential, &out)
}

// AcceptClock has the server believe the machine's clock, at which somebody has
// just looked. It works only over the unix socket.
func (c *Client) AcceptClock(ctx context.Context, in api.AcceptClock) (out api.AcceptedClock, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/clock/accept", in, &out)
}

// Status says how the node stands. It needs no token.
func (c *Client) Status(ctx context.Context) (out api.Status, err error) {
	return out, c.read(ctx, "/v1/status", &out)
}
