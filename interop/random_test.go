package interop_test

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

// maxChainID keeps v within 64 bits (EIP-2294).
const maxChainID = math.MaxUint64/2 - 36

// source makes random transactions, the same in every run.
type source struct{ *rand.Rand }

func newSource(name string) source {
	return source{rand.New(rand.NewChaCha8(crypto.Keccak256Hash([]byte(name))))}
}

// bits is a number of up to n bits, with short ones as likely as long ones.
func (s source) bits(n int) *big.Int {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return new(big.Int).Rsh(new(big.Int).SetBytes(b), uint(256-s.IntN(n+1)))
}

func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return b
}

func (s source) chainID() *big.Int {
	known := []uint64{1, 10, 137, 31337, 11155111, 1 << 40, maxChainID}
	if s.IntN(4) > 0 {
		return new(big.Int).SetUint64(known[s.IntN(len(known))])
	}
	return new(big.Int).SetUint64(1 + s.Uint64N(maxChainID))
}

func (s source) accessList() types.AccessList {
	list := types.AccessList{}
	for range s.IntN(3) {
		pair := types.AccessTuple{Address: common.Address(s.bytes(20)), StorageKeys: []common.Hash{}}
		for range s.IntN(3) {
			pair.StorageKeys = append(pair.StorageKeys, common.Hash(s.bytes(32)))
		}
		list = append(list, pair)
	}
	return list
}

// data is call data: none, a token's transfer, or anything.
func (s source) data() []byte {
	switch s.IntN(4) {
	case 0, 1:
		return nil
	case 2:
		return transfer(common.Address(s.bytes(20)), s.bits(256))
	}
	return s.bytes(1 + s.IntN(300))
}

// transaction is one that keyward may sign: it binds itself to a chain, and all
// that it can cost fits into 256 bits.
func (s source) transaction() (*types.Transaction, *big.Int) {
	chainID := s.chainID()
	nonce, gas := min(s.bits(64).Uint64(), math.MaxUint64-1), s.bits(64).Uint64()
	price, value := s.bits(180), s.bits(255)
	data := s.data()
	to := new(common.Address)
	to.SetBytes(s.bytes(20))
	if len(data) > 0 && s.IntN(4) == 0 {
		to = nil
	}
	kind := s.IntN(5)
	switch kind {
	case types.LegacyTxType:
		return types.NewTx(&types.LegacyTx{Nonce: nonce, GasPrice: price, Gas: gas, To: to, Value: value, Data: data}), chainID
	case types.AccessListTxType:
		return types.NewTx(&types.AccessListTx{
			ChainID: chainID, Nonce: nonce, GasPrice: price, Gas: gas, To: to, Value: value, Data: data, AccessList: s.accessList(),
		}), chainID
	}
	tip := new(big.Int).Rsh(price, uint(s.IntN(8)))
	called := common.Address(s.bytes(20)) // of the types that create nothing
	switch kind {
	case types.BlobTxType:
		return types.NewTx(&types.BlobTx{
			ChainID: word(chainID), Nonce: nonce, GasTipCap: word(tip), GasFeeCap: word(price), Gas: gas, To: called, Value: word(value), Data: data,
			AccessList: s.accessList(), BlobFeeCap: word(s.bits(180)), BlobHashes: s.blobHashes(),
		}), chainID
	case types.SetCodeTxType:
		return types.NewTx(&types.SetCodeTx{
			ChainID: word(chainID), Nonce: nonce, GasTipCap: word(tip), GasFeeCap: word(price), Gas: gas, To: called, Value: word(value), Data: data,
			AccessList: s.accessList(), AuthList: s.authorizations(),
		}), chainID
	}
	return types.NewTx(&types.DynamicFeeTx{
		ChainID: chainID, Nonce: nonce, GasTipCap: tip, GasFeeCap: price, Gas: gas, To: to, Value: value, Data: data, AccessList: s.accessList(),
	}), chainID
}

func word(n *big.Int) *uint256.Int { return uint256.MustFromBig(n) }

