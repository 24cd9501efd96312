package ethereum

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"keyward/internal/chain"
)

// structValue is a struct with its members' values in the order declared.
type structValue struct {
	of     *structType
	values []typedValue
}

// typedValue is one value of typed data, what encodeData makes of it, and what
// it says to a reader.
type typedValue struct {
	kind    kind
	encoded [32]byte
	text    string
	number  *big.Int
	address Address
	flag    bool
	inner   *structValue
	list    []typedValue
}

func (v *structValue) member(name string) *typedValue {
	for i, m := range v.of.members {
		if m.name == name {
			return &v.values[i]
		}
	}
	return nil
}

// hash is hashStruct: keccak(typeHash ‖ encodeData).
func (v *structValue) hash() [32]byte {
	data := make([]byte, 0, word*(len(v.values)+1))
	data = append(data, v.of.hash[:]...)
	for i := range v.values {
		data = append(data, v.values[i].encoded[:]...)
	}
	return keccak(data)
}

// args flattens the struct for people: "details[0].token".
func (v *structValue) args(prefix string, all []chain.Arg) []chain.Arg {
	for i, m := range v.of.members {
		all = v.values[i].args(prefix+m.name, all)
	}
	return all
}

func (v *typedValue) args(name string, all []chain.Arg) []chain.Arg {
	switch {
	case v.inner != nil:
		return v.inner.args(name+".", all)
	case len(v.list) > 0:
		for i := range v.list {
			all = v.list[i].args(name+"["+strconv.Itoa(i)+"]", all)
		}
		return all
	}
	return append(all, chain.Arg{Name: name, Type: v.kind.text, Value: v.text})
}

// valueReader reads JSON values by their declared types.
type valueReader struct {
	schema schema
	count  int
}

func (r *valueReader) structure(where, name string, text jsontext.Value, depth int) (*structValue, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("%s: %w", clipped(where), errNesting)
	}
	var members map[string]jsontext.Value
	if text.Kind() != '{' {
		return nil, fmt.Errorf("%s: want a JSON object, a %s", clipped(where), name)
	}
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("%s: broken JSON object", clipped(where))
	}
	r.schema.encodeType(name)
	v := &structValue{of: r.schema[name]}
	for _, m := range v.of.members {
		at := where + "." + m.name
		text, ok := members[m.name]
		if !ok {
			return nil, fmt.Errorf("%s: missing", clipped(at))
		}
		delete(members, m.name)
		value, err := r.value(at, m.kind, text, depth+1)
		if err != nil {
			return nil, err
		}
		v.values = append(v.values, value)
	}
	for extra := range members {
		return nil, fmt.Errorf("%s: has members that %s does not declare, such as %q: they would not be signed", clipped(where), name, clipped(least(members, extra)))
	}
	return v, nil
}

// least is the first name, so that the same payload always has the same error.
func least(members map[string]jsontext.Value, name string) string {
	for other := range members {
		name = min(name, other)
	}
	return name
}

func (r *valueReader) value(where string, k kind, text jsontext.Value, depth int) (typedValue, error) {
	if r.count++; r.count > maxValues {
		return typedValue{}, fmt.Errorf("more than %d values", maxValues)
	}
	v := typedValue{kind: k}
	var err error
	switch {
	case len(k.dims) > 0:
		return r.array(where, k, text, depth)
	case k.of != "":
		if v.inner, err = r.structure(where, k.of, text, depth); err != nil {
			return v, err
		}
		v.encoded = v.inner.hash()
		return v, nil
	}
	if err := v.atom(text); err != nil {
		return v, fmt.Errorf("%s: %w", clipped(where), err)
	}
	return v, nil
}

func (r *valueReader) array(where string, k kind, text jsontext.Value, depth int) (typedValue, error) {
	v := typedValue{kind: k, text: "[]"}
	if depth > maxNesting {
		return v, fmt.Errorf("%s: %w", clipped(where), errNesting)
	}
	if text.Kind() != '[' {
		return v, fmt.Errorf("%s: want a JSON array, a %s", clipped(where), clipped(k.text))
	}
	var elements []jsontext.Value
	if err := json.Unmarshal(text, &elements); err != nil {
		return v, fmt.Errorf("%s: broken JSON array", clipped(where))
	}
	if want := k.dims[len(k.dims)-1]; want >= 0 && want != len(elements) {
		return v, fmt.Errorf("%s: %d elements, %s has %d", clipped(where), len(elements), clipped(k.text), want)
	}
	var data []byte
	for i, text := range elements {
		e, err := r.value(where+"["+strconv.Itoa(i)+"]", k.elem(), text, depth+1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, e)
		data = append(data, e.encoded[:]...)
	}
	v.encoded = keccak(data)
	return v, nil
}

