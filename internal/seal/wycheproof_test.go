package seal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"keyward/internal/seal"
)

// vectors returns the folder of the shared test vectors.
func vectors(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("KEYWARD_VECTORS"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no go.mod above the test: the shared vectors cannot be found")
		}
	}
	dir = filepath.Join(dir, "..", "shared", "vectors")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared vectors beside the repository; set KEYWARD_VECTORS")
	}
	return dir
}

// The vectors of AES-GCM with the sizes that XAES-256-GCM uses inside go through
// its second half. (No vectors exist for the whole; the specification's are in
// xaes_test.go.)
func TestInnerCipherPassesWycheproof(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(vectors(t), "wycheproof", "aes_gcm_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			IvSize, KeySize, TagSize int
			Tests                    []struct {
				TcID                                        int
				Comment, Key, Iv, Aad, Msg, Ct, Tag, Result string
			}
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, g := range file.TestGroups {
		if g.KeySize != 256 || g.IvSize != 96 || g.TagSize != 128 {
			continue
		}
		for _, v := range g.Tests {
			run++
			key, iv, aad := unhex(t, v.Key), unhex(t, v.Iv), unhex(t, v.Aad)
			msg, body := unhex(t, v.Msg), unhex(t, v.Ct+v.Tag)
			got, err := seal.OpenGCM(key, iv, body, aad)
			if valid := v.Result == "valid"; valid != (err == nil) || valid && !bytes.Equal(got, msg) {
				t.Errorf("%d (%s): got %x, %v, want %s", v.TcID, v.Comment, got, err, v.Result)
			}
			if v.Result != "valid" {
				continue
			}
			if got, err := seal.SealGCM(key, iv, msg, aad); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d (%s): got %x, %v, want %x", v.TcID, v.Comment, got, err, body)
			}
		}
	}
	if run < 60 {
		t.Fatalf("got %d vectors that fit, want at least 60", run)
	}
}
