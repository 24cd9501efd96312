package interop_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// What btcd mines, its own libraries put together: PSBTs by its package, keys
// from the xpubs that keyward shows by its hdkeychain. Keyward only signs.

const hard = hdkeychain.HardenedKeyStart

// wallet is an account of a seed in keyward, seen from outside.
type wallet struct {
	name   string // "money/m/84h/1h/0h"
	path   []uint32
	master uint32 // fingerprint, as package psbt writes it
	xpub   *hdkeychain.ExtendedKey
}

func (k installation) wallet(seed string, path ...uint32) wallet {
	k.t.Helper()
	w := wallet{name: seed + "/m", path: path}
	for _, n := range path {
		w.name += fmt.Sprintf("/%dh", n-hard)
	}
	shown := ask[struct{ XPub, Master string }](k, "", "key", "show", w.name, "--network", "regtest")
	master, err := hex.DecodeString(shown.Master)
	if err != nil || len(master) != 4 {
		k.t.Fatalf("got fingerprint %q: %v", shown.Master, err)
	}
	w.master = binary.LittleEndian.Uint32(master)
	if w.xpub, err = hdkeychain.NewKeyFromString(shown.XPub); err != nil {
		k.t.Fatal(err)
	}
	return w
}

// coinKey is one key of a wallet.
type coinKey struct {
	point  []byte
	master uint32
	path   []uint32
}

func (w wallet) key(t *testing.T, branch, index uint32) coinKey {
	t.Helper()
	node, err := w.xpub.Derive(branch)
	if err == nil {
		node, err = node.Derive(index)
	}
	if err != nil {
		t.Fatal(err)
	}
	public, err := node.ECPubKey()
	if err != nil {
		t.Fatal(err)
	}
	return coinKey{public.SerializeCompressed(), w.master, append(slices.Clone(w.path), branch, index)}
}

