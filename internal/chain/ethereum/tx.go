package ethereum

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// The transaction types of EIP-2718 that have a meaning here.
const (
	legacyTx     = 0
	accessListTx = 1 // EIP-2930
	dynamicFeeTx = 2 // EIP-1559
	blobTx       = 3 // EIP-4844
	setCodeTx    = 4 // EIP-7702
)

// maxChainID keeps v = 2·chainId + 36 within 64 bits (EIP-2294).
const maxChainID = math.MaxUint64/2 - 36

// form is what one type of transaction has, beside what all have.
type form struct {
	items   int  // in its list, without signature; a signature adds three
	named   bool // chainId stands first, and an access list is there
	dynamic bool // maxFeePerGas and maxPriorityFeePerGas instead of gasPrice
	calls   bool // it cannot create a contract
}

var forms = [...]form{
	legacyTx:     {items: 6},
	accessListTx: {items: 8, named: true},
	dynamicFeeTx: {items: 9, named: true, dynamic: true},
	blobTx:       {items: 11, named: true, dynamic: true, calls: true},
	setCodeTx:    {items: 10, named: true, dynamic: true, calls: true},
}

const signatureItems = 3

// tx is an unsigned transaction. Amounts are wei, never nil where the type has
// them, at most 256 bits.
type tx struct {
	kind      byte
	chainID   uint64 // 0: a legacy transaction that names none
	nonce     uint64
	tip       *big.Int // maxPriorityFeePerGas, else nil
	price     *big.Int // maxFeePerGas, else gasPrice
	gas       uint64
	to        *Address // nil: creates a contract
	value     *big.Int
	data      []byte
	access    accessList
	blobPrice *big.Int // maxFeePerBlobGas of type 3, else nil
	blobs     blobHashes
	grants    []authorization // of type 4
}

func (t *tx) form() form { return forms[t.kind] }

// accessList is kept encoded: it has a price, but no meaning to judge.
type accessList struct {
	content   []byte // the RLP list's content, canonical
	addresses int
	keys      int
}

// check refuses what no chain could ever execute.
func (t *tx) check() error {
	switch {
	case t.chainID > maxChainID:
		return fmt.Errorf("chainId: at most %d (EIP-2294)", uint64(maxChainID))
	case t.nonce == math.MaxUint64:
		return errors.New("nonce: 2^64-1 is never valid (EIP-2681)")
	case t.tip != nil && t.tip.Cmp(t.price) > 0:
		return errors.New("maxPriorityFeePerGas: more than maxFeePerGas (EIP-1559)")
	case t.feeBits() > 256 && t.fee().BitLen() > 256:
		return errors.New("gas: gas times its price is more than 256 bits")
	case t.to == nil && t.form().calls:
		return fmt.Errorf("to: missing: a transaction of type %d creates no contract", t.kind)
	case t.kind == blobTx && t.blobs.count == 0:
		return errors.New("blobVersionedHashes: empty: a transaction of type 3 has at least one blob (EIP-4844)")
	case len(t.grants) > maxGrants:
		return fmt.Errorf("authorizationList: more than %d authorizations", maxGrants)
	case t.kind == setCodeTx && len(t.grants) == 0:
		return errors.New("authorizationList: empty: a transaction of type 4 has at least one authorization (EIP-7702)")
	}
	return nil
}

// checkUnsigned refuses also what a chain would execute, to its sender's loss.
func (t *tx) checkUnsigned() error {
	if err := t.check(); err != nil {
		return err
	}
	if t.to == nil && len(t.data) == 0 {
		return errors.New("to: missing, and there is no data to create a contract from: add the recipient's address")
	}
	if max(t.feeBits(), t.value.BitLen()) > 255 && new(big.Int).Add(t.value, t.fee()).BitLen() > 256 {
		return errors.New("value: together with the fee it is more than 256 bits")
	}
	return nil
}

// fee is the most that the gas can cost, that of blobs included, in wei.
func (t *tx) fee() *big.Int {
	fee := new(big.Int).SetUint64(t.gas)
	fee.Mul(fee, t.price)
	if t.kind == blobTx {
		blob := new(big.Int).SetUint64(t.blobs.gas())
		fee.Add(fee, blob.Mul(blob, t.blobPrice))
	}
	return fee
}

// feeBits is a bound on the fee's length that costs no multiplication.
func (t *tx) feeBits() int {
	n := bits.Len64(t.gas) + t.price.BitLen()
	if t.kind == blobTx {
		n = max(n, bits.Len64(t.blobs.gas())+t.blobPrice.BitLen()) + 1
	}
	return n
}

// fields appends what is signed except the tail of EIP-155, in the type's order.
func (t *tx) fields(dst []byte) []byte {
	form := t.form()
	if form.named {
		dst = appendUint(dst, t.chainID)
	}
	dst = appendUint(dst, t.nonce)
	if form.dynamic {
		dst = appendBig(dst, t.tip)
	}
	dst = appendBig(dst, t.price)
	dst = appendUint(dst, t.gas)
	dst = appendAddress(dst, t.to)
	dst = appendBig(dst, t.value)
	dst = appendBytes(dst, t.data)
	if form.named {
		dst = appendList(dst, t.access.content)
	}
	switch t.kind {
	case blobTx:
		dst = appendBig(dst, t.blobPrice)
		dst = appendList(dst, t.blobs.content)
	case setCodeTx:
		dst = appendList(dst, appendGrants(nil, t.grants))
	}
	return dst
}

// envelope is a transaction's encoded fields: what the digest is computed from
// and what the signed form is built from, so that nothing that happens to the
// Intent's numbers afterwards can reach either.
type envelope struct {
	kind    byte
	chainID uint64
	content []byte
}

func (t *tx) envelope() envelope {
	const others, grant = 200, 140 // more than all fields beside data and lists, and than one authorization
	content := t.fields(make([]byte, 0, others+len(t.data)+len(t.access.content)+len(t.blobs.content)+grant*len(t.grants)))
	return envelope{t.kind, t.chainID, content}
}

// unsigned is the encoding that is hashed to be signed: EIP-155 for type 0 with
// a chain id, else EIP-2718.
func (e envelope) unsigned() []byte {
	content := e.content
	if e.kind == legacyTx && e.chainID != 0 {
		content = append(appendUint(content[:len(content):len(content)], e.chainID), rlpEmpty, rlpEmpty)
	}
	return e.wrap(content)
}

func (e envelope) wrap(content []byte) []byte {
	out := make([]byte, 0, len(content)+6)
	if e.kind != legacyTx {
		out = append(out, e.kind)
	}
	return appendList(out, content)
}

func (e envelope) digest() [32]byte { return keccak(e.unsigned()) }

// typeError says why a type of EIP-2718 is not read.
func typeError(kind byte) error {
	if kind == grantMagic {
		return errors.New("type 5 is no transaction but an authorization of EIP-7702, which hands an account to a contract: it is never signed by itself")
	}
	return fmt.Errorf("type: unknown transaction type %d", kind)
}
