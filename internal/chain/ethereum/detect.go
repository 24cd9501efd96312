package ethereum

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"keyward/internal/chain"
)

// txNames are the field names by which a JSON object is taken for a transaction,
// in lower case: those that are read, and those that others write.
var txNames = []string{
	"type", "chainid", "from", "to", "nonce", "gas", "gaslimit", "gasprice", "maxfeepergas", "maxpriorityfeepergas",
	"value", "data", "input", "accesslist", "authorizationlist", "blobversionedhashes", "maxfeeperblobgas",
}

// Signable tells whether a payload is a transaction or typed data of Ethereum
// that could be signed.
func Signable(payload []byte) bool {
	for _, t := range []chain.Type{chain.TypeTx, chain.TypeTyped} {
		if _, err := (Decoder{}).Decode(payload, chain.Ask{Type: t}); err == nil {
			return true
		}
	}
	return false
}

// resemblesTx is asked about a payload that is not a transaction which can be
// signed: is it still so like one, or like typed data, that signing it as a
// message would surprise its owner? It errs on that side.
func resemblesTx(payload []byte) bool {
	trimmed := bytes.TrimSpace(payload)
	if len(trimmed) > 0 && trimmed[0] == '{' {
		names, err := memberNames(trimmed)
		return err != nil || notUnsigned(names) != nil || slices.ContainsFunc(names, func(name string) bool {
			return slices.Contains(txNames, strings.ToLower(name))
		})
	}
	if raw, ok := hexText(payload); ok {
		return resemblesRLP(raw)
	}
	if chain.Printable(payload) {
		return false // words in any script; a whole transaction never is text
	}
	return resemblesRLP(payload)
}

// resemblesRLP finds, behind an optional type, a list that begins with as many
// small strings as every transaction does, whether or not it is whole and in
// canonical form.
func resemblesRLP(raw []byte) bool {
	items, wrapped := 5, false
	if len(raw) > 1 && raw[0] <= grantMagic && raw[1] >= rlpList {
		if raw[0] == grantMagic {
			items = 3 // chainId, address, nonce (EIP-7702)
		}
		wrapped = raw[0] == blobTx // perhaps in a list with its blobs
		raw = raw[1:]
	}
	rest, ok := insideList(raw)
	if !ok {
		return false
	}
	if inner, ok := insideList(rest); ok && wrapped {
		rest = inner
	}
	for range items {
		if len(rest) == 0 || rest[0] > rlpEmpty+33 {
			return false
		}
		size := 1
		if rest[0] > rlpEmpty {
			size += int(rest[0] - rlpEmpty)
		}
		if size > len(rest) {
			return false
		}
		rest = rest[size:]
	}
	return true
}

// insideList cuts off a list's header, whatever length that claims.
func insideList(raw []byte) ([]byte, bool) {
	if len(raw) == 0 || raw[0] < rlpList {
		return nil, false
	}
	header := 1
	if raw[0] > rlpList+55 {
		header += int(raw[0] - rlpList - 55)
	}
	if header > len(raw) {
		return nil, false
	}
	return raw[header:], true
}

// memberNames lists the names of a JSON object's own members.
func memberNames(text []byte) ([]string, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, errors.New("JSON: not an object")
	}
	var names []string
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		names = append(names, tok.String())
		if err := dec.SkipValue(); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text[dec.InputOffset():])) != 0 {
		return nil, errors.New("JSON: more after the object")
	}
	return names, nil
}

// isTyped tells by an object's members that it means to be typed data.
func isTyped(names []string) bool {
	has := func(name string) bool { return slices.Contains(names, name) }
	return has("types") && has("domain") || has("primaryType")
}

// looksTyped asks the same about a payload.
func looksTyped(payload []byte) bool {
	trimmed := bytes.TrimSpace(payload)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return false
	}
	names, err := memberNames(trimmed)
	return err == nil && isTyped(names)
}

// notUnsigned names the objects that are something else than a transaction to
// be signed; nil for those that may be one.
func notUnsigned(names []string) error {
	has := func(all ...string) bool {
		for _, name := range all {
			if !slices.Contains(names, name) {
				return false
			}
		}
		return true
	}
	switch {
	case isTyped(names):
		return fmt.Errorf("this is EIP-712 typed data, no transaction: ask for type %q", chain.TypeTyped)
	case has("method", "params"), has("jsonrpc"):
		return errors.New("a JSON-RPC request is not a transaction: give the object inside params alone")
	case has("r", "s"), has("raw", "tx"):
		return fmt.Errorf("%w: leave out what signing added (hash, v, r, s, yParity, raw)", chain.ErrSigned)
	}
	return nil
}
