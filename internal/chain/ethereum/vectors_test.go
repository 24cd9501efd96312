package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

// vectors finds a folder of the shared test vectors, or skips.
func vectors(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("KEYWARD_VECTORS")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for !exists(filepath.Join(dir, "go.mod")) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared", "vectors")
	}
	path := filepath.Join(root, name)
	if !exists(path) {
		t.Skipf("no test vectors in %s: set KEYWARD_VECTORS", name)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forks, the newest last.
var forks = []string{
	"Frontier", "Homestead", "EIP150", "EIP158", "Byzantium", "Constantinople", "ConstantinopleFix",
	"Istanbul", "Berlin", "London", "Paris", "Shanghai", "Cancun", "Prague", "Osaka",
}

type txResult struct {
	Exception, Hash, Sender, IntrinsicGas string
}

func TestTransactionVectorsAtNewestFork(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors(t, "ethereum/TransactionTests"), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	valid, invalid := 0, 0
	for _, path := range files {
		var file map[string]struct {
			Result  map[string]txResult
			TxBytes string
		}
		readJSON(t, path, &file)
		for name, test := range file {
			newest := -1
			for fork := range test.Result {
				at := slices.Index(forks, fork)
				if at < 0 {
					t.Fatalf("%s: unknown fork %q", name, fork)
				}
				newest = max(newest, at)
			}
			want := test.Result[forks[newest]]
			if want.Exception == "" {
				valid++
			} else {
				invalid++
			}
			t.Run(name, func(t *testing.T) { checkVector(t, unhex(t, test.TxBytes), want) })
		}
	}
	if valid < 30 || invalid < 130 {
		t.Errorf("ran %d valid and %d invalid transactions, want at least 30 and 130", valid, invalid)
	}
}

func checkVector(t *testing.T, raw []byte, want txResult) {
	sender, s, err := accept(raw)
	if want.Exception != "" {
		if err == nil {
			t.Errorf("accepted, want %s", want.Exception)
		}
		return
	}
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	hash := s.Hash()
	if got := "0x" + hex.EncodeToString(hash[:]); got != want.Hash {
		t.Errorf("got hash %s, want %s", got, want.Hash)
	}
	if got := strings.ToLower(sender.String()); got != want.Sender {
		t.Errorf("got sender %s, want %s", got, want.Sender)
	}
	gas, ok := new(big.Int).SetString(strings.TrimPrefix(want.IntrinsicGas, "0x"), 16)
	// One file (SenderTest) has the sender where the gas should be.
	if ok && gas.IsUint64() && gas.Uint64() != s.IntrinsicGas() {
		t.Errorf("got intrinsic gas %d, want %s", s.IntrinsicGas(), gas)
	}
	if !bytes.Equal(s.Reencode(), raw) {
		t.Error("encoded again it differs")
	}
}

// accept does all that a node of chain 1 does without knowing its state.
func accept(raw []byte) (ethereum.Address, *ethereum.Signed, error) {
	s, err := ethereum.DecodeSigned(raw)
	if err != nil {
		return ethereum.Address{}, nil, err
	}
	if err := s.Check(1); err != nil {
		return ethereum.Address{}, nil, err
	}
	pub, err := s.Sender()
	if err != nil {
		return ethereum.Address{}, nil, err
	}
	a, err := ethereum.AddressOf(pub)
	return a, s, err
}

func TestRLPVectorsValid(t *testing.T) {
	var file map[string]struct {
		In  any
		Out string
	}
	readJSON(t, filepath.Join(vectors(t, "ethereum/RLPTests"), "rlptest.json"), &file)
	for name, test := range file {
		want := unhex(t, test.Out)
		if got := encode(t, test.In); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		if err := ethereum.CheckRLP(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		it, _, err := ethereum.NextItem(want)
		if err != nil || !bytes.Equal(reencode(t, it), want) {
			t.Errorf("%s: decoded and encoded again it differs", name)
		}
	}
	if len(file) < 25 {
		t.Errorf("got %d vectors, want at least 25", len(file))
	}
}

func TestRLPVectorsInvalid(t *testing.T) {
	var file map[string]struct{ Out string }
	readJSON(t, filepath.Join(vectors(t, "ethereum/RLPTests"), "invalidRLPTest.json"), &file)
	for name, test := range file {
		if err := ethereum.CheckRLP(unhex(t, test.Out)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if len(file) < 25 {
		t.Errorf("got %d vectors, want at least 25", len(file))
	}
}

// encode is RLP of the values that the vectors are written in.
func encode(t *testing.T, v any) []byte {
	switch v := v.(type) {
	case string:
		if digits, ok := strings.CutPrefix(v, "#"); ok {
			return encodeDecimal(t, digits)
		}
		return ethereum.AppendBytes(nil, []byte(v))
	case json.Number:
		return encodeDecimal(t, v.String())
	case []any:
		var content []byte
		for _, inner := range v {
			content = append(content, encode(t, inner)...)
		}
		return ethereum.AppendList(nil, content)
	}
	t.Fatalf("vector with a %T", v)
	return nil
}

func encodeDecimal(t *testing.T, digits string) []byte {
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		t.Fatalf("not a number: %q", digits)
	}
	if n.BitLen() > 256 {
		return ethereum.AppendBytes(nil, n.Bytes())
	}
	return ethereum.AppendBig(nil, n)
}

// reencode walks an item that was decoded and encodes what it found.
func reencode(t testing.TB, it ethereum.Item) []byte {
	if !it.IsList() {
		return ethereum.AppendBytes(nil, it.Body())
	}
	var content []byte
	for rest := it.Body(); len(rest) > 0; {
		inner, after, err := ethereum.NextItem(rest)
		if err != nil {
			t.Fatalf("inside a list: %v", err)
		}
		content = append(content, reencode(t, inner)...)
		rest = after
	}
	return ethereum.AppendList(nil, content)
}

func TestAddressesOfKnownKeys(t *testing.T) {
	var tests []struct{ Key, Addr string }
	readJSON(t, filepath.Join(vectors(t, "ethereum/BasicTests"), "keyaddrtest.json"), &tests)
	for _, test := range tests {
		private := secp256k1.PrivKeyFromBytes(unhex(t, test.Key))
		a, err := ethereum.AddressOf(publicOf(t, private))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ToLower(a.String()); got != "0x"+test.Addr {
			t.Errorf("got %s, want 0x%s", got, test.Addr)
		}
	}
}

func publicOf(t testing.TB, private *secp256k1.PrivateKey) key.Public {
	t.Helper()
	pub, err := key.MarshalSecp256k1([65]byte(private.PubKey().SerializeUncompressed()))
	if err != nil {
		t.Fatal(err)
	}
	return pub
}
