package bitcoin

import (
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/key"
)

// The types of records, by the names of BIP-174, BIP-371 and BIP-322.
const (
	globalUnsignedTx = 0x00
	globalXpub       = 0x01
	globalMessage    = 0x09 // PSBT_GLOBAL_GENERIC_SIGNED_MESSAGE
	globalVersion    = 0xfb

	inNonWitnessUTXO     = 0x00
	inWitnessUTXO        = 0x01
	inPartialSig         = 0x02
	inSighashType        = 0x03
	inRedeemScript       = 0x04
	inWitnessScript      = 0x05
	inDerivation         = 0x06
	inFinalScriptSig     = 0x07
	inFinalScriptWitness = 0x08
	inRIPEMD160          = 0x0a
	inSHA256             = 0x0b
	inHASH160            = 0x0c
	inHASH256            = 0x0d
	inTapKeySig          = 0x13
	inTapScriptSig       = 0x14
	inTapLeafScript      = 0x15
	inTapDerivation      = 0x16
	inTapInternalKey     = 0x17
	inTapMerkleRoot      = 0x18

	outRedeemScript   = 0x00
	outWitnessScript  = 0x01
	outDerivation     = 0x02
	outTapInternalKey = 0x05
	outTapTree        = 0x06
	outTapDerivation  = 0x07

	proprietary = 0xfc
)

// rule is what a BIP says of one type of record.
type rule struct {
	name  string
	key   func([]byte) error // of the key data
	value func([]byte) error
}

type table map[uint64]rule

var (
	globalFields = table{
		globalUnsignedTx: {"unsigned transaction", none, anything}, // read by psbt.version
		globalXpub:       {"extended public key", size(78), origin},
		globalMessage:    {"signed message", none, anything},
		globalVersion:    {"version", none, size(4)},
		proprietary:      {"proprietary record", identifier, anything},
	}
	inputFields = table{
		inNonWitnessUTXO:     {"non-witness UTXO", none, anything}, // read by psbt.previousOf
		inWitnessUTXO:        {"witness UTXO", none, oneCoin},
		inPartialSig:         {"partial signature", publicKey, signature},
		inSighashType:        {"sighash type", none, size(4)},
		inRedeemScript:       {"redeem script", none, anything},
		inWitnessScript:      {"witness script", none, anything},
		inDerivation:         {"BIP-32 derivation", publicKey, origin},
		inFinalScriptSig:     {"final scriptSig", none, anything},
		inFinalScriptWitness: {"final witness", none, oneStack},
		inRIPEMD160:          {"RIPEMD-160 preimage", size(20), anything},
		inSHA256:             {"SHA-256 preimage", size(32), anything},
		inHASH160:            {"HASH160 preimage", size(20), anything},
		inHASH256:            {"HASH256 preimage", size(32), anything},
		inTapKeySig:          {"Taproot key signature", none, size(64, 65)},
		inTapScriptSig:       {"Taproot script signature", size(64), size(64, 65)},
		inTapLeafScript:      {"Taproot leaf script", controlBlock, notEmpty},
		inTapDerivation:      {"Taproot derivation", size(32), tapOrigin},
		inTapInternalKey:     {"Taproot internal key", none, size(32)},
		inTapMerkleRoot:      {"Taproot Merkle root", none, size(32)},
		proprietary:          {"proprietary record", identifier, anything},
	}
	outputFields = table{
		outRedeemScript:   {"redeem script", none, anything},
		outWitnessScript:  {"witness script", none, anything},
		outDerivation:     {"BIP-32 derivation", publicKey, origin},
		outTapInternalKey: {"Taproot internal key", none, size(32)},
		outTapTree:        {"Taproot tree", none, tapTree},
		outTapDerivation:  {"Taproot derivation", size(32), tapOrigin},
		proprietary:       {"proprietary record", identifier, anything},
	}
)

func (t table) name(kind uint64) string {
	if r, ok := t[kind]; ok {
		return r.name
	}
	return fmt.Sprintf("record of type 0x%02x", kind)
}

// check holds a record to its rule; records without one may be anything.
func (t table) check(f field) error {
	r, ok := t[f.kind]
	if !ok {
		return nil
	}
	if err := r.key(f.data()); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return r.value(f.value)
}

