package bitcoin_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
)

// draft builds PSBTs by btcd's types alone, so that the codec is not its own judge.
type draft struct {
	tx     *wire.MsgTx
	global []pair
	in     [][]pair
	out    [][]pair
}

type pair struct {
	kind  byte
	data  []byte
	value []byte
}

func newDraft() *draft { return &draft{tx: wire.NewMsgTx(2)} }

// previous is a transaction that pays value to script, different for each salt.
func previous(salt int, value int64, script []byte) *wire.MsgTx {
	t := wire.NewMsgTx(2)
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(salt)))
	t.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: sum}, Sequence: 0xffffffff, SignatureScript: []byte{1, 0x51}})
	t.AddTxOut(&wire.TxOut{Value: 7, PkScript: []byte{0x51}})
	t.AddTxOut(&wire.TxOut{Value: value, PkScript: script})
	return t
}

func raw(t *wire.MsgTx) []byte {
	var b bytes.Buffer
	if err := t.Serialize(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func coinBytes(value int64, script []byte) []byte {
	return chunk(binary.LittleEndian.AppendUint64(nil, uint64(value)), script)
}

// spend adds an input with its previous transaction and more records.
func (d *draft) spend(value int64, script []byte, more ...pair) *draft {
	prev := previous(len(d.in), value, script)
	d.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: prev.TxHash(), Index: 1}, Sequence: 0xfffffffd})
	d.in = append(d.in, append([]pair{{0, nil, raw(prev)}}, more...))
	return d
}

// witnessSpend adds an input that only claims what it spends.
func (d *draft) witnessSpend(value int64, script []byte, more ...pair) *draft {
	d.spend(value, script)
	d.in[len(d.in)-1] = append([]pair{{1, nil, coinBytes(value, script)}}, more...)
	return d
}

func (d *draft) pay(value int64, script []byte, more ...pair) *draft {
	d.tx.AddTxOut(&wire.TxOut{Value: value, PkScript: script})
	d.out = append(d.out, more)
	return d
}

func (d *draft) bytes() []byte {
	var tx bytes.Buffer
	if err := d.tx.SerializeNoWitness(&tx); err != nil {
		panic(err)
	}
	b := []byte("psbt\xff")
	for _, m := range slices.Concat([][]pair{append([]pair{{0, nil, tx.Bytes()}}, d.global...)}, d.in, d.out) {
		for _, p := range m {
			b = chunk(chunk(b, append([]byte{p.kind}, p.data...)), p.value)
		}
		b = append(b, 0)
	}
	return b
}

func (d *draft) base64() []byte { return base64.StdEncoding.AppendEncode(nil, d.bytes()) }

func chunk(b, c []byte) []byte {
	var w bytes.Buffer
	if err := wire.WriteVarBytes(&w, 0, c); err != nil {
		panic(err)
	}
	return append(b, w.Bytes()...)
}

// multisigScript is m of the points, in their order.
func multisigScript(m int, points ...[]byte) []byte {
	s := []byte{byte(txscript.OP_1 + m - 1)}
	for _, p := range points {
		s = append(append(s, 33), p...)
	}
	return append(s, byte(txscript.OP_1+len(points)-1), txscript.OP_CHECKMULTISIG)
}

func p2sh(redeem []byte) []byte {
	return append(append([]byte{0xa9, 20}, address.Hash160(redeem)...), 0x87)
}

func p2wsh(script []byte) []byte {
	sum := sha256.Sum256(script)
	return append([]byte{0, 32}, sum[:]...)
}

func parse(t testing.TB, payload []byte, ask chain.Ask) chain.Parsed {
	t.Helper()
	p, err := chain.Parse(bitcoin.Decoder{}, payload, ask)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func warned(p chain.Parsed, code string) bool {
	return slices.ContainsFunc(p.Intent().Warnings, func(w chain.Warning) bool { return w.Code == code })
}

// runs executes all inputs of a signed transaction by btcd's engine.
func runs(t testing.TB, signed []byte, coins map[wire.OutPoint]*wire.TxOut) *wire.MsgTx {
	t.Helper()
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(signed)); err != nil {
		t.Fatal(err)
	}
	known := txscript.NewMultiPrevOutFetcher(coins)
	hashes := txscript.NewTxSigHashes(&tx, known)
	for i, in := range tx.TxIn {
		c := coins[in.PreviousOutPoint]
		vm, err := txscript.NewEngine(c.PkScript, &tx, i, txscript.StandardVerifyFlags, nil, hashes, c.Value, known)
		if err == nil {
			err = vm.Execute()
		}
		if err != nil {
			t.Errorf("input %d: %v", i, err)
		}
	}
	return &tx
}

// coins are what a draft's inputs spend.
func (d *draft) coins(values []int64, scripts [][]byte) map[wire.OutPoint]*wire.TxOut {
	all := map[wire.OutPoint]*wire.TxOut{}
	for i, in := range d.tx.TxIn {
		all[in.PreviousOutPoint] = &wire.TxOut{Value: values[i], PkScript: scripts[i]}
	}
	return all
}
