package interop_test

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"keyward/internal/chain/ethereum"
)

// TestBytesAreReadAsGoEthereumReadsThem mutates signed transactions. What
// keyward takes go-ethereum takes too, with the same hash and sender; what only
// keyward refuses it refuses for a reason that is known.
func TestBytesAreReadAsGoEthereumReadsThem(t *testing.T) {
	s := newSource("mutated")
	taken, refused := 0, map[string]int{}
	for range rounds(t, 60_000) {
		raw := s.mutate(s.raw(t))
		got, err := ethereum.DecodeSigned(raw)
		want := new(types.Transaction)
		theirs := want.UnmarshalBinary(raw)
		why := ""
		if theirs == nil {
			why = stricter(want)
		}
		switch {
		case err == nil && theirs != nil:
			t.Fatalf("keyward takes what go-ethereum refuses: %v\nraw %x", theirs, raw)
		case err == nil && why != "":
			t.Fatalf("keyward takes a transaction with %s\nraw %x", why, raw)
		case err != nil && theirs == nil && why == "":
			t.Fatalf("keyward refuses what go-ethereum takes: %v\nraw %x", err, raw)
		case err == nil:
			taken++
			sameSender(t, raw, got, want)
		case why != "":
			refused[why]++
		}
	}
	t.Logf("taken by both: %d; refused by keyward alone: %v", taken, refused)
	if taken == 0 {
		t.Error("no mutated transaction was taken: nothing was compared")
	}
}

func sameSender(t *testing.T, raw []byte, got *ethereum.Signed, want *types.Transaction) {
	t.Helper()
	again, err := want.MarshalBinary()
	if err != nil || !bytes.Equal(again, raw) {
		t.Fatalf("go-ethereum writes %x (%v), want what it read: %x", again, err, raw)
	}
	if got.Hash() != want.Hash() {
		t.Fatalf("got hash %x, want %x\nraw %x", got.Hash(), want.Hash(), raw)
	}
	var signer types.Signer = types.HomesteadSigner{}
	if want.Protected() {
		signer = types.LatestSignerForChainID(want.ChainId())
	}
	from, theirs := types.Sender(signer, want)
	public, err := got.Sender()
	if (err == nil) != (theirs == nil) {
		t.Fatalf("got sender error %v, go-ethereum's %v\nraw %x", err, theirs, raw)
	}
	if err != nil {
		return // r is on no point of the curve
	}
	address, err := ethereum.AddressOf(public)
	if err != nil || common.Address(address) != from {
		t.Fatalf("got sender %s (%v), want %s\nraw %x", address, err, from, raw)
	}
}

// stricter says what keyward refuses in a transaction that go-ethereum can read
// but no chain would ever take, or that is in a form which keyward does not sign.
func stricter(tx *types.Transaction) string {
	v, r, s := tx.RawSignatureValues()
	id, recovery := tx.ChainId(), new(big.Int).Set(v)
	if tx.Type() == types.LegacyTxType {
		switch {
		case v.Cmp(big.NewInt(27)) == 0 || v.Cmp(big.NewInt(28)) == 0:
			recovery.Sub(v, big.NewInt(27))
		case v.Cmp(big.NewInt(37)) < 0 || !v.IsUint64():
			return "an impossible v"
		default:
			recovery.And(recovery.Sub(v, big.NewInt(35)), big.NewInt(1))
		}
	}
	fee := new(big.Int).Mul(new(big.Int).SetUint64(tx.Gas()), tx.GasFeeCap())
	if tx.Type() == types.BlobTxType {
		fee.Add(fee, new(big.Int).Mul(new(big.Int).SetUint64(tx.BlobGas()), tx.BlobGasFeeCap()))
	}
	switch {
	case tx.BlobTxSidecar() != nil:
		return "the form for the network, with blobs"
	case tx.Type() == types.BlobTxType && (len(tx.BlobHashes()) == 0 || slices.ContainsFunc(tx.BlobHashes(), func(h common.Hash) bool { return h[0] != 1 })):
		return "no blobs, or hashes that are not those of blobs"
	case tx.Type() == types.SetCodeTxType && len(tx.SetCodeAuthorizations()) == 0:
		return "no authorizations"
	case tx.Type() != types.LegacyTxType && (id.Sign() == 0 || !id.IsUint64() || id.Uint64() > maxChainID):
		return "an impossible chain id"
	case !recovery.IsUint64() || recovery.Uint64() > 1 || !crypto.ValidateSignatureValues(byte(recovery.Uint64()), r, s, true):
		return "an impossible signature"
	case tx.Nonce() == math.MaxUint64:
		return "the nonce of EIP-2681"
	case tx.GasTipCap().Cmp(tx.GasFeeCap()) > 0:
		return "a tip above the fee cap"
	case max(tx.Value().BitLen(), tx.GasFeeCap().BitLen(), tx.GasTipCap().BitLen(), fee.BitLen()) > 256:
		return "more than 256 bits"
	}
	return ""
}

// raw is a signed transaction; one legacy one in four binds itself to no chain.
func (s source) raw(t *testing.T) []byte {
	t.Helper()
	tx, chainID := s.transaction()
	signer := types.LatestSignerForChainID(chainID)
	if tx.Type() == types.LegacyTxType && s.IntN(4) == 0 {
		signer = types.HomesteadSigner{}
	}
	// Any r and s below the order will do: a half of them recovers to a sender.
	sig := append(s.bytes(64), byte(s.IntN(2)))
	sig[0], sig[32] = 0x7f, 0x3f
	signed, err := tx.WithSignature(signer, sig)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// mutate changes raw in one to three places, as a bad link or a bad actor would.
func (s source) mutate(raw []byte) []byte {
	for range 1 + s.IntN(3) {
		at := s.IntN(len(raw) + 1)
		if s.IntN(3) == 0 {
			at = min(at, s.IntN(12)) // where type and lengths stand
		}
		head, tail := raw[:at:at], raw[at:]
		switch n := s.IntN(7); {
		case len(tail) == 0 || n == 0:
			raw = append(append(head, byte(s.Uint32())), tail...)
		case n == 1 && len(raw) > 1:
			raw = append(head, tail[1:]...)
		case n == 2 && at > 0:
			raw = head
		case n == 3:
			raw = append(append(head, tail[:min(len(tail), 3)]...), tail...)
		case n == 4:
			raw = append(append(head, []byte{0, 1, 0x7f, 0x80, 0x81, 0xb8, 0xc0, 0xf8, 0xff}[s.IntN(9)]), tail[1:]...)
		default:
			raw = append(append(head, tail[0]^1<<s.IntN(8)), tail[1:]...)
		}
	}
	return raw
}
