package main

import (
	"context"
	"crypto/sha256"
	_ "embed" // for policy.yaml
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"keyward/api"
	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/kms"
)

//go:embed policy.yaml
var policyText []byte

// paymentPSBT spends 3 BTC that never existed at the first address of m/84h/0h/0h
// below the words that everybody knows: 0.1 to a stranger, the rest comes back.
//
//go:embed payment.psbt
var paymentPSBT []byte

const (
	knownWords = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	account    = savings + "/m/84h/0h/0h"
	// derived keys begin at this number, so that all have as many digits.
	firstDerived = 10_000_000
	derivedKeys  = 20_000
)

// The keys of the bench.
const (
	documents = "documents" // P-256, raw
	payments  = "payments"  // secp256k1, ethereum
	files     = "files"     // AES-256
	savings   = "savings"   // a seed
	service   = "bench"
)

// keys is what both installations are furnished with.
func keys() []api.CreateKey {
	return []api.CreateKey{
		{Name: documents, Spec: string(key.P256)},
		{Name: payments, Spec: string(key.Secp256k1), Domain: string(key.Ethereum)},
		{Name: files, Spec: string(key.AES256)},
	}
}

// job is an operation that is measured, in each of its forms.
type job struct {
	name      string
	primitive primitive
	path      string // of the native API
	body      []byte
	bare      string              // path of the bare server
	header    string              // more lines of the request
	most      float64             // times the bare server's processor time; 0: judged by what is added
	pick      func(uint64) uint64 // the number that a request carries; nil for its own
	direct    func(ctx context.Context, k *kms.KMS, a identity.Actor, n uint64) error
}

// transferText is an EIP-1559 transfer of 0.001 ETH to a supplier.
const transferText = `{"type":"0x2","chainId":"0x1","nonce":"0x7","to":"0x00000000000000000000000000000000005e0001","value":"0x38d7ea4c68000",` +
	`"gas":"0x5208","maxFeePerGas":"0x6fc23ac00","maxPriorityFeePerGas":"0x3b9aca00"}`

// jobs needs an envelope of 32 bytes that each installation made: over is the
// server's, inside the other's.
func jobs(over, inside []byte, p primitives) ([]job, error) {
	digest := sha256.Sum256([]byte("what the documents say"))
	plaintext := make([]byte, 32)
	all := []job{
		{
			name: "sign P-256, digest", primitive: p.p256, path: "/v1/keys/" + documents + "/sign", bare: "/sign",
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, _ uint64) error {
				_, err := k.Sign(ctx, a, kms.SignRequest{Key: documents, Type: chain.Digest, Payload: digest[:]})
				return err
			},
		},
		{
			name: "sign Ethereum transfer, type 2", primitive: p.secp256k1, path: "/v1/keys/" + payments + "/sign", bare: "/sign",
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, _ uint64) error {
				_, err := k.Sign(ctx, a, kms.SignRequest{Key: payments, Payload: []byte(transferText)})
				return err
			},
		},
		{
			name: "encrypt 32 B", primitive: p.seal, path: "/v1/keys/" + files + "/encrypt", bare: "/encrypt",
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, _ uint64) error {
				_, err := k.Encrypt(ctx, a, kms.CryptRequest{Key: files, Input: plaintext})
				return err
			},
		},
		{
			name: "decrypt 32 B", primitive: p.open, path: "/v1/keys/" + files + "/decrypt", bare: "/decrypt",
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, _ uint64) error {
				made, err := k.Decrypt(ctx, a, kms.CryptRequest{Key: files, Input: inside})
				made.Plaintext.Destroy()
				return err
			},
		},
		{
			name: "create P-256 key", primitive: p.generate, path: "/v1/keys", bare: "/create",
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, n uint64) error {
				_, _, err := k.CreateKey(ctx, a, kms.NewKey{Name: fmt.Sprintf("k-%08d", n), Spec: key.P256})
				return err
			},
		},
	}
	for i, in := range []any{
		api.Sign{Payload: digest[:], Type: string(chain.Digest)}, api.Sign{Payload: []byte(transferText)},
		api.Encrypt{Plaintext: plaintext}, api.Decrypt{Ciphertext: over}, api.CreateKey{Name: "k-" + mark, Spec: string(key.P256)},
	} {
		var err error
		if all[i].body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	again := all[0]
	again.name += ", idempotency key"
	again.header = api.HeaderIdempotencyKey + ": b-" + mark + "\r\n"
	again.direct = func(ctx context.Context, k *kms.KMS, a identity.Actor, n uint64) error {
		r := kms.SignRequest{Key: documents, Type: chain.Digest, Payload: digest[:]}
		r.Idempotency = fmt.Sprintf("b-%08d", n)
		_, err := k.Sign(ctx, a, r)
		return err
	}
	more, err := bitcoinJobs(p)
	return append(append(all, again), more...), err
}

// bitcoinJobs sign below a seed: a payment by one account, and messages by ever
// other keys of it.
func bitcoinJobs(p primitives) ([]job, error) {
	derived := func(n uint64) uint64 { return firstDerived + n%derivedKeys }
	message := []byte("below an account")
	all := []job{
		{
			name: "sign Bitcoin PSBT, one P2WPKH input", primitive: p.secp256k1, path: "/v1/keys/" + url.PathEscape(account) + "/sign", bare: "/sign", most: mostPSBT,
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, _ uint64) error {
				_, err := k.Sign(ctx, a, kms.SignRequest{Key: account, Payload: paymentPSBT})
				return err
			},
		},
		{
			name: "sign BIP-322 message, 20,000 derived keys", primitive: p.secp256k1, bare: "/sign", most: mostPSBT, pick: derived,
			path: "/v1/keys/" + url.PathEscape(account+"/0/") + mark + "/sign",
			direct: func(ctx context.Context, k *kms.KMS, a identity.Actor, n uint64) error {
				_, err := k.Sign(ctx, a, kms.SignRequest{Key: fmt.Sprintf("%s/0/%d", account, derived(n)), Type: chain.TypeMsg, Payload: message})
				return err
			},
		},
	}
	for i, in := range []api.Sign{{Payload: paymentPSBT}, {Payload: message, Type: string(chain.TypeMsg)}} {
		var err error
		if all[i].body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// on writes the job as a request to a target.
func (j job) on(t target, path string) shot {
	t.header += j.header
	s := t.request(http.MethodPost, path, j.body)
	if j.pick != nil {
		s.pick = j.pick
	}
	return s
}
