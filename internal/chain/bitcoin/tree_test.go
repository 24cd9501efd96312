package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/chaintest"
	"keyward/internal/key"
)

// tree is an account below a master key, by btcd's own BIP-32. It is chain.Own.
type tree struct {
	master [4]byte
	root   *hdkeychain.ExtendedKey
	at     key.Path
	cache  map[string]*hdkeychain.ExtendedKey
}

func newTree(t testing.TB, name, at string) *tree {
	t.Helper()
	seed := sha512.Sum512([]byte(name))
	return treeOf(t, seed[:32], at)
}

func treeOf(t testing.TB, seed []byte, at string) *tree {
	t.Helper()
	root, err := hdkeychain.NewMaster(seed, &chaincfg.MainNetParams)
	if err != nil {
		t.Fatal(err)
	}
	path, err := key.ParsePath(at)
	if err != nil {
		t.Fatal(err)
	}
	w := &tree{root: root, at: path, cache: map[string]*hdkeychain.ExtendedKey{}}
	copy(w.master[:], address.Hash160(w.point(nil)))
	return w
}

func (w *tree) node(path key.Path) *hdkeychain.ExtendedKey {
	if len(path) == 0 {
		return w.root
	}
	if n, ok := w.cache[path.String()]; ok {
		return n
	}
	n, err := w.node(path[:len(path)-1]).Derive(path[len(path)-1])
	if err != nil {
		panic(err) // one in 2^127 seeds
	}
	w.cache[path.String()] = n
	return n
}

func (w *tree) point(path key.Path) []byte {
	pub, err := w.node(path).ECPubKey()
	if err != nil {
		panic(err)
	}
	return pub.SerializeCompressed()
}

func (w *tree) Point(master [4]byte, path key.Path) ([]byte, key.Path, bool) {
	below, ok := path.Below(w.at)
	if !ok || master != w.master || !below.Public() {
		return nil, nil, false
	}
	return w.point(path), below, true
}

// child is the full path of an address of the account.
func (w *tree) child(steps ...uint32) key.Path { return append(append(key.Path{}, w.at...), steps...) }

// origin is how PSBTs name a path.
func (w *tree) origin(path key.Path) []byte {
	b := w.master[:len(w.master):len(w.master)]
	for _, n := range path {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func (w *tree) public(t testing.TB) key.Public {
	t.Helper()
	pub, err := w.node(w.at).ECPubKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.MarshalSecp256k1([65]byte(pub.SerializeUncompressed()))
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func (w *tree) ask(t testing.TB) chain.Ask {
	t.Helper()
	return chain.Ask{Public: w.public(t), Path: w.at, Own: w}
}

// sign goes the task's path from the account, as a keystore does, and refuses to
// sign with another key than the one that the task names.
func (w *tree) sign(t testing.TB) func(chain.Task) key.Recoverable {
	return func(task chain.Task) key.Recoverable {
		t.Helper()
		private, err := w.node(append(w.child(), task.Path...)).ECPrivKey()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(private.PubKey().SerializeCompressed(), task.Point) {
			t.Fatalf("task names point %x, its path leads to %x", task.Point, private.PubKey().SerializeCompressed())
		}
		return chaintest.SignerOf(private.Serialize()).SignTask(task)
	}
}

func signAll(p chain.Parsed, sign func(chain.Task) key.Recoverable) (sigs []key.Recoverable) {
	for _, task := range p.Tasks() {
		sigs = append(sigs, sign(task))
	}
	return sigs
}

func script(t testing.TB, point []byte, typ bitcoin.AddressType) []byte {
	t.Helper()
	s, err := bitcoin.ScriptOf(point, typ)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stranger is somebody's output script.
func stranger(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return append([]byte{0, 20}, sum[:20]...)
}
