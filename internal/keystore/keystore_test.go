package keystore_test

import (
	"errors"
	"testing"

	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/secret"
)

func TestOnlyASpentPermitHasAResult(t *testing.T) {
	made := keystore.Made{Signature: key.Signature{1}}
	if r, err := keystore.NewResult(journal.Permit{}, made); !errors.Is(err, journal.ErrNoPermit) || r.Valid() {
		t.Errorf("no permit: got %v, want %v", err, journal.ErrNoPermit)
	}
	h := journaltest.New(t)
	id := goldenKey
	k := key.Key{
		ID: id, Name: "k", Spec: key.AES256, Usage: key.EncryptDecrypt, Domain: key.Raw, Origin: key.Generated, State: key.Active, Current: 1,
		Versions: []key.VersionInfo{{Version: 1}},
	}
	p := h.Permit(k, 1, key.XAES256GCM, plain(t, key.DataKey, key.XAES256GCM, nil))
	if r, err := keystore.NewResult(p, made); !errors.Is(err, journal.ErrNoPermit) || r.Valid() {
		t.Errorf("a permit that nobody took: got %v, want %v", err, journal.ErrNoPermit)
	}
	if _, err := p.Take(key.DataKey); err != nil {
		t.Fatal(err)
	}
	dataKey := secret.Take([]byte("0123456789abcdef0123456789abcdef"))
	defer dataKey.Destroy()
	r, err := keystore.NewResult(p, keystore.Made{Output: []byte("envelope"), Secret: dataKey})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Valid() || r.Operation() != p.Operation() || string(r.Output()) != "envelope" || !r.Secret().Equal(dataKey) ||
		r.Signature() != nil || r.Recoverable() != nil {
		t.Error("the result is not what was made")
	}
	if (keystore.Result{}).Valid() {
		t.Error("the zero value is valid")
	}
}
