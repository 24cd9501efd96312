package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"keyward/internal/secret"
)

const (
	authorityYears = 10
	leafLife       = 30 * 24 * time.Hour
	leafRenew      = 10 * 24 * time.Hour // before the end
	backdate       = time.Hour           // clocks differ
)

// Authority is keyward's own certificate authority. It only carries TLS: what a
// certificate may do is looked up elsewhere on every request.
type Authority struct {
	key  secret.Bytes // PKCS #8, P-256
	cert []byte       // DER
}

// Leaf is a short-lived server certificate with its key, both PEM.
type Leaf struct{ Certificate, Key []byte }

// NewAuthority makes an authority for an installation, named by the hex id.
func NewAuthority(installation string, now time.Time) (Authority, error) {
	var der []byte
	var sealed secret.Bytes
	var err error
	secret.Do(func() { der, sealed, err = newAuthority(installation, now) })
	return Authority{sealed, der}, err
}

func newAuthority(installation string, now time.Time) ([]byte, secret.Bytes, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "keyward " + installation[:min(16, len(installation))]},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(authorityYears, 0, 0), IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	return der, secret.Take(pkcs8), nil
}

// TakeAuthority owns a key (PKCS #8) that was kept sealed, and its certificate (DER).
func TakeAuthority(pkcs8 secret.Bytes, cert []byte) (Authority, error) {
	if _, err := x509.ParseCertificate(cert); err != nil {
		return Authority{}, fmt.Errorf("authority: %w", err)
	}
	return Authority{pkcs8, cert}, nil
}

// Key lends the private key, PKCS #8, to be sealed.
func (a Authority) Key() []byte { return a.key.View() }

// Certificate is the authority's own certificate, DER.
func (a Authority) Certificate() []byte { return a.cert }

// PEM is the authority's own certificate as clients pin it.
func (a Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert})
}

// Destroy wipes the key.
func (a Authority) Destroy() { a.key.Destroy() }

// Issue makes a leaf for the given host names and addresses, for 30 days.
func (a Authority) Issue(hosts []string, now time.Time) (leaf Leaf, err error) {
	secret.Do(func() { leaf, err = a.issue(hosts, now) })
	return leaf, err
}

func (a Authority) issue(hosts []string, now time.Time) (Leaf, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(a.key.View())
	if err != nil {
		return Leaf{}, errors.New("authority: its key does not parse") // never the cause: it may quote the key
	}
	parent, err := x509.ParseCertificate(a.cert)
	if err != nil {
		return Leaf{}, fmt.Errorf("authority: %w", err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Leaf{}, err
	}
	serial, err := newSerial()
	if err != nil {
		return Leaf{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "keyward server"}, NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if h != "" {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, k.Public(), parsed)
	if err != nil {
		return Leaf{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return Leaf{}, err
	}
	defer secret.Wipe(pkcs8)
	return Leaf{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, nil
}

// Serves tells whether a leaf is this authority's, covers the hosts, and is far
// enough from its end to be kept.
func (a Authority) Serves(leaf Leaf, hosts []string, now time.Time) bool {
	block, _ := pem.Decode(leaf.Certificate)
	if block == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.After(cert.NotAfter.Add(-leafRenew)) || now.Before(cert.NotBefore) {
		return false
	}
	parent, err := x509.ParseCertificate(a.cert)
	if err != nil || cert.CheckSignatureFrom(parent) != nil {
		return false
	}
	for _, h := range hosts {
		if h != "" && cert.VerifyHostname(h) != nil {
			return false
		}
	}
	return true
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
