package keystore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secp256k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/key"
	"keyward/internal/keystore"
)

type vectors struct {
	NumberOfTests int
	TestGroups    []struct {
		PublicKeyDer string
		Tests        []struct {
			TcID                 int
			Comment, Result      string
			Msg, Sig             string
			Flags                []string
			message, sig, digest []byte
		}
	}
}

// shared reads a file of vectors beside the repository.
func shared(t *testing.T, name ...string) []byte {
	t.Helper()
	dir := os.Getenv("KEYWARD_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	raw, err := os.ReadFile(filepath.Join(append([]string{dir}, name...)...))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared vectors beside the repository; set KEYWARD_VECTORS")
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func wycheproof(t *testing.T, name string) (v vectors) {
	t.Helper()
	if err := json.Unmarshal(shared(t, "wycheproof", name), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWycheproofSignatures(t *testing.T) {
	for _, file := range []struct {
		name string
		alg  key.Algorithm
	}{
		{"ecdsa_secp256r1_sha256_test.json", key.ECDSASHA256},
		{"ecdsa_secp256k1_sha256_test.json", key.ECDSASHA256},
		{"ecdsa_secp256k1_sha256_bitcoin_test.json", key.ECDSASHA256},
		{"ed25519_test.json", key.ED25519SHA512},
	} {
		t.Run(file.name, func(t *testing.T) {
			v := wycheproof(t, file.name)
			ran, high, valid := 0, 0, 0
			for _, g := range v.TestGroups {
				pub := key.Public(unhex(t, g.PublicKeyDer))
				for _, test := range g.Tests {
					input, sig := unhex(t, test.Msg), unhex(t, test.Sig)
					if file.alg.Hash() != 0 {
						digest := sha256.Sum256(input)
						input = digest[:]
					}
					err := keystore.Verify(pub, file.alg, input, sig)
					want := test.Result == "valid"
					if want && isHigh(pub, sig) { // valid ECDSA, but not what keyward makes or takes
						high++
						want = false
						if err == nil || !strings.Contains(err.Error(), "upper half") {
							t.Errorf("%d: got %v, want it to name the upper half", test.TcID, err)
						}
					}
					if (err == nil) != want || err != nil && !errors.Is(err, keystore.ErrSignature) {
						t.Errorf("%d, %s, %v: got %v, want %s", test.TcID, test.Comment, test.Flags, err, test.Result)
					}
					ran++
					if want {
						valid++
					}
				}
			}
			if ran != v.NumberOfTests || valid == 0 {
				t.Errorf("ran %d tests, %d of them valid, want %d", ran, valid, v.NumberOfTests)
			}
			t.Logf("%d tests, %d valid, %d refused for the upper half alone", ran, valid, high)
		})
	}
}

func isHigh(pub key.Public, sig []byte) bool {
	if _, err := pub.Secp256k1(); err != nil {
		return false
	}
	parsed, err := secp256k1ecdsa.ParseDERSignature(sig)
	if err != nil {
		return false
	}
	s := parsed.S()
	return s.IsOverHalfOrder()
}

// The vectors without recovery id: one of the two ids must do, where s is low.
func TestWycheproofRecoverable(t *testing.T) {
	v := wycheproof(t, "ecdsa_secp256k1_sha256_p1363_test.json")
	ran := 0
	for _, g := range v.TestGroups {
		pub := key.Public(unhex(t, g.PublicKeyDer))
		for _, test := range g.Tests {
			ran++
			raw := unhex(t, test.Sig)
			if len(raw) != 64 {
				if test.Result == "valid" {
					t.Errorf("%d: a valid signature of %d bytes", test.TcID, len(raw))
				}
				continue
			}
			digest := sha256.Sum256(unhex(t, test.Msg))
			var s secp256k1.ModNScalar
			overflow := s.SetByteSlice(raw[32:])
			want := test.Result == "valid" && !overflow && !s.IsOverHalfOrder()
			holds := 0
			for id := range byte(4) {
				sig := key.Recoverable{R: [32]byte(raw[:32]), S: [32]byte(raw[32:]), V: id}
				if keystore.VerifyRecoverable(pub, digest[:], sig) == nil {
					holds++
				}
			}
			// Where r is x minus the order, the ids 2 and 3 would be needed, which
			// no signature of keyward has.
			if holds > 1 || holds == 1 && !want || holds == 0 && want && !slices.ContainsFunc(test.Flags, unusual) {
				t.Errorf("%d, %s, %v: %d recovery ids do, the test is %s", test.TcID, test.Comment, test.Flags, holds, test.Result)
			}
		}
	}
	if ran != v.NumberOfTests {
		t.Errorf("ran %d tests, want %d", ran, v.NumberOfTests)
	}
}

func unusual(flag string) bool { return flag == "ArithmeticError" || flag == "SmallRandS" }

// signedBy makes a key and a signature over input (a message, for Ed25519).
func signedBy(t *testing.T, spec key.Spec, alg key.Algorithm, input []byte) (key.Public, key.Signature) {
	t.Helper()
	var public any
	var sig []byte
	var err error
	switch spec {
	case key.Ed25519:
		pub, private, _ := ed25519.GenerateKey(rand.Reader)
		public, sig = pub, ed25519.Sign(private, input)
	case key.RSA2048, key.RSA3072, key.RSA4096:
		private, e := rsa.GenerateKey(rand.Reader, map[key.Spec]int{key.RSA2048: 2048, key.RSA3072: 3072, key.RSA4096: 4096}[spec])
		if e != nil {
			t.Fatal(e)
		}
		public = &private.PublicKey
		if keystore.IsPSS(alg) {
			sig, err = rsa.SignPSS(rand.Reader, private, alg.Hash(), input, keystore.PSSOptions)
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, private, alg.Hash(), input)
		}
	case key.Secp256k1, key.HDSeed:
		private, e := secp256k1.GeneratePrivateKey()
		if e != nil {
			t.Fatal(e)
		}
		pub, e := key.MarshalSecp256k1([65]byte(private.PubKey().SerializeUncompressed()))
		if e != nil {
			t.Fatal(e)
		}
		return pub, secp256k1ecdsa.Sign(private, input).Serialize()
	default:
		c := map[key.Spec]elliptic.Curve{key.P256: elliptic.P256(), key.P384: elliptic.P384(), key.P521: elliptic.P521()}[spec]
		private, e := ecdsa.GenerateKey(c, rand.Reader)
		if e != nil {
			t.Fatal(e)
		}
		public = &private.PublicKey
		sig, err = ecdsa.SignASN1(rand.Reader, private, input)
	}
	if err != nil {
		t.Fatal(err)
	}
	pub, err := key.MarshalPublic(public)
	if err != nil {
		t.Fatal(err)
	}
	return pub, sig
}

func TestVerifyTakesTheRightKeyAlgorithmAndInput(t *testing.T) {
	for _, spec := range key.Specs() {
		for _, alg := range spec.Algorithms(key.SignVerify) {
			if spec != key.RSA2048 && alg.Hash() != crypto.SHA256 && strings.HasPrefix(string(spec), "RSA") || spec == key.RSA4096 && testing.Short() {
				continue // one of each size is enough
			}
			input := []byte("message")
			if h := alg.Hash(); h != 0 {
				digest := h.New()
				digest.Write(input)
				input = digest.Sum(nil)
			}
			pub, sig := signedBy(t, spec, alg, input)
			if err := keystore.Verify(pub, alg, input, sig); err != nil {
				t.Errorf("%s, %s: %v", spec, alg, err)
			}
			refuse := func(what string, pub key.Public, alg key.Algorithm, input []byte, sig key.Signature, mere bool) {
				t.Helper()
				err := keystore.Verify(pub, alg, input, sig)
				if err == nil || errors.Is(err, keystore.ErrSignature) != mere {
					t.Errorf("%s, %s, %s: got %v", spec, alg, what, err)
				}
			}
			altered := bytes.Clone(input)
			altered[0] ^= 1
			refuse("another input", pub, alg, altered, sig, true)
			wrong := slices.Clone(sig)
			wrong[len(wrong)-1] ^= 1
			refuse("altered", pub, alg, input, wrong, true)
			refuse("longer", pub, alg, input, append(slices.Clone(sig), 0), true)
			refuse("empty", pub, alg, input, nil, true)
			refuse("no key", nil, alg, input, sig, false)
			refuse("an encryption algorithm", pub, key.XAES256GCM, input, sig, false)
			refuse("no algorithm", pub, "", input, sig, false)
			refuse("recoverable", pub, key.EthereumKeccak, input, sig, false)
			if alg.Hash() != 0 {
				refuse("a digest too short", pub, alg, input[1:], sig, false)
			}
			if strings.HasPrefix(string(spec), "RSA") {
				other := map[bool]key.Algorithm{true: key.RSAPKCS1SHA256, false: key.RSAPSSSHA256}[keystore.IsPSS(alg)]
				if alg.Hash() == crypto.SHA256 {
					refuse("another padding", pub, other, input, sig, true)
				}
			}
		}
	}
}

func TestPublicKeysOfOtherKindsAreRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("short: this build makes no RSA key of 1024 bits: %v", err)
	}
	weak, err := key.MarshalPublic(&small.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	off, err := key.MarshalSecp256k1([65]byte{4, 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]key.Public{"RSA of 1024 bits": weak, "a point off its curve": off, "junk": {1, 2, 3}} {
		err := keystore.Verify(pub, key.ECDSASHA256, make([]byte, 32), []byte{1})
		if err == nil || errors.Is(err, keystore.ErrSignature) {
			t.Errorf("%s: got %v, want an error about the key", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1}, []byte{})
	f.Add([]byte{}, []byte{0x30, 0x56})
	private := secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{1}, 32))
	good, err := key.MarshalSecp256k1([65]byte(private.PubKey().SerializeUncompressed()))
	if err != nil {
		f.Fatal(err)
	}
	digest := make([]byte, 32)
	right := secp256k1ecdsa.Sign(private, digest).Serialize()
	f.Add(right, []byte(good))
	f.Fuzz(func(t *testing.T, sig, pub []byte) {
		for _, alg := range []key.Algorithm{key.ECDSASHA256, key.RSAPSSSHA256, key.RSAPKCS1SHA256, key.ED25519SHA512} {
			if keystore.Verify(pub, alg, digest, sig) == nil && bytes.Equal(pub, good) && !bytes.Equal(sig, right) {
				// Another nonce would do as well, but nobody here can find one.
				t.Fatalf("a second encoding verifies: %x", sig)
			}
		}
	})
}
