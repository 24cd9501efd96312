package software_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/keystoretest"
	"keyward/internal/keystore/software"
	"keyward/internal/secret"
	"keyward/internal/seed"
	"keyward/internal/store"
)

// used are the keys of a seed that the child signs with, and so derives.
var used = []string{"m/84h/0h/0h", "m/84h/0h/0h/0/3", "m/84h/0h/0h/1/7", "m/44h/60h/0h/0/0"}

// seed adds all that follows from the material of a seed.
func (n *needles) seed(t *testing.T, name string, material []byte) {
	held := secret.Take(material)
	defer held.Destroy()
	m, err := software.ParseSeed(held)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Destroy()
	words, stretched := m.Words(), m.Seed()
	n.piece(name+" entropy", m.Entropy.View())
	n.piece(name+" passphrase", m.Passphrase.View())
	n.piece(name+" words", words.View())
	n.piece(name+" seed", stretched.View())
	master, err := seed.Master(stretched)
	if err != nil {
		t.Fatal(err)
	}
	n.node(t, name, master)
	for _, path := range used {
		node := master
		for _, step := range ofPath(t, path) {
			if node, err = node.Child(step); err != nil {
				t.Fatal(err)
			}
			n.node(t, name, node)
		}
		n.tweaked(name+" node", node.Scalars()[:32])
	}
}

func (n *needles) node(t *testing.T, name string, node *seed.Private) {
	public, err := node.Public()
	if err != nil {
		t.Fatal(err)
	}
	n.piece(name+" node", node.Scalars()[:32])
	n.piece(name+" chain code", public.Chain[:])
}

// tweaked adds what BIP-340 and BIP-341 make of a private key.
func (n *needles) tweaked(name string, scalar []byte) {
	private := secp256k1.PrivKeyFromBytes(scalar)
	x := [32]byte(private.PubKey().SerializeCompressed()[1:])
	d := private.Key
	if private.PubKey().SerializeCompressed()[0] == 3 {
		d.Negate()
	}
	even := d.Bytes()
	n.piece(name, even[:])
	tweak, _ := keystore.TapTweak(x, nil)
	d.Add(&tweak)
	for range 2 {
		b := d.Bytes()
		n.piece(name, b[:])
		d.Negate()
	}
}

// types imports words and a passphrase as a person would, and shows the words
// of the birth. Nothing of them is in a string.
func (w *world) types(t testing.TB) key.Key {
	t.Helper()
	drawn, err := seed.New(seed.English, 128, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer drawn.Destroy()
	passphrase, err := secret.Random(rand.Reader, 40)
	if err != nil {
		t.Fatal(err)
	}
	defer passphrase.Destroy()
	for i, b := range passphrase.View() {
		passphrase.View()[i] = '0' + b%64
	}
	words := drawn.Words()
	defer words.Destroy()
	m, err := seed.Read(seed.English, words, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Destroy()
	k := w.aSeed(t, key.Imported)
	b, err := w.ImportSeed(context.Background(), k, 1, m)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := w.Words(b)
	if err != nil || !shown.Equal(words) {
		t.Errorf("the words are not those that were typed, %v", err)
	}
	shown.Destroy()
	k.Versions = []key.VersionInfo{b.Info(1)}
	w.Commit(func(tx *store.Tx) error { return b.Put(tx) })
	return k
}

// exerciseTasks signs for chains, by every scheme.
func (w *world) exerciseTasks(t testing.TB, k key.Key) {
	paths := []string{""}
	if k.Spec == key.HDSeed {
		paths = used
	}
	for i, path := range paths {
		domain, tasks := key.Ethereum, []chain.Task{{}}
		if k.Domain == key.Bitcoin || k.Spec == key.HDSeed && i < len(paths)-1 {
			domain, tasks = key.Bitcoin, []chain.Task{{}, {Scheme: key.Schnorr}, {Scheme: key.Taproot}}
		}
		told := k
		told.Domain = domain // the policy does not know paths
		w.lies.Lock()        // one at a time, or none of them is ever current
		permit := w.permitAt(told, path, domain.ChainAlgorithm(), keystoretest.Tasks(t, domain, tasks...))
		w.lies.Unlock()
		if _, err := w.Use(t.Context(), permit); err != nil {
			t.Error(err)
		}
		w.finish(permit)
	}
}
