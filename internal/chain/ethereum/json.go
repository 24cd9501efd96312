package ethereum

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
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
}

type entryJSON struct {
	Address     *string  `json:"address"`
	StorageKeys []string `json:"storageKeys"`
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
	if kind == dynamicFeeTx {
		t.price = r.big("maxFeePerGas", in.MaxFee, "add the most that you would pay for a unit of gas, in wei")
		t.tip = r.big("maxPriorityFeePerGas", in.MaxTip, "add the tip for a unit of gas, in wei")
	} else {
		t.price = r.big("gasPrice", in.GasPrice, "add it in wei for a unit of gas, or use maxFeePerGas and maxPriorityFeePerGas")
	}
	if in.AccessList != nil {
		t.access = r.accessList(*in.AccessList)
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
		case n > dynamicFeeTx:
			return 0, typeError(byte(min(n, 255)))
		case byte(n) != kind:
			return 0, fmt.Errorf("type: %s does not fit the other fields, which are those of type 0x%x", *in.Type, kind)
		}
	}
	if kind == dynamicFeeTx && in.GasPrice != nil {
		return 0, errors.New("gasPrice: give either this or maxFeePerGas and maxPriorityFeePerGas, not both")
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
	case errors.Is(err, json.ErrUnknownName) && (name == "blobs" || name == "blobVersionedHashes" || name == "maxFeePerBlobGas"):
		return typeError(blobTx)
	case errors.Is(err, json.ErrUnknownName) && name == "authorizationList":
		return typeError(setCodeTx)
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

// quantities reads the strings of a transaction object; the first error sticks
// and names its field.
type quantities struct{ err error }

func (q *quantities) fail(name string, err error) {
	if q.err == nil {
		q.err = fmt.Errorf("%s: %w", name, err)
	}
}

// present reports a missing field together with what to add.
func (q *quantities) present(name string, s *string, add string) bool {
	if s == nil {
		q.fail(name, fmt.Errorf("missing: %s", add))
	}
	return s != nil
}

func (q *quantities) uint64(name string, s *string, add string) uint64 {
	if !q.present(name, s, add) {
		return 0
	}
	n, err := parseUint64(*s)
	if err != nil {
		q.fail(name, err)
	}
	return n
}

func (q *quantities) big(name string, s *string, add string) *big.Int {
	n := new(big.Int)
	if !q.present(name, s, add) {
		return n
	}
	digits, err := quantityDigits(*s, 64)
	if err != nil {
		q.fail(name, err)
		return n
	}
	var b [32]byte
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	used, err := hex.Decode(b[:], []byte(digits))
	if err != nil {
		q.fail(name, errNotHex)
		return n
	}
	return n.SetBytes(b[:used])
}

func (q *quantities) address(name string, s *string) *Address {
	if s == nil {
		return nil
	}
	a, err := ParseAddress(*s)
	if err != nil {
		q.fail(name, err)
	}
	return &a
}

// data reads the call data from either of its two names.
func (q *quantities) data(data, input *string) []byte {
	name := "data"
	switch {
	case data == nil && input == nil:
		return nil
	case data == nil:
		name, data = "input", input
	case input != nil && !strings.EqualFold(*data, *input):
		q.fail("input", errors.New("differs from data: give one of them"))
	}
	b, err := parseBytes(*data)
	if err != nil {
		q.fail(name, err)
	}
	return b
}

func (q *quantities) accessList(entries []entryJSON) accessList {
	var list accessList
	for _, e := range entries {
		a := q.address("accessList.address", e.Address)
		if a == nil {
			q.fail("accessList.address", errors.New("missing"))
			return list
		}
		keys := make([]byte, 0, 33*len(e.StorageKeys))
		for _, s := range e.StorageKeys {
			b, err := parseBytes(s)
			if err == nil && len(b) != 32 {
				err = fmt.Errorf("key of %d bytes, want 32", len(b))
			}
			if err != nil {
				q.fail("accessList.storageKeys", err)
				return list
			}
			keys = appendBytes(keys, b)
		}
		pair := appendList(appendBytes(nil, a[:]), keys)
		list.content = appendList(list.content, pair)
		list.addresses++
		list.keys += len(e.StorageKeys)
	}
	return list
}

var (
	errNotHex = errors.New(`want hex digits after 0x`)
	errNo0x   = errors.New(`want a hex quantity in quotes, such as "0x1"`)
)

// quantityDigits takes the 0x off a canonical quantity: no leading zeros, "0x0"
// for zero, at most max digits.
func quantityDigits(s string, max int) (string, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	switch {
	case !ok:
		return "", errNo0x
	case digits == "":
		return "", errors.New(`no digits after 0x: zero is "0x0"`)
	case digits[0] == '0' && len(digits) > 1:
		return "", errors.New("leading zeros: write the quantity without them")
	case len(digits) > max:
		return "", fmt.Errorf("more than %d bits", 4*max)
	}
	return digits, nil
}

func parseUint64(s string) (uint64, error) {
	digits, err := quantityDigits(s, 16)
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, c := range []byte(digits) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, errNotHex
		}
		n = n<<4 | uint64(c)
	}
	return n, nil
}

// parseBytes reads 0x and an even number of hex digits, also none.
func parseBytes(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return nil, errors.New("want hex bytes with 0x in front")
	}
	if len(digits)%2 != 0 {
		return nil, errors.New("an odd number of hex digits")
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errNotHex
	}
	return b, nil
}
