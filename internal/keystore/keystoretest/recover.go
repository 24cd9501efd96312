package keystoretest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
)

// recovers signs many digests and recovers the public key from each signature.
func (s *suite) recovers(t *testing.T) {
	k := s.key(t, kind{key.Secp256k1, key.SignVerify, key.Ethereum})
	public, err := k.Versions[0].Public.Secp256k1()
	if err != nil {
		t.Fatal(err)
	}
	odd := 0
	for kind, n := range map[chain.Kind]int{chain.Transaction: 300, chain.Message: 150, chain.TypedData: 150} {
		parsed := Digests(t, kind, n)
		r := s.must(t, k, key.EthereumKeccak, parsed)
		only(t, r, false, true, false, false)
		again := s.must(t, k, key.EthereumKeccak, parsed)
		if len(r.Recoverable()) != n {
			t.Fatalf("%s: got %d signatures, want %d", kind, len(r.Recoverable()), n)
		}
		for i, sig := range r.Recoverable() {
			digest := parsed.Tasks()[i].Digest
			if sig != again.Recoverable()[i] {
				t.Fatalf("%s: two signatures of one digest differ", kind)
			}
			if err := keystore.VerifyRecoverable(k.Versions[0].Public, digest, sig); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			compact := append(append([]byte{27 + sig.V}, sig.R[:]...), sig.S[:]...)
			recovered, _, err := ecdsa.RecoverCompact(compact, digest)
			if err != nil || !bytes.Equal(recovered.SerializeUncompressed(), public[:]) {
				t.Fatalf("%s: recovered another key, %v", kind, err)
			}
			var low secp256k1.ModNScalar
			if overflow := low.SetByteSlice(sig.S[:]); overflow || low.IsOverHalfOrder() || sig.V > 1 {
				t.Fatalf("%s: s is not in the lower half, or the recovery id is %d", kind, sig.V)
			}
			odd += int(sig.V)
		}
	}
	if odd < 200 || odd > 400 { // of 600; the chance is below 10⁻¹⁵
		t.Errorf("got recovery id 1 %d times out of 600", odd)
	}
}

// concurrent uses all keys from many callers at once.
func (s *suite) concurrent(t *testing.T) {
	type job struct {
		k   key.Key
		alg key.Algorithm
	}
	var jobs []job
	for own, k := range s.keys {
		if own.usage == key.SignVerify && own.domain == key.Raw && own.spec != key.RSA4096 {
			jobs = append(jobs, job{k, own.spec.Algorithms(own.usage)[0]})
		}
	}
	var wait sync.WaitGroup
	for caller := range 32 {
		wait.Go(func() {
			for i := range 4 {
				j := jobs[(caller+i)%len(jobs)]
				message := []byte{byte(caller), byte(i)}
				r, err := s.use(t, j.k, j.alg, plain(t, key.Sign, chain.TypeMsg, j.alg, message))
				if err != nil {
					t.Error(err)
					continue
				}
				input := message
				if h := j.alg.Hash(); h != 0 {
					digest := h.New()
					digest.Write(message)
					input = digest.Sum(nil)
				}
				if err := keystore.Verify(j.k.Versions[0].Public, j.alg, input, r.Signature()); err != nil {
					t.Errorf("%s: %v", j.k.Spec, err)
				}
			}
		})
	}
	wait.Wait()
}
