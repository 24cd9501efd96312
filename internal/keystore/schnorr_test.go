package keystore_test

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
)

// below is a task for a key that is named by its x alone.
func below(x []byte, scheme key.Scheme, digest, root []byte) chain.Task {
	return chain.Task{Digest: digest, Path: key.Path{0}, Point: append([]byte{2}, x...), Scheme: scheme, Root: root}
}

func TestVectorsOfBIP340(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(shared(t, "bips", "bip-0340", "test-vectors.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	valid := 0
	for _, line := range lines[1:] {
		sig := unhex(t, line[5])
		err := keystore.VerifyTask(nil, below(unhex(t, line[2]), key.Schnorr, unhex(t, line[4]), nil), key.Recoverable{R: [32]byte(sig[:32]), S: [32]byte(sig[32:])})
		if want := line[6] == "TRUE"; (err == nil) != want {
			t.Errorf("%s (%s): got %v, want %s", line[0], line[7], err, line[6])
		} else if want {
			valid++
		}
	}
	if len(lines) != 20 || valid != 9 {
		t.Errorf("got %d vectors, %d of them valid, want 19 and 9", len(lines)-1, valid)
	}
}

func TestVectorsOfBIP341(t *testing.T) {
	var v struct {
		KeyPathSpending []struct {
			InputSpending []struct {
				Given        struct{ MerkleRoot *string }
				Intermediary struct{ InternalPubkey, Tweak, SigHash string }
				Expected     struct{ Witness []string }
			}
		}
	}
	if err := json.Unmarshal(shared(t, "bips", "bip-0341", "wallet-test-vectors.json"), &v); err != nil {
		t.Fatal(err)
	}
	for i, in := range v.KeyPathSpending[0].InputSpending {
		var root []byte
		if in.Given.MerkleRoot != nil {
			root = unhex(t, *in.Given.MerkleRoot)
		}
		x := unhex(t, in.Intermediary.InternalPubkey)
		tweak, ok := keystore.TapTweak([32]byte(x), root)
		if b := tweak.Bytes(); !ok || hex.EncodeToString(b[:]) != in.Intermediary.Tweak {
			t.Errorf("%d: got tweak %x, want %s", i, b, in.Intermediary.Tweak)
		}
		witness := unhex(t, in.Expected.Witness[0])
		sig := key.Recoverable{R: [32]byte(witness[:32]), S: [32]byte(witness[32:64])}
		digest := unhex(t, in.Intermediary.SigHash)
		if err := keystore.VerifyTask(nil, below(x, key.Taproot, digest, root), sig); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		for name, other := range map[string]chain.Task{
			"untweaked": below(x, key.Schnorr, digest, nil), "another root": below(x, key.Taproot, digest, bytes.Repeat([]byte{1}, 32)),
			"another digest": below(x, key.Taproot, make([]byte, 32), root),
		} {
			if err := keystore.VerifyTask(nil, other, sig); !errors.Is(err, keystore.ErrSignature) {
				t.Errorf("%d, %s: got %v, want %v", i, name, err, keystore.ErrSignature)
			}
		}
		sig.V = 1
		if err := keystore.VerifyTask(nil, below(x, key.Taproot, digest, root), sig); !errors.Is(err, keystore.ErrSignature) {
			t.Errorf("%d, with a recovery id: got %v", i, err)
		}
	}
	if n := len(v.KeyPathSpending[0].InputSpending); n != 7 {
		t.Errorf("got %d inputs, want 7", n)
	}
}

// A payload that names a key of its own choice verifies nothing by ours.
func TestATaskIsVerifiedByTheKeyThatWasAsked(t *testing.T) {
	vectors, err := csv.NewReader(bytes.NewReader(shared(t, "bips", "bip-0340", "test-vectors.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	v := vectors[2]
	sig := key.Recoverable{R: [32]byte(unhex(t, v[5])[:32]), S: [32]byte(unhex(t, v[5])[32:])}
	signer, other := secp256k1.PrivKeyFromBytes(unhex(t, v[1])).PubKey(), secp256k1.PrivKeyFromBytes([]byte{1}).PubKey()
	pub, err := key.MarshalSecp256k1([65]byte(other.SerializeUncompressed()))
	if err != nil {
		t.Fatal(err)
	}
	own, err := key.MarshalSecp256k1([65]byte(signer.SerializeUncompressed()))
	if err != nil {
		t.Fatal(err)
	}
	task := chain.Task{Digest: unhex(t, v[4]), Scheme: key.Schnorr, Point: signer.SerializeCompressed()}
	if err := keystore.VerifyTask(own, task, sig); err != nil {
		t.Errorf("its own key: %v", err)
	}
	if err := keystore.VerifyTask(pub, task, sig); !errors.Is(err, keystore.ErrSignature) {
		t.Errorf("another key: got %v, want %v", err, keystore.ErrSignature)
	}
	elsewhere := task
	elsewhere.Point = other.SerializeCompressed()
	if err := keystore.VerifyTask(own, elsewhere, sig); !errors.Is(err, keystore.ErrSignature) {
		t.Errorf("its own key, where another was asked: got %v, want %v", err, keystore.ErrSignature)
	}
	task.Scheme = key.Taproot + 1
	if err := keystore.VerifyTask(own, task, sig); err == nil {
		t.Error("a scheme that is none verifies")
	}
	task.Scheme, task.Digest = key.ECDSA, slices.Repeat([]byte{1}, 31)
	if err := keystore.VerifyTask(own, task, sig); err == nil {
		t.Error("a short digest verifies")
	}
	for name, task := range map[string]chain.Task{"no point": {Path: key.Path{0}}, "off the curve": below(append(make([]byte, 31), 7), key.Schnorr, task.Digest, nil)} {
		if err := keystore.VerifyTask(own, task, sig); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	for name, pub := range map[string]key.Public{"nothing": nil, "junk": {1}} {
		if err := keystore.VerifyTask(pub, chain.Task{Digest: task.Digest}, sig); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
