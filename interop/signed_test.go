package interop_test

import (
	"bytes"
	"crypto/ecdsa"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

// testKey is a key that go-ethereum made, as keyward calls it.
func testKey(t *testing.T, s source) (*ecdsa.PrivateKey, key.Public) {
	t.Helper()
	private, err := crypto.ToECDSA(s.bytes(32))
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.MarshalSecp256k1([65]byte(crypto.FromECDSAPub(&private.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

// TestTransactionsAreThoseOfGoEthereum compares, for random transactions of
// types 0 to 4 in both unsigned forms: digest, meaning, raw signed bytes, hash
// and sender.
func TestTransactionsAreThoseOfGoEthereum(t *testing.T) {
	s := newSource("signed")
	var asked []signedBy
	for i := range rounds(t, 1500) {
		tx, chainID := s.transaction()
		private, public := testKey(t, s)
		from := crypto.PubkeyToAddress(private.PublicKey)
		signer := types.LatestSignerForChainID(chainID)
		digest := signer.Hash(tx)
		sig, err := crypto.Sign(digest[:], private)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := tx.WithSignature(signer, sig)
		if err != nil {
			t.Fatal(err)
		}
		want, err := signed.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for form, payload := range map[string][]byte{
			"JSON": unsignedJSON(t, tx, chainID), "RLP": unsignedRLP(t, tx, chainID), "hex": []byte(hexutil.Encode(unsignedRLP(t, tx, chainID))),
		} {
			got := signedByKeyward(t, payload, public, digest, sig)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d, as %s: got raw transaction %x, want %x\npayload %q", i, form, got, want, payload)
			}
		}
		sameSigned(t, want, signed, from)
		if forJavaScript(tx, chainID) {
			asked = append(asked, signedBy{signed, want, from})
		}
	}
	t.Run("viem", func(t *testing.T) { sameForViem(t, asked[:len(asked)/4]) })
}

// forJavaScript tells whether all that viem reads as a number is one there.
func forJavaScript(tx *types.Transaction, chainID *big.Int) bool {
	for _, a := range tx.SetCodeAuthorizations() {
		if a.ChainID.BitLen() > 53 || a.Nonce >= 1<<53 {
			return false
		}
	}
	return max(tx.Nonce(), chainID.Uint64()) < 1<<53
}

// signedByKeyward reads an unsigned transaction with keyward's own code and puts
// a signature into it.
func signedByKeyward(t *testing.T, payload []byte, public key.Public, digest [32]byte, sig []byte) []byte {
	t.Helper()
	parsed, err := chain.Parse(ethereum.Decoder{}, payload, chain.Ask{Public: public})
	if err != nil {
		t.Fatalf("%v\npayload %q", err, payload)
	}
	if parsed.Type() != chain.TypeTx || len(parsed.Tasks()) != 1 || !bytes.Equal(parsed.Tasks()[0].Digest, digest[:]) {
		t.Fatalf("got %s with digests %x, want a transaction with %x\npayload %q", parsed.Type(), parsed.Tasks(), digest, payload)
	}
	raw, err := parsed.Assemble([]key.Recoverable{{R: [32]byte(sig[:32]), S: [32]byte(sig[32:64]), V: sig[64]}})
	if err != nil {
		t.Fatalf("%v\npayload %q", err, payload)
	}
	return raw
}

// sameSigned compares what keyward reads in a signed transaction with what
// go-ethereum knows of it.
func sameSigned(t *testing.T, raw []byte, want *types.Transaction, from common.Address) {
	t.Helper()
	got, err := ethereum.DecodeSigned(raw)
	if err != nil {
		t.Fatalf("%v\nraw %x", err, raw)
	}
	if got.Hash() != want.Hash() || got.ChainID() != want.ChainId().Uint64() {
		t.Errorf("got hash %x of chain %d, want %x of %v\nraw %x", got.Hash(), got.ChainID(), want.Hash(), want.ChainId(), raw)
	}
	seen, err := ethereum.Decoder{}.Inspect(raw)
	if err != nil {
		t.Fatalf("%v\nraw %x", err, raw)
	}
	in := seen.Intent
	if in.From != from.Hex() || seen.Hash != want.Hash().Hex() || in.Nonce == nil || *in.Nonce != want.Nonce() {
		t.Errorf("got from %s, hash %s, nonce %v; want %s, %s, %d\nraw %x", in.From, seen.Hash, in.Nonce, from.Hex(), want.Hash().Hex(), want.Nonce(), raw)
	}
	fee := new(big.Int).Mul(new(big.Int).SetUint64(want.Gas()), want.GasFeeCap())
	if want.Type() == types.BlobTxType {
		fee.Add(fee, new(big.Int).Mul(new(big.Int).SetUint64(want.BlobGas()), want.BlobGasFeeCap()))
	}
	if in.Fee == nil || in.Fee.Max.Cmp(fee) != 0 {
		t.Errorf("got fee %v, want %v\nraw %x", in.Fee, fee, raw)
	}
	sameDelegations(t, in, want)
	paid := new(big.Int)
	for _, m := range in.Moves {
		if m.Asset.ID == in.Fee.Asset.ID {
			paid.Add(paid, m.Amount)
		}
	}
	if paid.Cmp(want.Value()) != 0 {
		t.Errorf("got moves of %v wei, want %v\nraw %x", paid, want.Value(), raw)
	}
}

// sameDelegations wants each authorization shown, with the account that
// go-ethereum recovers.
func sameDelegations(t *testing.T, in chain.Intent, want *types.Transaction) {
	t.Helper()
	var said []string
	for _, w := range in.Warnings {
		if w.Code == "delegation" {
			said = append(said, w.Text)
		}
	}
	all := want.SetCodeAuthorizations()
	if len(said) != len(all) {
		t.Fatalf("got %d delegations, want %d", len(said), len(all))
	}
	for i, a := range all {
		shown := "no valid signature"
		if who, err := a.Authority(); err == nil {
			shown = who.Hex()
		}
		if !strings.Contains(said[i], shown) || !strings.Contains(said[i], a.Address.Hex()) {
			t.Errorf("got %q, want it to say %s and %s", said[i], shown, a.Address.Hex())
		}
	}
}

// signedBy is a transaction with what is known of it.
type signedBy struct {
	tx   *types.Transaction
	raw  hexutil.Bytes
	from common.Address
}

type viemQuestion struct {
	Transaction hexutil.Bytes `json:"transaction"`
}

type viemTransaction struct {
	From, Hash, To, Value, Data string
	ChainID, Nonce              uint64
}

// sameForViem compares the transactions that keyward made with what viem reads.
func sameForViem(t *testing.T, all []signedBy) {
	t.Helper()
	var questions []viemQuestion
	for _, s := range all {
		questions = append(questions, viemQuestion{s.raw})
	}
	for i, got := range askViem[viemQuestion, viemTransaction](t, questions) {
		tx := all[i].tx
		want := viemTransaction{
			From: all[i].from.Hex(), Hash: tx.Hash().Hex(), Value: tx.Value().String(), Data: hexutil.Encode(tx.Data()),
			ChainID: tx.ChainId().Uint64(), Nonce: tx.Nonce(),
		}
		if tx.To() != nil {
			want.To = tx.To().Hex()
		}
		if got.To != "" {
			got.To = common.HexToAddress(got.To).Hex() // it writes them in lower case
		}
		if got != want {
			t.Errorf("viem says %+v, want %+v\nraw %s", got, want, all[i].raw)
		}
	}
}