// lock is a script with what a signer must know to open it.
type lock struct {
	script, redeem, witness []byte
	keys                    []coinKey
	taproot                 bool
	signers                 []wallet
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var regtest = &chaincfg.RegressionNetParams

func payTo(t *testing.T, a address.Address, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return must[[]byte](t)(txscript.PayToAddrScript(a))
}

func scriptHash(t *testing.T, redeem []byte) []byte {
	a, err := address.NewAddressScriptHash(redeem, regtest)
	return payTo(t, a, err)
}

func witnessHash(t *testing.T, witness []byte) []byte {
	sum := sha256.Sum256(witness)
	a, err := address.NewAddressWitnessScriptHash(sum[:], regtest)
	return payTo(t, a, err)
}

func (w wallet) single(t *testing.T, index uint32) lock { return w.singleAt(t, 0, index) }

func (w wallet) singleAt(t *testing.T, branch, index uint32) lock {
	t.Helper()
	k := w.key(t, branch, index)
	l := lock{keys: []coinKey{k}, signers: []wallet{w}}
	hash := address.Hash160(k.point)
	segwit, err := address.NewAddressWitnessPubKeyHash(hash, regtest)
	switch w.path[0] - hard {
	case 44:
		a, err := address.NewAddressPubKeyHash(hash, regtest)
		l.script = payTo(t, a, err)
	case 49:
		l.redeem = payTo(t, segwit, err)
		l.script = scriptHash(t, l.redeem)
	case 84:
		l.script = payTo(t, segwit, err)
	case 86:
		internal, err := schnorr.ParsePubKey(k.point[1:])
		if err != nil {
			t.Fatal(err)
		}
		a, err := address.NewAddressTaproot(schnorr.SerializePubKey(txscript.ComputeTaprootKeyNoScript(internal)), regtest)
		l.script, l.taproot = payTo(t, a, err), true
	}
	return l
}

// shared is 2 of the keys of two wallets.
func shared(t *testing.T, kind string, a, b wallet, index uint32) lock {
	t.Helper()
	l := lock{keys: []coinKey{a.key(t, 0, index), b.key(t, 0, index)}, signers: []wallet{a, b}}
	build := txscript.NewScriptBuilder().AddOp(txscript.OP_2)
	for _, k := range l.keys {
		build.AddData(k.point)
	}
	multi := must[[]byte](t)(build.AddOp(txscript.OP_2).AddOp(txscript.OP_CHECKMULTISIG).Script())
	switch kind {
	case "p2sh":
		l.redeem, l.script = multi, scriptHash(t, multi)
	case "p2wsh":
		l.witness, l.script = multi, witnessHash(t, multi)
	case "p2sh-p2wsh":
		l.witness, l.redeem = multi, witnessHash(t, multi)
		l.script = scriptHash(t, l.redeem)
	}
	return l
}

// unspent is an output that can be spent.
type unspent struct {
	from  *wire.MsgTx
	index uint32
	lock
}

func (c unspent) value() int64 { return c.from.TxOut[c.index].Value }

// spend writes the PSBT that spends coins to outputs.
func spend(t *testing.T, coins []unspent, outs []*wire.TxOut, change map[int]lock) string {
	t.Helper()
	tx := wire.NewMsgTx(2)
	for _, c := range coins {
		hash := c.from.TxHash()
		tx.AddTxIn(wire.NewTxIn(wire.NewOutPoint(&hash, c.index), nil, nil))
	}
	for _, o := range outs {
		tx.AddTxOut(o)
	}
	p := must[*psbt.Packet](t)(psbt.NewFromUnsignedTx(tx))
	for i, c := range coins {
		in := &p.Inputs[i]
		in.NonWitnessUtxo = c.from
		if c.taproot || c.witness != nil || txscript.IsPayToWitnessPubKeyHash(c.script) || txscript.IsPayToWitnessPubKeyHash(c.redeem) {
			in.WitnessUtxo = c.from.TxOut[c.index]
		}
		in.RedeemScript, in.WitnessScript = c.redeem, c.witness
		in.Bip32Derivation, in.TaprootBip32Derivation = c.origins()
		if c.taproot {
			in.TaprootInternalKey = c.keys[0].point[1:]
		}
	}
	for i, l := range change {
		out := &p.Outputs[i]
		out.RedeemScript, out.WitnessScript = l.redeem, l.witness
		out.Bip32Derivation, out.TaprootBip32Derivation = l.origins()
		if l.taproot {
			out.TaprootInternalKey = l.keys[0].point[1:]
		}
	}
	return must[string](t)(p.B64Encode())
}

func (l lock) origins() (ecdsa []*psbt.Bip32Derivation, taproot []*psbt.TaprootBip32Derivation) {
	for _, k := range l.keys {
		if l.taproot {
			taproot = append(taproot, &psbt.TaprootBip32Derivation{XOnlyPubKey: k.point[1:], MasterKeyFingerprint: k.master, Bip32Path: k.path})
			continue
		}
		ecdsa = append(ecdsa, &psbt.Bip32Derivation{PubKey: k.point, MasterKeyFingerprint: k.master, Bip32Path: k.path})
	}
	return ecdsa, taproot
}

// sign has each signer sign in turn, and returns the transaction that comes of it.
func (k installation) signCoins(payload string, signers ...wallet) string {
	k.t.Helper()
	for i, w := range signers {
		signed := ask[struct {
			Output string
			PSBT   []byte
		}](k, payload, "sign", "--key", w.name, "--network", "regtest", "-")
		if i == len(signers)-1 {
			return signed.Output
		}
		if payload = string(signed.PSBT); payload != signed.Output {
			k.t.Fatalf("with %d of %d signatures got output %q, want the PSBT", i+1, len(signers), signed.Output)
		}
	}
	return ""
}

func parseTx(t *testing.T, raw string) *wire.MsgTx {
	t.Helper()
	tx := wire.NewMsgTx(2)
	if err := tx.Deserialize(hex.NewDecoder(strings.NewReader(raw))); err != nil {
		t.Fatal(err)
	}
	return tx
}

// TestBtcdMinesWhatKeywardSigned pays from every kind of address to every other
// one, on a node that judges by its own rules.
func TestBtcdMinesWhatKeywardSigned(t *testing.T) {
	k := serve(t)
	k.run("", "seed", "create", "money", "--no-words")
	account := func(purpose, n uint32) wallet { return k.wallet("money", hard+purpose, hard+1, hard+n) }
	segwit := account(84, 0)
	shown := ask[struct{ Addresses []struct{ Address string } }](k, "", "key", "show", segwit.name, "--network", "regtest")
	node := startBitcoin(t, shown.Addresses[0].Address)
	first := node.mine(101)[0]

	locks := map[string]lock{}
	for _, purpose := range []uint32{44, 49, 84, 86} {
		locks[fmt.Sprintf("purpose %d", purpose)] = account(purpose, 0).single(t, 1)
	}
	a, b := account(48, 0), account(48, 1)
	for i, kind := range []string{"p2sh", "p2wsh", "p2sh-p2wsh"} {
		locks[kind] = shared(t, kind, a, b, uint32(i))
	}
	names := make([]string, 0, len(locks))
	for name := range locks {
		names = append(names, name)
	}
	slices.Sort(names)

	mined := parseTx(t, node.coinbase(first))
	if !bytes.Equal(mined.TxOut[0].PkScript, segwit.single(t, 0).script) {
		t.Fatal("the first address that keyward shows is not that of the first key below its xpub")
	}
	const part = 100_000_000
	var outs []*wire.TxOut
	for _, name := range names {
		outs = append(outs, wire.NewTxOut(part, locks[name].script))
	}
	back := segwit.single(t, 2)
	outs = append(outs, wire.NewTxOut(mined.TxOut[0].Value-int64(len(names))*part-10_000, back.script))
	raw := k.signCoins(spend(t, []unspent{{mined, 0, segwit.single(t, 0)}}, outs, map[int]lock{len(names): back}), segwit)
	node.send(raw)
	funding := parseTx(t, raw)

	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			k := k
			k.t = t
			c := unspent{funding, uint32(i), locks[name]}
			out := []*wire.TxOut{wire.NewTxOut(c.value()-5_000, back.script)}
			node.send(k.signCoins(spend(t, []unspent{c}, out, nil), c.signers...))
		})
	}
	if out := k.run("", "audit", "verify"); !strings.Contains(out, "whole and unchanged") {
		t.Errorf("got %q of audit verify", out)
	}
}
