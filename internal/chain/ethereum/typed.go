package ethereum

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"keyward/internal/chain"
)

// typedJSON is EIP-712's TypedData object, as eth_signTypedData_v4 takes it.
type typedJSON struct {
	Types       *map[string][]member `json:"types"`
	PrimaryType *string              `json:"primaryType"`
	Domain      jsontext.Value       `json:"domain"`
	Message     jsontext.Value       `json:"message"`
}

// typed is typed data on its way to an Intent.
type typed struct {
	schema  schema
	primary string
	domain  *structValue
	message *structValue
	net     network // of the domain's chainId
	bound   bool    // the domain names a chain
}

const domainType = "EIP712Domain"

// domainMembers are those that EIP-712 knows, in its order.
var domainMembers = []member{
	{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"verifyingContract", "address"}, {"salt", "bytes32"},
}

// decodeTyped reads typed data: every type declared and every value of its type,
// nothing missing and nothing beside it.
func decodeTyped(payload []byte, from sender, network string) (chain.Decoded, error) {
	t, err := parseTyped(payload)
	if err != nil {
		return chain.Decoded{}, refuse(err)
	}
	switch {
	case network != "" && !t.bound:
		return chain.Decoded{}, refuse(errors.New("domain: it names no chain: leave the network out"))
	case network != "" && network != t.net.chain:
		return chain.Decoded{}, refuse(fmt.Errorf("domain.chainId: the data are for %s, asked for %s", t.net.chain, network))
	}
	digest := t.digest()
	return loose(t.intent(from, len(payload)), chain.TypeTyped, digest[:]), nil
}

// digest is EIP-712's: "\x19\x01" ‖ domainSeparator ‖ hashStruct(message).
func (t *typed) digest() [32]byte {
	domain, message := t.domain.hash(), t.message.hash()
	return keccak([]byte{0x19, 0x01}, domain[:], message[:])
}

func parseTyped(payload []byte) (*typed, error) {
	var in typedJSON
	if err := json.Unmarshal(payload, &in, strictJSON); err != nil {
		return nil, explainTyped(err)
	}
	switch {
	case in.Types == nil:
		return nil, errors.New("types: missing")
	case in.PrimaryType == nil:
		return nil, errors.New("primaryType: missing")
	case in.Domain == nil:
		return nil, errors.New("domain: missing")
	case in.Message == nil:
		return nil, errors.New("message: missing")
	case *in.PrimaryType == domainType:
		return nil, errors.New("primaryType: a domain by itself is never signed")
	}
	t := &typed{primary: *in.PrimaryType}
	var err error
	if t.schema, err = readSchema(*in.Types); err != nil {
		return nil, err
	}
	if err := checkDomainType((*in.Types)[domainType]); err != nil {
		return nil, err
	}
	if t.schema[t.primary] == nil {
		return nil, fmt.Errorf("primaryType: %q is not declared in types", clipped(t.primary))
	}
	r := &valueReader{schema: t.schema}
	if t.domain, err = r.structure("domain", domainType, in.Domain, 0); err != nil {
		return nil, err
	}
	if t.message, err = r.structure("message", t.primary, in.Message, 0); err != nil {
		return nil, err
	}
	return t, t.bind()
}

// checkDomainType wants some of the standard's members, of its types and in its
// order: with others a domain would look like one that it is not.
func checkDomainType(members []member) error {
	if len(members) == 0 {
		return errors.New("types." + domainType + ": missing, or empty")
	}
	known := domainMembers
	for _, m := range members {
		at := slices.Index(known, m)
		if at < 0 {
			return fmt.Errorf("types.%s: %q is none of EIP-712's members %s, or not in their order", domainType, clipped(m.Type+" "+m.Name), "name, version, chainId, verifyingContract, salt")
		}
		known = known[at+1:]
	}
	return nil
}

// bind finds the chain that the domain names.
func (t *typed) bind() error {
	id := t.domain.member("chainId")
	if id == nil {
		t.net = (&tx{}).network()
		return nil
	}
	if id.number.Sign() == 0 || !id.number.IsUint64() || id.number.Uint64() > maxChainID {
		return fmt.Errorf("domain.chainId: want 1 to %d", uint64(maxChainID))
	}
	t.net, t.bound = (&tx{chainID: id.number.Uint64()}).network(), true
	return nil
}

// contract is the one that the signature is meant for, or nil.
func (t *typed) contract() *Address {
	if v := t.domain.member("verifyingContract"); v != nil {
		return &v.address
	}
	return nil
}

func explainTyped(err error) error {
	if syntax := (*jsontext.SyntacticError)(nil); errors.As(err, &syntax) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Errorf("%s: given twice", fieldName(syntax.JSONPointer))
		}
		return fmt.Errorf("JSON: broken at byte %d", syntax.ByteOffset)
	}
	semantic := (*json.SemanticError)(nil)
	if !errors.As(err, &semantic) {
		return errors.New("JSON: no object of types, primaryType, domain and message")
	}
	name := fieldName(semantic.JSONPointer)
	if errors.Is(err, json.ErrUnknownName) {
		return fmt.Errorf("%s: unknown field: typed data has types, primaryType, domain and message, and each type's members have name and type", name)
	}
	return fmt.Errorf("%s: wrong kind of JSON value", name)
}

// clipped is text of the payload's author, short and printable.
func clipped(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}
