package main

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"keyward/internal/identity"
)

// certificates keeps the server's short-lived certificate in tls/, and has it
// renewed while the authority is unsealed.
type certificates struct {
	house *house

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
}

const (
	leafName   = "tls/leaf.pem"
	leafKey    = "tls/leaf.key"
	caName     = "tls/ca.pem"
	checkEvery = time.Hour
)

func newCertificates(h *house) *certificates { return &certificates{house: h} }

func (c *certificates) hosts() []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, c.house.config.Hosts...)
	if host, _, err := net.SplitHostPort(c.house.config.Listen); err == nil && host != "" && host != "0.0.0.0" && host != "::" {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// certificate answers a TLS handshake.
func (c *certificates) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.checked) < checkEvery {
		return c.current, nil
	}
	if err := c.renew(); err != nil {
		if c.current != nil {
			return c.current, nil // it still serves; the next check tries again
		}
		return nil, err
	}
	return c.current, nil
}

func (c *certificates) renew() error {
	old, err := c.read()
	if err != nil {
		return err
	}
	leaf, renewed, err := c.house.kms.Leaf(old, c.hosts())
	if err != nil {
		return err
	}
	if renewed {
		if err := c.write(leaf); err != nil {
			return err
		}
	}
	pair, err := tls.X509KeyPair(leaf.Certificate, leaf.Key)
	if err != nil {
		return err
	}
	c.current, c.checked = &pair, time.Now()
	return nil
}

func (c *certificates) read() (identity.Leaf, error) {
	var leaf identity.Leaf
	var err error
	for name, into := range map[string]*[]byte{leafName: &leaf.Certificate, leafKey: &leaf.Key} {
		*into, err = os.ReadFile(filepath.Join(c.house.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return identity.Leaf{}, nil
		}
		if err != nil {
			return identity.Leaf{}, err
		}
	}
	return leaf, nil
}

func (c *certificates) write(leaf identity.Leaf) error {
	for name, b := range map[string][]byte{leafName: leaf.Certificate, leafKey: leaf.Key} {
		if err := writeFile(filepath.Join(c.house.dir, name), b); err != nil {
			return err
		}
	}
	return nil
}
