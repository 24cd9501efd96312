package software_test

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/software"
)

// shared reads a file of vectors beside the repository.
func shared(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("KEYWARD_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "vectors")
	}
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared vectors beside the repository; set KEYWARD_VECTORS")
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unhexAll(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSchnorrFollowsBIP340(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(shared(t, "bips/bip-0340/test-vectors.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, line := range lines[1:] {
		digest := unhexAll(t, line[4])
		if line[1] == "" || len(digest) != 32 { // keyward signs digests alone
			continue
		}
		ran++
		for _, aux := range [][]byte{unhexAll(t, line[3]), nil} {
			if aux == nil && line[0] != "0" {
				continue // only the first vector has the zeros that keyward uses
			}
			sig, ok := software.CurveSecp256k1.Schnorr(unhex32(t, line[1]), [32]byte(digest), aux, key.Schnorr, nil)
			r, s, v := sig.Parts()
			if want := unhexAll(t, line[5]); !ok || !bytes.Equal(append(r[:], s[:]...), want) || v != 0 {
				t.Errorf("%s: got %x%x, want %x", line[0], r, s, want)
			}
		}
	}
	if ran != 4 {
		t.Errorf("ran %d vectors, want 4", ran)
	}
}

func TestTaprootFollowsBIP341(t *testing.T) {
	var v struct {
		KeyPathSpending []struct {
			InputSpending []struct {
				Given struct {
					InternalPrivkey string
					MerkleRoot      *string
				}
				Intermediary struct{ SigHash string }
				Expected     struct{ Witness []string }
			}
		}
	}
	if err := json.Unmarshal(shared(t, "bips/bip-0341/wallet-test-vectors.json"), &v); err != nil {
		t.Fatal(err)
	}
	for i, in := range v.KeyPathSpending[0].InputSpending {
		var root []byte
		if in.Given.MerkleRoot != nil {
			root = unhexAll(t, *in.Given.MerkleRoot)
		}
		sig, ok := software.CurveSecp256k1.Schnorr(unhex32(t, in.Given.InternalPrivkey), unhex32(t, in.Intermediary.SigHash), nil, key.Taproot, root)
		r, s, _ := sig.Parts()
		if want := unhexAll(t, in.Expected.Witness[0])[:64]; !ok || !bytes.Equal(append(r[:], s[:]...), want) {
			t.Errorf("%d: got %x%x, want %x", i, r, s, want)
		}
	}
	if n := len(v.KeyPathSpending[0].InputSpending); n != 7 {
		t.Errorf("got %d inputs, want 7", n)
	}
}

// Any scalar and digest give what the keystore's own verification takes.
func TestSchnorrVerifies(t *testing.T) {
	for i := range 200 {
		d, digest := scalarOf(software.CurveSecp256k1, random32(t, i)), random32(t, i+1)
		task := chain.Task{Digest: digest[:], Path: key.Path{0}, Point: secp256k1.PrivKeyFromBytes(d[:]).PubKey().SerializeCompressed()}
		for _, c := range []struct {
			scheme key.Scheme
			root   []byte
		}{{key.Schnorr, nil}, {key.Taproot, nil}, {key.Taproot, bytes.Repeat([]byte{byte(i)}, 32)}} {
			task.Scheme, task.Root = c.scheme, c.root
			sig, ok := software.CurveSecp256k1.Schnorr(d, digest, nil, c.scheme, c.root)
			r, s, v := sig.Parts()
			if err := keystore.VerifyTask(nil, task, key.Recoverable{R: r, S: s, V: v}); err != nil || !ok {
				t.Fatalf("scheme %d, d %x, digest %x: %v", c.scheme, d, digest, err)
			}
		}
	}
}

func TestSchnorrPutsNothingOnTheHeap(t *testing.T) {
	d, digest := scalarOf(software.CurveSecp256k1, random32(t, 0)), random32(t, 0)
	if n := testing.AllocsPerRun(100, func() { software.CurveSecp256k1.Schnorr(d, digest, nil, key.Schnorr, nil) }); n != 0 {
		t.Errorf("got %v allocations, want none: they would hold the scalar and the nonce", n)
	}
}

func BenchmarkSchnorr256(b *testing.B) {
	d, digest := scalarOf(software.CurveSecp256k1, random32(b, 0)), random32(b, 0)
	for name, scheme := range map[string]key.Scheme{"schnorr": key.Schnorr, "taproot": key.Taproot} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				software.CurveSecp256k1.Schnorr(d, digest, nil, scheme, nil)
			}
		})
	}
}
