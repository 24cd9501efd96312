package software_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/keystoretest"
	"keyward/internal/seed"
)

const abandon = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

func ofPath(t testing.TB, s string) key.Path {
	t.Helper()
	if s == "" {
		return nil
	}
	p, err := key.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) account(t testing.TB, k key.Key, path string) seed.Account {
	t.Helper()
	a, err := w.Account(context.Background(), key.Ref{ID: k.ID, Version: 1}, ofPath(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// publicAt is the public key of a plain key, or of a seed at a path.
func (w *world) publicAt(t testing.TB, k key.Key, path string) key.Public {
	t.Helper()
	if k.Spec != key.HDSeed {
		return k.Versions[0].Public
	}
	a := w.account(t, k, path)
	parsed, err := secp256k1.ParsePubKey(a.Key[:])
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.MarshalSecp256k1([65]byte(parsed.SerializeUncompressed()))
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// The keys that BIP-84 and BIP-86 print for these words.
func TestImportedWordsHaveTheirKeys(t *testing.T) {
	w := newWorld(t, 0)
	k := w.imports(t, strings.ToUpper(abandon), "")
	for path, want := range map[string]string{
		"m/84h/0h/0h/0/0": "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
		"m/84h/0h/0h/1/0": "03025324888e429ab8e3dbaf1f7802648b9cd01e9b418485c5fa4c1b9b5700e1a6",
		"m/86h/0h/0h/0/0": "03cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
	} {
		if a := w.account(t, k, path); fmt.Sprintf("%x", a.Key) != want && fmt.Sprintf("%x", a.Key[1:]) != want[2:] {
			t.Errorf("%s: got %x, want %s", path, a.Key, want)
		}
	}
	a := w.account(t, k, "m/84h/0h/0h")
	if got, want := a.Text(seed.XPub), "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if other := w.account(t, w.imports(t, abandon, "TREZOR"), "m/84h/0h/0h"); other.Key == a.Key {
		t.Error("the passphrase does not matter")
	}
}

func TestAccountsAreOfSeedsAlone(t *testing.T) {
	w := newWorld(t, 0)
	k, plain := w.create(t, key.Key{Spec: key.HDSeed}), w.create(t, key.Key{Spec: key.Secp256k1, Domain: key.Bitcoin})
	for name, c := range map[string]struct {
		ref  key.Ref
		path key.Path
		want error
	}{
		"a plain key":      {key.Ref{ID: plain.ID, Version: 1}, nil, keystore.ErrUnfit},
		"no key":           {key.Ref{ID: k.ID, Version: 2}, nil, keystore.ErrNoKey},
		"a very long path": {key.Ref{ID: k.ID, Version: 1}, make(key.Path, key.MaxDepth+1), keystore.ErrUnfit},
	} {
		if _, err := w.Account(t.Context(), c.ref, c.path); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	path := ofPath(t, "m/84h/0h/0h")
	a, err := w.Account(t.Context(), key.Ref{ID: k.ID, Version: 1}, path)
	if err != nil {
		t.Fatal(err)
	}
	if path[0]++; a.Path[0] != 84+key.Hardened {
		t.Error("the account changed with the caller's path")
	}
}

// signAt signs by a key below an account, without a permit.
func (w *world) signAt(k key.Key, account string, tasks chain.Parsed) (keystore.Made, error) {
	return w.Obey(context.Background(), journal.Order{
		Key: key.Ref{ID: k.ID, Version: 1}, Path: account, Verb: key.SignTransaction, Algorithm: key.BitcoinSighash, Parsed: tasks,
	})
}

func TestNodesAreBounded(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.HDSeed})
	a := w.account(t, k, "m/84h/0h/0h")
	var wait sync.WaitGroup
	for caller := range uint32(4) {
		wait.Go(func() {
			for i := range uint32(100) {
				below := key.Path{caller % 2, i * (1 + caller)}
				child, err := a.Child(below)
				if err != nil {
					t.Error(err)
					return
				}
				task := keystoretest.Tasks(t, key.Bitcoin, chain.Task{Path: below, Point: child.Key[:]})
				made, err := w.signAt(k, "m/84h/0h/0h", task)
				if err != nil || keystore.VerifyTask(nil, task.Tasks()[0], made.Recoverable[0]) != nil {
					t.Errorf("%s: %v", below, err)
				}
			}
		})
	}
	wait.Wait()
	if n := w.Nodes(t.Context(), key.Ref{ID: k.ID, Version: 1}); n != 256 {
		t.Errorf("got %d nodes ready, want 256", n)
	}
}

// A bit that falls over in a node's private key is found by its other copy.
func TestAFallenBitOfASeedIsFound(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.HDSeed})
	ref := key.Ref{ID: k.ID, Version: 1}
	for _, at := range []int{0, 31, 32, 63} {
		for scheme := range key.Taproot + 1 {
			w.Purge(k.ID)
			if err := w.Spoil(t.Context(), ref, ofPath(t, "m/84h/0h/7h"), at); err != nil {
				t.Fatal(err)
			}
			if made, err := w.signAt(k, "m/84h/0h/7h", keystoretest.Tasks(t, key.Bitcoin, chain.Task{Scheme: scheme})); !errors.Is(err, keystore.ErrCheck) || made.Recoverable != nil {
				t.Errorf("byte %d, scheme %d: got %v, want %v", at, scheme, err, keystore.ErrCheck)
			}
			below := chain.Task{Scheme: scheme, Path: key.Path{0}, Point: make([]byte, 33)}
			if _, err := w.signAt(k, "m/84h/0h/7h", keystoretest.Tasks(t, key.Bitcoin, below)); !errors.Is(err, keystore.ErrCheck) {
				t.Errorf("byte %d, a child: got %v, want %v", at, err, keystore.ErrCheck)
			}
			if _, err := w.Account(t.Context(), ref, ofPath(t, "m/84h/0h/7h")); (at >= 32) != errors.Is(err, keystore.ErrCheck) { // the first copy made the point before
				t.Errorf("byte %d, account: got %v", at, err)
			}
		}
	}
}