func (s source) blobHashes() (all []common.Hash) {
	for range 1 + s.IntN(6) {
		hash := common.Hash(s.bytes(32))
		hash[0] = 1
		all = append(all, hash)
	}
	return all
}

// authorizations are of EIP-7702: three in four are signed by somebody, the
// others hold anything that fits.
func (s source) authorizations() (all []types.SetCodeAuthorization) {
	for range 1 + s.IntN(3) {
		a := types.SetCodeAuthorization{ChainID: *word(s.bits(60)), Address: common.Address(s.bytes(20)), Nonce: s.bits(60).Uint64()}
		if private, err := crypto.ToECDSA(s.bytes(32)); err == nil && s.IntN(4) > 0 {
			if a, err = types.SignSetCode(private, a); err == nil {
				all = append(all, a)
				continue
			}
		}
		a.V, a.R, a.S = byte(s.Uint32()), *word(s.bits(256)), *word(s.bits(256))
		all = append(all, a)
	}
	return all
}

// unsignedJSON writes a transaction with the field names of eth_signTransaction.
func unsignedJSON(t *testing.T, tx *types.Transaction, chainID *big.Int) []byte {
	t.Helper()
	fields := map[string]any{
		"chainId": hexutil.EncodeBig(chainID), "nonce": hexutil.EncodeUint64(tx.Nonce()), "gas": hexutil.EncodeUint64(tx.Gas()),
		"value": hexutil.EncodeBig(tx.Value()), "data": hexutil.Encode(tx.Data()),
	}
	if tx.To() != nil {
		fields["to"] = tx.To().Hex()
	}
	if tx.Type() >= types.DynamicFeeTxType {
		fields["maxFeePerGas"], fields["maxPriorityFeePerGas"] = hexutil.EncodeBig(tx.GasFeeCap()), hexutil.EncodeBig(tx.GasTipCap())
	} else {
		fields["gasPrice"] = hexutil.EncodeBig(tx.GasPrice())
	}
	if tx.Type() != types.LegacyTxType {
		fields["type"], fields["accessList"] = hexutil.EncodeUint64(uint64(tx.Type())), tx.AccessList()
	}
	switch tx.Type() {
	case types.BlobTxType:
		fields["maxFeePerBlobGas"], fields["blobVersionedHashes"] = hexutil.EncodeBig(tx.BlobGasFeeCap()), tx.BlobHashes()
	case types.SetCodeTxType:
		fields["authorizationList"] = tx.SetCodeAuthorizations()
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unsignedRLP writes what is hashed to be signed: EIP-155, EIP-2930, EIP-1559,
// EIP-4844, EIP-7702.
func unsignedRLP(t *testing.T, tx *types.Transaction, chainID *big.Int) []byte {
	t.Helper()
	to := []byte{}
	if tx.To() != nil {
		to = tx.To().Bytes()
	}
	var fields []any
	switch tx.Type() {
	case types.LegacyTxType:
		fields = []any{tx.Nonce(), tx.GasPrice(), tx.Gas(), to, tx.Value(), tx.Data(), chainID, uint(0), uint(0)}
	case types.AccessListTxType:
		fields = []any{chainID, tx.Nonce(), tx.GasPrice(), tx.Gas(), to, tx.Value(), tx.Data(), tx.AccessList()}
	default:
		fields = []any{chainID, tx.Nonce(), tx.GasTipCap(), tx.GasFeeCap(), tx.Gas(), to, tx.Value(), tx.Data(), tx.AccessList()}
	}
	switch tx.Type() {
	case types.BlobTxType:
		fields = append(fields, tx.BlobGasFeeCap(), tx.BlobHashes())
	case types.SetCodeTxType:
		fields = append(fields, tx.SetCodeAuthorizations())
	}
	text, err := rlp.EncodeToBytes(fields)
	if err != nil {
		t.Fatal(err)
	}
	if tx.Type() != types.LegacyTxType {
		text = append([]byte{tx.Type()}, text...)
	}
	return text
}