func anything([]byte) error { return nil }

func none(b []byte) error {
	if len(b) != 0 {
		return fmt.Errorf("%d bytes behind its type, want none", len(b))
	}
	return nil
}

func notEmpty(b []byte) error {
	if len(b) == 0 {
		return errors.New("it is empty")
	}
	return nil
}

func size(allowed ...int) func([]byte) error {
	return func(b []byte) error {
		for _, n := range allowed {
			if len(b) == n {
				return nil
			}
		}
		return fmt.Errorf("%d bytes, want %v", len(b), allowed)
	}
}

func publicKey(b []byte) error {
	if len(b) != 33 && len(b) != 65 {
		return fmt.Errorf("a public key of %d bytes, want 33 or 65", len(b))
	}
	if _, err := secp256k1.ParsePubKey(b); err != nil {
		return errors.New("not a public key on the curve")
	}
	return nil
}

// signature is ECDSA in strict DER and its sighash type.
func signature(b []byte) error {
	if len(b) < 2 {
		return errors.New("too short")
	}
	if _, err := ecdsa.ParseDERSignature(b[:len(b)-1]); err != nil {
		return errors.New("not strict DER")
	}
	return checkSighash(uint32(b[len(b)-1]), false)
}

// origin is the fingerprint of a master key and the path from it.
func origin(b []byte) error {
	if len(b) < 4 || len(b)%4 != 0 {
		return fmt.Errorf("%d bytes, want a fingerprint and steps of four bytes each", len(b))
	}
	return nil
}

func parseOrigin(b []byte) (master [4]byte, path key.Path) {
	r := &reader{rest: b}
	copy(master[:], r.take(4))
	path = key.Path{}
	for len(r.rest) > 0 {
		path = append(path, r.uint32())
	}
	return master, path
}

// tapOrigin has the hashes of leaves before the origin (BIP-371).
func tapOrigin(b []byte) error {
	_, rest, err := splitTapOrigin(b)
	if err != nil {
		return err
	}
	return origin(rest)
}

func splitTapOrigin(b []byte) (leaves int, rest []byte, err error) {
	r := &reader{rest: b}
	n := r.compact()
	if n > uint64(len(r.rest))/32 {
		return 0, nil, errShort
	}
	r.take(32 * n)
	return int(n), r.rest, r.err
}

func oneCoin(b []byte) error {
	_, err := parseCoin(b)
	return err
}

func oneStack(b []byte) error {
	_, err := parseStack(b)
	return err
}

// controlBlock has a first byte, a key, and up to 128 hashes (BIP-341).
func controlBlock(b []byte) error {
	if len(b) < 33 || (len(b)-33)%32 != 0 || (len(b)-33)/32 > 128 {
		return fmt.Errorf("a control block of %d bytes", len(b))
	}
	return nil
}

// tapTree is depth, leaf version and script of each leaf, depth first. The
// leaves must fill the tree (as BIP-371 is read by everybody).
func tapTree(b []byte) error {
	if len(b) == 0 {
		return errors.New("it is empty")
	}
	r := &reader{rest: b}
	var open []byte // depths of branches of which one side is there
	for len(r.rest) > 0 && r.err == nil {
		depth, version := r.byte(), r.byte()
		r.chunk()
		switch {
		case r.err != nil:
			return r.err
		case depth > 128 || version&1 != 0:
			return errors.New("a leaf that cannot be")
		}
		for len(open) > 0 && open[len(open)-1] == depth && depth > 0 {
			open = open[:len(open)-1]
			depth--
		}
		if len(open) > 0 && open[len(open)-1] >= depth {
			return errors.New("its leaves are not in depth-first order")
		}
		open = append(open, depth)
	}
	if r.err == nil && (len(open) != 1 || open[0] != 0) {
		return errors.New("it is not whole")
	}
	return r.err
}

// identifier is what stands behind the type of proprietary records: a name with
// its length, and a subtype.
func identifier(b []byte) error {
	r := &reader{rest: b}
	r.chunk()
	r.compact()
	return r.err
}
