package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"keyward/api"
)

// bareArgument makes the bench serve instead: a bare net/http server over TLS
// that reads the same JSON into the same types and answers with the same JSON,
// all by the standard library, and does nothing in between. It is what an answer
// costs at least.
const bareArgument = "serve-bare"

// bareSample begins the path under which the server is given the answer that it
// repeats.
const bareSample = "/sample"

func serveBare() error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	repeat[api.Sign, api.Signed](mux, "/sign")
	repeat[api.Encrypt, api.Encrypted](mux, "/encrypt")
	repeat[api.Decrypt, api.Decrypted](mux, "/decrypt")
	repeat[api.CreateKey, api.Key](mux, "/create")
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
	}}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { s.Close() })
	fmt.Printf("listening %s %s\n", l.Addr(), base64.StdEncoding.EncodeToString(certificate.Certificate[0]))
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// repeat decodes an In and encodes the Out that it was given before.
func repeat[In, Out any](mux *http.ServeMux, path string) {
	var answer atomic.Pointer[Out]
	mux.HandleFunc("PUT "+bareSample+path, func(w http.ResponseWriter, r *http.Request) {
		var out Out
		if err := json.NewDecoder(r.Body).Decode(&out); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer.Store(&out)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // of the connection
		}
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := json.Marshal(answer.Load())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(out)))
		_, _ = w.Write(out)
	})
}

func selfSigned() (tls.Certificate, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, err
}

// startBare runs the bare server beside the bench.
func startBare(ctx context.Context) (*child, target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, target{}, err
	}
	c, err := start(ctx, "listening ", self, bareArgument)
	if err != nil {
		return nil, target{}, err
	}
	address, encoded, _ := strings.Cut(c.address, " ")
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(der); err == nil {
			roots := x509.NewCertPool()
			roots.AddCert(certificate)
			return c, target{address: address, pid: c.cmd.Process.Pid, tls: pinned(roots)}, nil
		}
	}
	c.stop()
	return nil, target{}, err
}

func pinned(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
}
