package bitcoin

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// The one place that touches btcd: what of Bitcoin's consensus others keep up
// to date for us. Its decoders of transactions, PSBTs and addresses are not
// used; they take more forms than one.

type (
	msgTx    = wire.MsgTx
	txIn     = wire.TxIn
	outPoint = wire.OutPoint
	hash256  = chainhash.Hash // in the order of bytes that is hashed and sent
)

func newTx(version int32) *msgTx { return wire.NewMsgTx(version) }

func addInput(t *msgTx, hash hash256, index uint32, script []byte, sequence uint32) {
	t.TxIn = append(t.TxIn, &wire.TxIn{
		PreviousOutPoint: wire.OutPoint{Hash: hash, Index: index}, SignatureScript: script, Sequence: sequence,
	})
}

func addOutput(t *msgTx, value int64, script []byte) {
	t.TxOut = append(t.TxOut, &wire.TxOut{Value: value, PkScript: script})
}

type writer []byte

func (w *writer) Write(b []byte) (int, error) {
	*w = append(*w, b...)
	return len(b), nil
}

// serialize writes a transaction, with witnesses where it has some (BIP-144).
func serialize(t *msgTx) ([]byte, error) {
	w := make(writer, 0, t.SerializeSize())
	err := t.Serialize(&w)
	return w, err
}

func hash160(b []byte) []byte { return address.Hash160(b) }

// outputKey is the x of the Taproot output key of an internal key (x alone, 32
// bytes) and a Merkle root, nil for none (BIP-341).
func outputKey(internal, root []byte) ([]byte, error) {
	point, err := secp256k1.ParsePubKey(append([]byte{2}, internal...))
	if err != nil {
		return nil, errors.New("a Taproot key that is no point of the curve")
	}
	return txscript.ComputeTaprootOutputKey(point, root).SerializeCompressed()[1:], nil
}

// Sighash types (BIP-143, BIP-341).
const (
	sighashDefault      = uint32(txscript.SigHashDefault)
	sighashAll          = uint32(txscript.SigHashAll)
	sighashNone         = uint32(txscript.SigHashNone)
	sighashSingle       = uint32(txscript.SigHashSingle)
	sighashAnyoneCanPay = uint32(txscript.SigHashAnyOneCanPay)
)

// sighasher computes the digests of one transaction's signatures. What all of
// them share it hashes once.
type sighasher struct {
	tx     *msgTx
	coins  []coin
	byName *txscript.MultiPrevOutFetcher
	shared *txscript.TxSigHashes

	hashed, checked int // spent of the limits below
}

const (
	// maxHashed bounds what legacy digests hash, in bytes: each of them hashes the
	// whole transaction, and the largest that nodes relay need a third of this.
	maxHashed = 64 << 20
	// maxChecks bounds the signatures that scripts can have checked.
	maxChecks = 20_000
)

// afresh has the limits before it anew, and the same hashes.
func (s *sighasher) afresh() *sighasher {
	c := *s
	c.hashed, c.checked = 0, 0
	return &c
}

func (s *sighasher) spendHashing() error {
	if s.hashed += s.tx.SerializeSizeStripped(); s.hashed > maxHashed {
		return errors.New("too many legacy inputs for one transaction: split it")
	}
	return nil
}

func (s *sighasher) spendChecks(n int) error {
	if s.checked += n; s.checked > maxChecks {
		return errors.New("the scripts of the final inputs check too many signatures")
	}
	return nil
}

// newSighasher needs to know every coin that the transaction spends.
func newSighasher(t *msgTx, coins []coin) *sighasher {
	s := &sighasher{tx: t, coins: coins, byName: txscript.NewMultiPrevOutFetcher(nil)}
	for i, in := range t.TxIn {
		s.byName.AddPrevOut(in.PreviousOutPoint, &wire.TxOut{Value: coins[i].value, PkScript: coins[i].script})
	}
	s.shared = txscript.NewTxSigHashes(t, s.byName)
	return s
}

// legacy is the digest of inputs before BIP-143; it hashes the whole transaction.
func (s *sighasher) legacy(i int, script []byte, kind uint32) ([]byte, error) {
	if err := s.spendHashing(); err != nil {
		return nil, err
	}
	return txscript.CalcSignatureHash(script, txscript.SigHashType(kind), s.tx, i)
}

// witness is the digest of BIP-143; the script of P2WPKH is the output's own.
func (s *sighasher) witness(i int, script []byte, kind uint32) ([]byte, error) {
	return txscript.CalcWitnessSigHash(script, s.shared, txscript.SigHashType(kind), s.tx, i, s.coins[i].value)
}

// taproot is the digest of BIP-341 for the key path, without annex.
func (s *sighasher) taproot(i int, kind uint32) ([]byte, error) {
	return txscript.CalcTaprootSignatureHash(s.shared, txscript.SigHashType(kind), s.tx, i, s.byName)
}

