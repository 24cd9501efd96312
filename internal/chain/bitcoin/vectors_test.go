package bitcoin_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"keyward/internal/chain/bitcoin"
)

// vectors finds a file of the shared test vectors, or skips.
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

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(vectors(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type rpcVectors struct {
	Invalid        []string
	InvalidWithMsg [][2]string `json:"invalid_with_msg"`
	Valid          []string
	Signer         []struct {
		Privkeys     []string
		PSBT, Result string
	}
	Finalizer []struct{ Finalize, Result string }
	Extractor []struct{ Extract, Result string }
}

func TestPSBTVectors(t *testing.T) {
	var v rpcVectors
	readJSON(t, "bitcoin-core/rpc_psbt.json", &v)
	for i, s := range v.Invalid {
		if _, err := bitcoin.Reencode([]byte(s)); err == nil {
			t.Errorf("invalid %d: accepted", i)
		}
	}
	for i, s := range v.InvalidWithMsg {
		if _, err := bitcoin.Reencode([]byte(s[0])); err == nil {
			t.Errorf("invalid %d (%s): accepted", i, s[1])
		}
	}
	for i, s := range v.Valid {
		again, err := bitcoin.Reencode([]byte(s))
		if err != nil {
			t.Errorf("valid %d: %v", i, err)
		} else if got := base64.StdEncoding.EncodeToString(again); got != s {
			t.Errorf("valid %d: written again it differs:\n%s\n%s", i, got, s)
		}
	}
	if len(v.Invalid) < 41 || len(v.Valid) < 20 {
		t.Errorf("got %d invalid and %d valid, want 41 and 20", len(v.Invalid), len(v.Valid))
	}
}
