package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"keyward/api"
)

// CreateKey makes a key.
func (c *Client) CreateKey(ctx context.Context, in api.CreateKey) (out api.Key, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/keys", in, &out)
}

// Keys lists keys, oldest first, at most limit (0: the server's choice), from after
// an id on; "" for the first.
func (c *Client) Keys(ctx context.Context, after string, limit int) (out api.Keys, err error) {
	return out, c.read(ctx, "/v1/keys"+query("after", after, "limit", number(limit)), &out)
}

// CreateSeed makes a seed.
func (c *Client) CreateSeed(ctx context.Context, in api.CreateSeed) (out api.Seed, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/seeds", in, &out)
}

// ImportSeed keeps a seed that exists as words.
func (c *Client) ImportSeed(ctx context.Context, in api.ImportSeed) (out api.Seed, err error) {
	return out, c.operate(ctx, http.MethodPost, "/v1/seeds/import", in, &out)
}

// Key shows a key; every name here may also be an id, and with a path that of an
// account below a seed ("treasury/m/84h/0h/0h").
func (c *Client) Key(ctx context.Context, name string) (out api.Key, err error) {
	return c.KeyOn(ctx, name, "")
}

// KeyOn is Key with the addresses of a network of Bitcoin.
func (c *Client) KeyOn(ctx context.Context, name, network string) (out api.Key, err error) {
	return out, c.read(ctx, keyPath(name, "")+query("network", network), &out)
}

// RotateKey gives a key new material under the next version.
func (c *Client) RotateKey(ctx context.Context, name string, in api.Ask) (out api.Key, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(name, "rotate"), in, &out)
}

// DisableKey suspends a key.
func (c *Client) DisableKey(ctx context.Context, name string, in api.Ask) (out api.Key, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(name, "disable"), in, &out)
}

// EnableKey ends a suspension.
func (c *Client) EnableKey(ctx context.Context, name string, in api.Ask) (out api.Key, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(name, "enable"), in, &out)
}

// DestroyKey begins the time after which a key is gone.
func (c *Client) DestroyKey(ctx context.Context, name string, in api.DestroyKey) (out api.Key, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(name, "destroy"), in, &out)
}

// CancelDestroy keeps a key that was to be destroyed. It comes back suspended.
func (c *Client) CancelDestroy(ctx context.Context, name string, in api.Ask) (out api.Key, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(name, "cancel-destroy"), in, &out)
}

func keyPath(name, verb string) string {
	path := "/v1/keys/" + url.PathEscape(name)
	if verb != "" {
		path += "/" + verb
	}
	return path
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// query writes pairs of name and value, without the empty ones.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
