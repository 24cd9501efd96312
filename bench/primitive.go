package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/sys/unix"

	"keyward/internal/seal"
)

// primitive is what one operation costs when nothing is around it.
type primitive struct {
	name string
	cpu  time.Duration
}

// primitives are the costs that keyward cannot avoid, each with the check that
// keyward makes of it: a deterministic signature is computed twice, a new key
// signs and verifies.
type primitives struct {
	p256, secp256k1, seal, open, generate primitive
	others                                []primitive // for orientation
}

// cost is the processor time of f on one thread, where what other threads and
// programs do is not counted.
func cost(name string, f func() error) (primitive, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() (time.Duration, error) {
		var r unix.Rusage
		err := unix.Getrusage(unix.RUSAGE_THREAD, &r)
		return time.Duration(r.Utime.Nano() + r.Stime.Nano()), err
	}
	for range 200 {
		if err := f(); err != nil {
			return primitive{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	before, err := used()
	if err != nil {
		return primitive{}, err
	}
	n := 0
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
		for range 50 {
			if err := f(); err != nil {
				return primitive{}, fmt.Errorf("%s: %w", name, err)
			}
		}
		n += 50
	}
	after, err := used()
	return primitive{name, (after - before) / time.Duration(n)}, err
}

func measurePrimitives() (p primitives, err error) {
	digest := sha256.Sum256([]byte("digest"))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	koblitz, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return p, err
	}
	xaes, sealed, err := sealing()
	if err != nil {
		return p, err
	}
	gcm, err := blockSealing()
	if err != nil {
		return p, err
	}
	plaintext, out := make([]byte, 32), make([]byte, 0, 128)
	sign := func() error { // without randomness: RFC 6979
		_, err := private.Sign(nil, digest[:], crypto.SHA256)
		return err
	}
	for _, c := range []struct {
		name string
		into *primitive
		run  func() error
	}{
		{"P-256: sign, twice (RFC 6979)", &p.p256, func() error {
			if err := sign(); err != nil {
				return err
			}
			return sign()
		}},
		{"secp256k1: sign, twice (RFC 6979)", &p.secp256k1, func() error {
			secpecdsa.SignCompact(koblitz, digest[:], false)
			secpecdsa.SignCompact(koblitz, digest[:], false)
			return nil
		}},
		{"XAES-256-GCM: seal 32 B", &p.seal, func() error {
			_, err := xaes.Seal(out, rand.Reader, plaintext, nil)
			return err
		}},
		{"XAES-256-GCM: open 32 B", &p.open, func() error {
			_, err := xaes.Open(out, sealed, nil)
			return err
		}},
		{"P-256: generate, sign twice, verify", &p.generate, func() error { return born(digest[:]) }},
		{"P-256: sign once (RFC 6979)", nil, sign},
		{"P-256: generate", nil, func() error {
			_, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			return err
		}},
		{"AES-256-GCM: seal 32 B", nil, func() error {
			gcm.Seal(out, nil, plaintext, nil)
			return nil
		}},
	} {
		made, err := cost(c.name, c.run)
		if err != nil {
			return p, err
		}
		if c.into == nil {
			p.others = append(p.others, made)
			continue
		}
		*c.into = made
	}
	return p, nil
}

// born makes a key and tests it as keyward does.
func born(digest []byte) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	var sig []byte
	for range 2 {
		if sig, err = k.Sign(nil, digest, crypto.SHA256); err != nil {
			return err
		}
	}
	if !ecdsa.VerifyASN1(&k.PublicKey, digest, sig) {
		return fmt.Errorf("a signature does not hold")
	}
	return nil
}

func sealing() (*seal.XKey, []byte, error) {
	k := make([]byte, 32)
	if _, err := rand.Read(k); err != nil {
		return nil, nil, err
	}
	x, err := seal.NewX(k)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := x.Seal(nil, rand.Reader, make([]byte, 32), nil)
	return x, sealed, err
}

func blockSealing() (cipher.AEAD, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