func TestNothingOfASeedIsLeftReady(t *testing.T) {
	w := newWorld(t, 0)
	k := w.create(t, key.Key{Spec: key.HDSeed})
	w.account(t, k, "m/84h/0h/0h/0/1")
	views := w.Ready(t.Context(), key.Ref{ID: k.ID, Version: 1})
	if len(views) != 6 {
		t.Errorf("got %d nodes ready, want the master key and 5", len(views))
	}
	w.Lock()
	for i, v := range views {
		if !v.Gone() {
			t.Errorf("node %d is still there", i)
		}
	}
}

// 20,000 keys, each of which is used once: a derivation and a signature each.
func BenchmarkSeed(b *testing.B) {
	w := newWorld(b, 0)
	k := w.create(b, key.Key{Spec: key.HDSeed})
	a := w.account(b, k, "m/84h/0h/0h")
	points := make([]seed.Public, 20_000)
	for i := range points {
		var err error
		if points[i], err = a.Child(key.Path{0, uint32(i)}); err != nil {
			b.Fatal(err)
		}
	}
	for _, scheme := range []key.Scheme{key.ECDSA, key.Schnorr, key.Taproot} {
		b.Run(fmt.Sprintf("scheme %d, below an account", scheme), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i % len(points)
				task := chain.Task{Scheme: scheme, Path: key.Path{0, uint32(n)}, Point: points[n].Key[:]}
				if _, err := w.signAt(k, "m/84h/0h/0h", keystoretest.Tasks(b, key.Bitcoin, task)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("ethereum, an account each", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_, err := w.Obey(context.Background(), journal.Order{
				Key: key.Ref{ID: k.ID, Version: 1}, Path: fmt.Sprintf("m/44h/60h/0h/0/%d", i%20_000), Verb: key.SignTransaction, Algorithm: key.EthereumKeccak,
				Parsed: keystoretest.Digests(b, chain.Transaction, 1),
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one key", func(b *testing.B) {
		task := keystoretest.Tasks(b, key.Bitcoin, chain.Task{})
		for b.Loop() {
			if _, err := w.signAt(k, "m/84h/0h/0h/0/0", task); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		task := keystoretest.Tasks(b, key.Bitcoin, chain.Task{})
		for b.Loop() {
			w.Purge(k.ID)
			if _, err := w.signAt(k, "m/84h/0h/0h/0/0", task); err != nil {
				b.Fatal(err)
			}
		}
	})
}
