package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// baoConfig is a node with raft on disk and a file audit device, which is what
// keyward does too, except that OpenBao does not sync its audit file.
const baoConfig = `ui = false
api_addr = "http://%[1]s"
cluster_addr = "http://%[2]s"
storage "raft" {
  path    = %[3]q
  node_id = "bench"
}
listener "tcp" {
  address         = %[1]q
  cluster_address = %[2]q
  tls_disable     = true
}
audit "file" "bench" {
  description = "bench"
  options {
    file_path = %[4]q
  }
}
`

// openBao puts the same load on OpenBao's transit engine, over plain HTTP.
func (s settings) openBao(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	cluster, err := freeAddress()
	if err != nil {
		return err
	}
	raft := filepath.Join(s.dir, "raft")
	if err := os.Mkdir(raft, 0o700); err != nil {
		return err
	}
	config := filepath.Join(s.dir, "bao.hcl")
	text := fmt.Sprintf(baoConfig, address, cluster, raft, filepath.Join(s.dir, "audit.log"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	c, err := start(ctx, "", s.bao, "server", "-config="+config)
	if err != nil {
		return err
	}
	defer c.stop()
	b := bao{target{address: address, pid: c.cmd.Process.Pid}}
	ciphertext, err := b.furnish(ctx)
	if err != nil {
		return fmt.Errorf("OpenBao: %w\n%s", err, c.words())
	}
	fmt.Printf("\nOpenBao's transit engine: raft, file audit device (not synced), plain HTTP\n%s\n", plainColumns)
	var next atomic.Uint64
	for _, j := range []struct{ name, path, body string }{
		{"sign P-256", "/v1/transit/sign/documents", `{"input":"d2hhdCB0aGUgZG9jdW1lbnRzIHNheQ==","hash_algorithm":"sha2-256"}`},
		{"encrypt 32 B", "/v1/transit/encrypt/files", `{"plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`},
		{"decrypt 32 B", "/v1/transit/decrypt/files", `{"ciphertext":"` + ciphertext + `"}`},
		{"create P-256 key", "/v1/transit/keys/k-" + mark, `{"type":"ecdsa-p256"}`},
	} {
		for _, n := range callers {
			shot := b.request(http.MethodPost, j.path, []byte(j.body))
			p, err := b.fire(ctx, shot, load{callers: n, warm: s.warm, time: s.point, next: &next})
			if err != nil {
				return fmt.Errorf("OpenBao, %s, %d callers: %w", j.name, n, err)
			}
			report(j.name, p)
		}
	}
	fmt.Printf("OpenBao after the run: %s\n", footprint(c.cmd.Process.Pid))
	return nil
}

// bao is OpenBao's HTTP API, as far as the bench needs it.
type bao struct{ target }

// ask sends body and reads the answer into out, which may be nil.
func (b bao) ask(ctx context.Context, path string, body, out any) error {
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	answer, err := b.once(ctx, b.request(method, path, text), 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// until asks until there is an answer, for half a minute.
func (b bao) until(ctx context.Context, path string) (err error) {
	for range 300 {
		if err = b.ask(ctx, path, nil, nil); err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

type fields map[string]any

// furnish initializes and unseals the node, and gives it an engine with keys and
// a token that may use it. It returns a ciphertext of 32 bytes.
func (b *bao) furnish(ctx context.Context) (ciphertext string, err error) {
	if err := b.until(ctx, "/v1/sys/init"); err != nil {
		return "", err
	}
	var made struct {
		Keys      []string `json:"keys"`
		RootToken string   `json:"root_token"`
	}
	if err := b.ask(ctx, "/v1/sys/init", fields{"secret_shares": 1, "secret_threshold": 1}, &made); err != nil {
		return "", err
	}
	if len(made.Keys) != 1 {
		return "", fmt.Errorf("%d unseal keys, want 1", len(made.Keys))
	}
	if err := b.ask(ctx, "/v1/sys/unseal", fields{"key": made.Keys[0]}, nil); err != nil {
		return "", err
	}
	if err := b.until(ctx, "/v1/sys/health"); err != nil { // it leads
		return "", err
	}
	b.header = "X-Vault-Token: " + made.RootToken + "\r\n"
	var token struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		} `json:"auth"`
	}
	var sealed struct {
		Data struct{ Ciphertext string } `json:"data"`
	}
	for _, step := range []struct {
		path string
		body fields
		out  any
	}{
		{"/v1/sys/mounts/transit", fields{"type": "transit"}, nil},
		{"/v1/transit/keys/documents", fields{"type": "ecdsa-p256"}, nil},
		{"/v1/transit/keys/files", fields{"type": "aes256-gcm96"}, nil},
		{"/v1/sys/policies/acl/bench", fields{"policy": `path "transit/*" { capabilities = ["create", "read", "update"] }`}, nil},
		{"/v1/auth/token/create", fields{"policies": []string{"bench"}, "no_parent": true, "ttl": "1h"}, &token},
		{"/v1/transit/encrypt/files", fields{"plaintext": make([]byte, 32)}, &sealed},
	} {
		if err := b.ask(ctx, step.path, step.body, step.out); err != nil {
			return "", err
		}
	}
	b.header = "X-Vault-Token: " + token.Auth.ClientToken + "\r\n"
	return sealed.Data.Ciphertext, nil
}

// freeAddress finds a port on loopback that nobody uses now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