// execute runs an input's scripts as nodes do, with their rules of relay too.
// The transaction carries the scriptSigs and witnesses.
func (s *sighasher) execute(signed *msgTx, i int) error {
	n := checksOf(signed.TxIn[i], s.coins[i].script)
	if err := s.spendChecks(n); err != nil {
		return err
	}
	if _, _, witness := isWitness(s.coins[i].script); !witness && len(signed.TxIn[i].Witness) == 0 {
		for range n {
			if err := s.spendHashing(); err != nil {
				return err
			}
		}
	}
	vm, err := txscript.NewEngine(s.coins[i].script, signed, i, txscript.StandardVerifyFlags, nil, s.shared, s.coins[i].value, s.byName)
	if err == nil {
		err = vm.Execute()
	}
	if err != nil {
		return fmt.Errorf("its scripts do not hold: %w", err)
	}
	return nil
}

// checksOf is at least as many signatures as an input's scripts can check.
func checksOf(in *txIn, script []byte) int {
	if _, ok := isPayScriptHash(script); ok {
		items, plain := pushes(in.SignatureScript)
		if !plain || len(items) == 0 {
			return 1 + countChecks(in.SignatureScript, false) // the script is somewhere in it
		}
		script = items[len(items)-1]
	}
	version, program, witness := isWitness(script)
	switch {
	case witness && version == 0 && len(program) == 32 && len(in.Witness) > 0:
		script = in.Witness[len(in.Witness)-1]
	case witness:
		size := 0
		for _, item := range in.Witness {
			size += len(item)
		}
		return 1 + size/50 // BIP-342 has this limit of its own
	}
	if multi, ok := isMultisig(script); ok {
		return len(multi.keys)
	}
	return max(1, countChecks(script, true)+countChecks(in.SignatureScript, true))
}

// countChecks counts opcodes; with skip not those inside pushes.
func countChecks(script []byte, skip bool) (n int) {
	count := func(op byte) {
		switch op {
		case txscript.OP_CHECKSIG, txscript.OP_CHECKSIGVERIFY:
			n++
		case txscript.OP_CHECKMULTISIG, txscript.OP_CHECKMULTISIGVERIFY:
			n += txscript.MaxPubKeysPerMultiSig
		}
	}
	if !skip {
		for _, op := range script {
			count(op)
		}
		return n
	}
	t := txscript.MakeScriptTokenizer(0, script)
	for t.Next() { // nothing runs of a script that cannot be read to its end
		count(t.Opcode())
	}
	return n
}

// separates finds OP_CODESEPARATOR, also in what is never executed.
func separates(script []byte) bool {
	t := txscript.MakeScriptTokenizer(0, script)
	for t.Next() {
		if t.Opcode() == txscript.OP_CODESEPARATOR {
			return true
		}
	}
	return false
}

// verifyECDSA checks a DER signature over a digest of 32 bytes.
func verifyECDSA(key, digest, der []byte) bool {
	point, err := secp256k1.ParsePubKey(key)
	if err != nil {
		return false
	}
	sig, err := ecdsa.ParseDERSignature(der)
	return err == nil && sig.Verify(digest, point)
}

// verifySchnorr checks a signature of BIP-340 by the key of this x.
func verifySchnorr(x, digest, sig []byte) bool {
	point, err := schnorr.ParsePubKey(x)
	if err != nil {
		return false
	}
	parsed, err := schnorr.ParseSignature(sig)
	return err == nil && parsed.Verify(digest, point)
}

// decodeBase58 reads a version and 20 bytes behind it, checksum verified.
func decodeBase58(s string) (version byte, hash []byte, err error) {
	hash, version, err = base58.CheckDecode(s)
	if err == nil && len(hash) != 20 {
		err = errors.New("wrong length")
	}
	return version, hash, err
}

func encodeBase58(version byte, hash []byte) string { return base58.CheckEncode(hash, version) }

// decodeBech32 reads a segwit address (BIP-173, BIP-350): bech32 for version 0,
// bech32m for all others.
func decodeBech32(s string) (hrp string, version byte, program []byte, err error) {
	hrp, data, checksum, err := bech32.DecodeGeneric(s)
	if err != nil || len(data) == 0 {
		return "", 0, nil, errors.New("wrong checksum or character")
	}
	want := bech32.VersionM
	if version = data[0]; version == 0 {
		want = bech32.Version0
	}
	program, err = bech32.ConvertBits(data[1:], 5, 8, false)
	switch {
	case err != nil:
		return "", 0, nil, errors.New("wrong padding")
	case checksum != want:
		return "", 0, nil, errors.New("the checksum of another witness version")
	}
	return hrp, version, program, nil
}

func encodeBech32(hrp string, version byte, program []byte) (string, error) {
	data, err := bech32.ConvertBits(program, 8, 5, true)
	if err != nil {
		return "", err
	}
	data = append([]byte{version}, data...)
	if version == 0 {
		return bech32.Encode(hrp, data)
	}
	return bech32.EncodeM(hrp, data)
}
