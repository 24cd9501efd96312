package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"keyward/api"
)

// Sign asks for a signature. A request that must wait is an *Error of kind
// waiting with the operation's id: see Collect.
func (c *Client) Sign(ctx context.Context, key string, in api.Sign) (out api.Signed, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(key, "sign"), in, &out)
}

// SignBatch asks for up to 256 signatures; each has its own result.
func (c *Client) SignBatch(ctx context.Context, key string, in api.SignBatch) (out api.SignedBatch, err error) {
	return out, c.operate(ctx, http.MethodPost, keyPath(key, "sign-batch"), in, &out)
}

// Collect returns the signature of a request of one's own that waited, once it
// may go; until then an *Error of kind waiting.
func (c *Client) Collect(ctx context.Context, operation string) (out api.Signed, err error) {
	// No key: collecting again is the same operation by its id.
	return out, c.repeat(ctx, http.MethodPost, requestPath(operation)+"/collect", api.Ask{}, &out)
}

// Withdraw ends a waiting request of one's own.
func (c *Client) Withdraw(ctx context.Context, operation string) (out api.Done, err error) {
	return out, c.repeat(ctx, http.MethodPost, requestPath(operation)+"/withdraw", api.Ask{}, &out)
}

// Await collects a waiting request, asking again until it may go, is refused, or
// the time is over (then the *Error of kind waiting).
func (c *Client) Await(ctx context.Context, operation string, atMost time.Duration) (api.Signed, error) {
	end := time.Now().Add(atMost)
	pause := 250 * time.Millisecond
	for {
		out, err := c.Collect(ctx, operation)
		var e *Error
		if !errors.As(err, &e) || e.Kind != api.Waiting || time.Now().Add(pause).After(end) {
			return out, err
		}
		if err := sleep(ctx, pause); err != nil {
			return out, err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// Verify asks whether a signature holds.
func (c *Client) Verify(ctx context.Context, key string, in api.Verify) (out api.Verified, err error) {
	return out, c.repeat(ctx, http.MethodPost, keyPath(key, "verify"), in, &out)
}

// Encrypt encrypts.
func (c *Client) Encrypt(ctx context.Context, key string, in api.Encrypt) (out api.Encrypted, err error) {
	return out, c.repeat(ctx, http.MethodPost, keyPath(key, "encrypt"), in, &out)
}

// Decrypt decrypts an envelope. The caller wipes the plaintext.
func (c *Client) Decrypt(ctx context.Context, key string, in api.Decrypt) (out api.Decrypted, err error) {
	return out, c.repeat(ctx, http.MethodPost, keyPath(key, "decrypt"), in, &out)
}

// DataKey makes a data key. The caller wipes the plaintext.
func (c *Client) DataKey(ctx context.Context, key string, in api.MakeDataKey) (out api.DataKey, err error) {
	return out, c.repeat(ctx, http.MethodPost, keyPath(key, "datakey"), in, &out)
}

// MAC authenticates a message.
func (c *Client) MAC(ctx context.Context, key string, in api.MakeMAC) (out api.MAC, err error) {
	return out, c.repeat(ctx, http.MethodPost, keyPath(key, "mac"), in, &out)
}

// VerifyMAC asks whether a MAC holds.
func (c *Client) VerifyMAC(ctx context.Context, key string, in api.VerifyMAC) (out api.Verified, err error) {
	return out, c.repeat(ctx, http.MethodPost, keyPath(key, "verify-mac"), in, &out)
}

// Decode asks what a payload means.
func (c *Client) Decode(ctx context.Context, in api.Decode) (out api.Decoded, err error) {
	return out, c.repeat(ctx, http.MethodPost, "/v1/decode", in, &out)
}

// Requests lists operations, newest first: of a state ("" for all), from before
// an id on ("" for the newest), at most limit (0: the server's choice).
func (c *Client) Requests(ctx context.Context, state, before string, limit int) (out api.Requests, err error) {
	return out, c.read(ctx, "/v1/requests"+query("state", state, "before", before, "limit", number(limit)), &out)
}

// Request shows one operation, and what it means while that is kept.
func (c *Client) Request(ctx context.Context, id string) (out api.Request, err error) {
	return out, c.read(ctx, requestPath(id), &out)
}

func requestPath(id string) string { return "/v1/requests/" + url.PathEscape(id) }