var errAtom = map[string]string{
	"bool":    "want true or false",
	"address": "want an address in quotes",
	"string":  "want a text in quotes",
	"bytes":   "want hex bytes in quotes, with 0x in front",
	"bytesN":  "want hex bytes in quotes, with 0x in front",
	"uint":    "want a whole number: decimal or 0x and hex in quotes, or a JSON number below 2^53",
	"int":     "want a whole number: decimal or 0x and hex in quotes, or a JSON number within 2^53",
}

// atom reads a value that has no parts.
func (v *typedValue) atom(text jsontext.Value) error {
	s, quoted := "", text.Kind() == '"'
	if quoted {
		if err := json.Unmarshal(text, &s); err != nil {
			return errors.New("broken JSON string")
		}
	}
	base := v.kind.base
	switch {
	case base == "bool" && (text.Kind() == 't' || text.Kind() == 'f'):
		v.flag, v.text = text.Kind() == 't', strconv.FormatBool(text.Kind() == 't')
		if v.flag {
			v.encoded[31] = 1
		}
		return nil
	case (base == "uint" || base == "int") && (quoted || text.Kind() == '0'):
		if !quoted {
			s = string(text)
		}
		return v.integer(s, quoted)
	case base == "bool" || base == "uint" || base == "int" || !quoted:
		return errors.New(errAtom[base])
	}
	switch base {
	case "string":
		v.text, v.encoded = strconv.Quote(s), keccak([]byte(s))
	case "address":
		a, err := ParseAddress(s)
		if err != nil {
			return err
		}
		v.address, v.text = a, a.String()
		copy(v.encoded[12:], a[:])
	default:
		b, err := parseBytes(s)
		switch {
		case err != nil:
			return err
		case base == "bytesN" && len(b) != v.kind.size:
			return fmt.Errorf("%d bytes, %s has %d", len(b), v.kind.text, v.kind.size)
		case base == "bytesN":
			copy(v.encoded[:], b)
		default:
			v.encoded = keccak(b)
		}
		v.text = hexBytes(b)
	}
	return nil
}

// maxSafe is the largest whole number that every reader of JSON agrees on.
const maxSafe = 1<<53 - 1

// integer reads a number in the range of its type: quoted decimal or hex, or bare.
func (v *typedValue) integer(s string, quoted bool) error {
	n, ok := new(big.Int), false
	digits, negative := strings.CutPrefix(s, "-")
	if hex, isHex := strings.CutPrefix(s, "0x"); isHex && quoted && hex != "" && len(hex) <= 64 && strings.Trim(hex, "0123456789abcdefABCDEF") == "" {
		n, ok = n.SetString(hex, 16)
	} else if len(digits) > 0 && len(digits) <= 78 && strings.Trim(digits, "0123456789") == "" && (digits[0] != '0' || s == "0") {
		n, ok = n.SetString(s, 10)
	}
	if !ok {
		return errors.New(errAtom[v.kind.base])
	}
	if !quoted && (n.CmpAbs(big.NewInt(maxSafe)) > 0) {
		return errors.New("a JSON number beyond 2^53 loses digits: write it in quotes")
	}
	limit, least := new(big.Int), new(big.Int)
	if v.kind.base == "uint" {
		limit.Lsh(big.NewInt(1), uint(v.kind.size))
	} else {
		limit.Lsh(big.NewInt(1), uint(v.kind.size-1))
		least.Neg(limit)
	}
	if n.Cmp(least) < 0 || n.Cmp(limit) >= 0 {
		return fmt.Errorf("out of the range of %s", v.kind.text)
	}
	v.number, v.text = n, n.String()
	if negative { // two's complement
		copy(v.encoded[:], bytes.Repeat([]byte{0xff}, word))
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), 256))
	}
	n.FillBytes(v.encoded[:])
	return nil
}
