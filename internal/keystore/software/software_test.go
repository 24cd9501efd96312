package software_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/journal/journaltest"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/keystoretest"
	"keyward/internal/keystore/software"
	"keyward/internal/seal"
	"keyward/internal/seal/sealtest"
	"keyward/internal/seed"
	"keyward/internal/store"
)

// world is a keystore over a real journal and a real database.
type world struct {
	*journaltest.House
	*software.Keystore
	root  *seal.Root
	slot  seal.Slot
	known sync.Map // digests of keys

	births int        // how often create may try
	lies   sync.Mutex // where many callers say different things of one key
}

func newWorld(t testing.TB, size int) *world {
	t.Helper()
	root, slot := sealtest.Root(t, [32]byte{1})
	w := &world{House: journaltest.New(t), root: root, slot: slot}
	w.Keystore = software.New(software.Options{Reader: w.Reader, Root: root, Rand: rand.Reader, Size: size})
	return w
}

// create makes a key, as kms does.
func (w *world) create(t testing.TB, k key.Key) key.Key {
	t.Helper()
	if k.ID == "" {
		id, err := key.NewID(time.Now().UnixMilli(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		usage, err := k.Spec.Usage(k.Usage)
		if err != nil {
			t.Fatal(err)
		}
		k.ID, k.Name, k.Usage, k.Origin, k.State, k.Current = id, string(id[4:]), usage, key.Generated, key.Active, 1
		if k.Domain == "" {
			k.Domain = map[bool]key.Domain{true: key.ByPath, false: key.Raw}[k.Spec == key.HDSeed]
		}
	}
	b, err := w.Generate(context.Background(), k, k.Current)
	for tries := 1; errors.Is(err, keystore.ErrCheck) && tries < w.births; tries++ {
		b, err = w.Generate(context.Background(), k, k.Current)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.Versions = append(k.Versions, b.Info(w.Journal.Now()))
	w.Commit(b.Put)
	return k
}

func (w *world) sign(t testing.TB, k key.Key, message string) (keystore.Result, error) {
	t.Helper()
	alg := k.Spec.Algorithms(k.Usage)[0]
	parsed, err := chain.ParsePlain(key.Sign, chain.TypeMsg, alg.Hash(), []byte(message), nil)
	if err != nil {
		t.Fatal(err)
	}
	permit := w.permit(k, alg, parsed)
	defer w.finish(permit)
	return w.Use(context.Background(), permit)
}

// works fails unless the key signs, and its signature holds.
func (w *world) works(t testing.TB, k key.Key) {
	t.Helper()
	r, err := w.sign(t, k, "message")
	if err != nil {
		t.Error(err)
		return
	}
	alg := k.Spec.Algorithms(k.Usage)[0]
	h := alg.Hash().New()
	h.Write([]byte("message"))
	info, _ := k.Version(0)
	if err := keystore.Verify(info.Public, alg, h.Sum(nil), r.Signature()); err != nil {
		t.Error(err)
	}
}

func (w *world) fails(t testing.TB, k key.Key, want error) {
	t.Helper()
	if r, err := w.sign(t, k, "message"); !errors.Is(err, want) || r.Valid() {
		t.Errorf("got %v, want %v", err, want)
	}
}

func (w *world) subject(seal func()) keystoretest.Subject {
	return keystoretest.Subject{
		Keystore: w, Create: w.create, Finish: w.finish, Seal: seal,
		Permit: func(_ testing.TB, k key.Key, path string, alg key.Algorithm, p chain.Parsed) journal.Permit {
			return w.permitAt(k, path, alg, p)
		},
		Account: func(t testing.TB, k key.Key, path key.Path) seed.Account {
			a, err := w.Account(context.Background(), key.Ref{ID: k.ID, Version: k.Current}, path)
			if err != nil {
				t.Fatal(err)
			}
			return a
		},
	}
}

// permit walks the corridor. Where the test changed what is known of the key, the
// epoch is raised, as kms does.
func (w *world) permit(k key.Key, alg key.Algorithm, p chain.Parsed) journal.Permit {
	return w.permitAt(k, "", alg, p)
}

func (w *world) permitAt(k key.Key, path string, alg key.Algorithm, p chain.Parsed) journal.Permit {
	digest := k.Digest()
	if before, ok := w.known.Swap(k.ID, digest); ok && before != digest {
		w.Know(k)
		w.Commit(func(tx *store.Tx) error { tx.RaiseEpoch(); return nil })
	}
	return w.PermitAt(k, k.Current, path, alg, p)
}

func (w *world) finish(p journal.Permit) {
	if err := w.Journal.Finish(context.Background(), p, journal.Outcome{}); err != nil {
		w.T.Error(err)
	}
}

func TestKeystore(t *testing.T) {
	keystoretest.Run(t, func(t testing.TB) keystoretest.Subject {
		w := newWorld(t, 0)
		return w.subject(w.Lock)
	})
}

// The whole suite again, with room for two keys: everything is loaded anew.
func TestKeystoreWithoutRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("short: TestKeystore has run the suite")
	}
	keystoretest.Run(t, func(t testing.TB) keystoretest.Subject {
		w := newWorld(t, 2)
		s := w.subject(w.root.Destroy) // and no Lock
		s.Specs = []key.Spec{key.AES256, key.HMAC256, key.P256, key.P384, key.Secp256k1, key.HDSeed, key.Ed25519, key.RSA2048}
		return s
	})
}

func TestAfterLockNothingWorks(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.P256})
	w.works(t, k)
	w.Lock()
	w.Lock()
	if n := w.Cached(); n != 0 {
		t.Errorf("got %d keys ready, want none", n)
	}
	ctx, ref := t.Context(), key.Ref{ID: k.ID, Version: 1}
	_, generated := w.Generate(ctx, k, 2)
	_, proved := w.Prove(ctx, ref, k.Versions[0].Public, software.Drill)
	rewrapped := w.Rewrap(nil, []key.Ref{ref})
	for name, err := range map[string]error{"generate": generated, "prove": proved, "rewrap": rewrapped} {
		if !errors.Is(err, keystore.ErrSealed) {
			t.Errorf("%s: got %v, want %v", name, err, keystore.ErrSealed)
		}
	}
	w.fails(t, k, keystore.ErrSealed)
}

func TestVersionsLiveSideBySide(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.Ed25519})
	one, err := w.sign(t, k, "message")
	if err != nil {
		t.Fatal(err)
	}
	k.Current = 2
	k = w.create(t, k)
	two, err := w.sign(t, k, "message")
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []keystore.Result{one, two} {
		for j, v := range k.Versions {
			if err := keystore.Verify(v.Public, key.ED25519SHA512, []byte("message"), r.Signature()); (err == nil) != (i == j) {
				t.Errorf("signature of version %d under version %d: got %v", i+1, j+1, err)
			}
		}
	}
}
