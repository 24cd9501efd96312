package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"keyward/api"
	"keyward/client"
)

// served is an installation that the real program serves, as a child process.
type served struct {
	*child
	target   target // acting as the service
	operator *client.Client
}

// serve makes an installation with the bench's policy and keys, and serves it on
// loopback.
func (s settings) serve(ctx context.Context) (_ *served, err error) {
	dir := filepath.Join(s.dir, "served")
	init := exec.CommandContext(ctx, s.keyward, "--dir", dir, "init", "--key-file", filepath.Join(s.dir, "served.key"), "--listen", "127.0.0.1:0")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("keyward init: %w\n%s", err, out)
	}
	h := &served{}
	if h.child, err = start(ctx, "listening ", s.keyward, "--dir", dir, "server"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.stop()
		}
	}()
	pem, err := os.ReadFile(filepath.Join(dir, client.CAName))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("keyward's CA: no certificate in it")
	}
	if h.operator, err = client.New(client.Options{Dir: dir}); err != nil {
		return nil, err
	}
	h.target = target{address: strings.TrimPrefix(h.address, "https://"), tls: pinned(roots), pid: h.cmd.Process.Pid}
	return h, h.furnish(ctx)
}

func (h *served) furnish(ctx context.Context) error {
	made, err := h.operator.CreateService(ctx, api.CreateService{Name: service, Networks: []string{"127.0.0.0/8"}})
	if err != nil {
		return err
	}
	h.target.header = "Authorization: Bearer " + string(made.Token) + "\r\n"
	if _, err := h.operator.ApplyPolicy(ctx, api.ApplyPolicy{Text: string(policyText)}); err != nil {
		return err
	}
	if _, err := h.operator.ImportSeed(ctx, api.ImportSeed{Name: savings, Words: []byte(knownWords)}); err != nil {
		return err
	}
	for _, k := range keys() {
		if _, err := h.operator.CreateKey(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// envelope is 32 bytes, encrypted, for decrypting.
func (h *served) envelope(ctx context.Context) ([]byte, error) {
	made, err := h.operator.Encrypt(ctx, files, api.Encrypt{Plaintext: make([]byte, 32)})
	return made.Ciphertext, err
}

// sample gives the bare server the answer that keyward gives to a job.
func (h *served) sample(ctx context.Context, j job, bare target, n uint64) error {
	answer, err := h.target.once(ctx, j.on(h.target, j.path), n)
	if err != nil {
		return fmt.Errorf("%s: %w", j.name, err)
	}
	_, err = bare.once(ctx, bare.request(http.MethodPut, bareSample+j.bare, answer), 0)
	return err
}
