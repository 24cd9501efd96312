package ethereum

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// txJSON has the field names of eth_signTransaction; null is as good as absent.
type txJSON struct {
	Type       *string      `json:"type"`
	ChainID    *string      `json:"chainId"`
	From       *string      `json:"from"`
	To         *string      `json:"to"`
	Nonce      *string      `json:"nonce"`
	Gas        *string      `json:"gas"`
	GasPrice   *string      `json:"gasPrice"`
	MaxFee     *string      `json:"maxFeePerGas"`
	MaxTip     *string      `json:"maxPriorityFeePerGas"`
	Value      *string      `json:"value"`
	Data       *string      `json:"data"`
	Input      *string      `json:"input"`
	AccessList *[]entryJSON `json:"accessList"`
	BlobPrice  *string      `json:"maxFeePerBlobGas"`
	Blobs      *[]string    `json:"blobVersionedHashes"`
	Grants     *[]grantJSON `json:"authorizationList"`
}

type entryJSON struct {
	Address     *string  `json:"address"`
	StorageKeys []string `json:"storageKeys"`
}

// grantJSON has the names of the execution API's Authorization.
type grantJSON struct {
	ChainID *string `json:"chainId"`
	Address *string `json:"address"`
	Nonce   *string `json:"nonce"`
	YParity *string `json:"yParity"`
	R       *string `json:"r"`
	S       *string `json:"s"`
}

var strictJSON = json.JoinOptions(json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(false))

// parseJSON reads one JSON object: known names only, none twice, quantities as
// canonical hex.
func parseJSON(text []byte) (*tx, *Address, error) {
	var in txJSON
	if err := json.Unmarshal(text, &in, strictJSON); err != nil {
		return nil, nil, explainJSON(text, err)
	}
	kind, err := in.kind()
	if err != nil {
		return nil, nil, err
	}
	r := &quantities{}
	t := &tx{
		kind:    kind,
		chainID: r.uint64("chainId", in.ChainID, `add the chain that it is for, such as "chainId":"0x1" for Ethereum; without it anybody could replay the transaction on other chains`),
		nonce:   r.uint64("nonce", in.Nonce, `add the number of transactions that the account has sent before, such as "nonce":"0x0"`),
		gas:     r.uint64("gas", in.Gas, `add the gas limit, such as "gas":"0x5208" for a plain transfer`),
		to:      r.address("to", in.To),
		value:   new(big.Int),
		data:    r.data(in.Data, in.Input),
	}
	if in.Value != nil {
		t.value = r.big("value", in.Value, "")
	}
	if t.form().dynamic {
		t.price = r.big("maxFeePerGas", in.MaxFee, "add the most that you would pay for a unit of gas, in wei")
		t.tip = r.big("maxPriorityFeePerGas", in.MaxTip, "add the tip for a unit of gas, in wei")
	} else {
		t.price = r.big("gasPrice", in.GasPrice, "add it in wei for a unit of gas, or use maxFeePerGas and maxPriorityFeePerGas")
	}
	if in.AccessList != nil {
		t.access = r.accessList(*in.AccessList)
	}
	if kind == blobTx {
		t.blobPrice = r.big("maxFeePerBlobGas", in.BlobPrice, "add the most that you would pay for a unit of blob gas, in wei")
		t.blobs = r.blobHashes(in.Blobs)
	}
	if in.Grants != nil {
		t.grants = r.grants(*in.Grants)
	}
	from := r.address("from", in.From)
	if r.err == nil && t.chainID == 0 {
		r.fail("chainId", errors.New("0 is no chain"))
	}
	return t, from, r.err
}

// kind finds the type, and refuses fields that another type has.
func (in *txJSON) kind() (byte, error) {
	kind := byte(legacyTx)
	switch {
	case in.Blobs != nil || in.BlobPrice != nil:
		kind = blobTx
	case in.Grants != nil:
		kind = setCodeTx
	case in.MaxFee != nil || in.MaxTip != nil:
		kind = dynamicFeeTx
	case in.Type != nil && in.GasPrice == nil && *in.Type == "0x2":
		kind = dynamicFeeTx // its fees are missing, which is said later
	case in.AccessList != nil || in.Type != nil && *in.Type == "0x1":
		kind = accessListTx
	}
	if in.Type != nil {
		n, err := parseUint64(*in.Type)
		switch {
		case err != nil:
			return 0, fmt.Errorf("type: %w", err)
		case n >= uint64(len(forms)):
			return 0, typeError(byte(min(n, 255)))
		case byte(n) != kind:
			return 0, fmt.Errorf("type: %s does not fit the other fields, which are those of type 0x%x", *in.Type, kind)
		}
	}
	switch {
	case forms[kind].dynamic && in.GasPrice != nil:
		return 0, errors.New("gasPrice: give either this or maxFeePerGas and maxPriorityFeePerGas, not both")
	case kind == blobTx && in.Grants != nil:
		return 0, errors.New("authorizationList: a transaction with blobs has none")
	}
	return kind, nil
}

// explainJSON turns an error of the JSON library into one that names the field
// and what to do, without quoting the payload.
func explainJSON(text []byte, err error) error {
	if names, scanErr := memberNames(text); scanErr == nil {
		if err := notUnsigned(names); err != nil {
			return err
		}
	}
	if syntax := (*jsontext.SyntacticError)(nil); errors.As(err, &syntax) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%s: given twice", fieldName(syntax.JSONPointer))
		}
		return fmt.Errorf("JSON: broken at byte %d", syntax.ByteOffset)
	}
	semantic := (*json.SemanticError)(nil)
	if !errors.As(err, &semantic) {
		return errors.New("JSON: not a transaction object")
	}
	name := fieldName(semantic.JSONPointer)
	switch {
	case errors.Is(err, json.ErrUnknownName) && name == "gasLimit":
		return errors.New("gasLimit: this field is called gas here, as in eth_signTransaction")
	case errors.Is(err, json.ErrUnknownName) && slices.Contains([]string{"blobs", "sidecars", "commitments", "proofs"}, name):
		return fmt.Errorf("%s: %w", name, errSidecar)
	case errors.Is(err, json.ErrUnknownName):
		return fmt.Errorf("%s: unknown field: use those of eth_signTransaction", name)
	case semantic.JSONKind == '0':
		return fmt.Errorf(`%s: a JSON number loses digits: write it as hex in quotes, such as "0x1"`, name)
	}
	return fmt.Errorf("%s: wrong kind of JSON value", name)
}

// fieldName is the path to a field, printable and short.
func fieldName(p jsontext.Pointer) string {
	name := strings.TrimPrefix(string(p), "/")
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	if quoted := strconv.Quote(name); quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}
