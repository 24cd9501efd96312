package interop_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

type typedQuestion struct {
	Typed     json.RawMessage `json:"typed"`
	Signature hexutil.Bytes   `json:"signature"`
}

// TestTypedDataIsThatOfGoEthereum compares, for random typed data, the digest
// with go-ethereum's, and the signature with whom viem recovers from it.
func TestTypedDataIsThatOfGoEthereum(t *testing.T) {
	const seed = "typed"
	t.Logf("seed %q", seed)
	s := newSource(seed)
	var questions []typedQuestion
	var want []messageAnswer
	for i := range rounds(t, 1000) {
		payload := s.typedData(t)
		var theirs apitypes.TypedData
		if err := json.Unmarshal(payload, &theirs); err != nil {
			t.Fatalf("%d: go-ethereum: %v\n%s", i, err, payload)
		}
		digest, _, err := apitypes.TypedDataAndHash(theirs)
		if err != nil {
			t.Fatalf("%d: go-ethereum: %v\n%s", i, err, payload)
		}
		private, public := testKey(t, s)
		parsed, err := chain.Parse(ethereum.Decoder{}, payload, chain.Ask{Public: public})
		if err != nil {
			t.Fatalf("%d: %v\n%s", i, err, payload)
		}
		if got := parsed.Tasks()[0].Digest; parsed.Type() != chain.TypeTyped || string(got) != string(digest) {
			t.Fatalf("%d: got %s with digest %x, want typed data with %x\n%s", i, parsed.Type(), got, digest, payload)
		}
		sig, err := crypto.Sign(digest, private)
		if err != nil {
			t.Fatal(err)
		}
		out, err := parsed.Assemble([]key.Recoverable{{R: [32]byte(sig[:32]), S: [32]byte(sig[32:64]), V: sig[64]}})
		if err != nil {
			t.Fatal(err)
		}
		questions = append(questions, typedQuestion{payload, out})
		want = append(want, messageAnswer{crypto.PubkeyToAddress(private.PublicKey).Hex(), hexutil.Encode(digest)})
	}
	t.Run("viem", func(t *testing.T) {
		for i, got := range askViem[typedQuestion, messageAnswer](t, questions) {
			if got != want[i] {
				t.Errorf("viem says %+v, want %+v\n%s", got, want[i], questions[i].Typed)
			}
		}
	})
}

type typedMember struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// typedData makes up one to four structs, the later ones within the earlier, and
// a message of the first.
func (s source) typedData(t *testing.T) []byte {
	t.Helper()
	structs := []string{"Order", "Asset", "Leaf", "Zone"}[:1+s.IntN(4)]
	types := map[string][]typedMember{}
	for i, name := range structs {
		for n := range 1 + s.IntN(4) {
			kind := s.atomType()
			if rest := structs[i+1:]; len(rest) > 0 && s.IntN(2) == 0 {
				kind = rest[s.IntN(len(rest))]
			}
			for range max(0, s.IntN(5)-2) {
				kind += []string{"[]", "[2]", "[1]"}[s.IntN(3)]
			}
			types[name] = append(types[name], typedMember{fmt.Sprintf("m%d", n), kind})
		}
	}
	for _, m := range []typedMember{{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"verifyingContract", "address"}, {"salt", "bytes32"}} {
		if s.IntN(3) > 0 || m.Name == "name" {
			types["EIP712Domain"] = append(types["EIP712Domain"], m)
		}
	}
	domain := map[string]any{}
	for _, m := range types["EIP712Domain"] {
		domain[m.Name] = s.typedValue(types, m.Type)
		switch m.Name {
		case "chainId":
			domain[m.Name] = hexutil.EncodeBig(s.chainID())
		case "name", "version":
			domain[m.Name] = "a " + m.Name // go-ethereum takes an empty one for none
		}
	}
	text, err := json.Marshal(map[string]any{
		"types": types, "primaryType": "Order", "domain": domain, "message": s.typedValue(types, "Order"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s source) atomType() string {
	switch s.IntN(7) {
	case 0:
		return fmt.Sprintf("uint%d", 8*(1+s.IntN(32)))
	case 1:
		return fmt.Sprintf("int%d", 8*(1+s.IntN(32)))
	case 2:
		return fmt.Sprintf("bytes%d", 1+s.IntN(32))
	}
	return []string{"address", "bool", "string", "bytes"}[s.IntN(4)]
}

// typedValue is one of a type, in any of the forms in which JSON has it.
func (s source) typedValue(types map[string][]typedMember, kind string) any {
	if i := strings.LastIndexByte(kind, '['); i >= 0 {
		list := []any{}
		n := s.IntN(3)
		if length := kind[i+1 : len(kind)-1]; length != "" {
			n = int(length[0] - '0')
		}
		for range n {
			list = append(list, s.typedValue(types, kind[:i]))
		}
		return list
	}
	if members := types[kind]; members != nil {
		value := map[string]any{}
		for _, m := range members {
			value[m.Name] = s.typedValue(types, m.Type)
		}
		return value
	}
	var size int
	switch {
	case kind == "address":
		return common.Address(s.bytes(20)).Hex()
	case kind == "bool":
		return s.IntN(2) == 0
	case kind == "string":
		return []string{"", "hello", "Grüße, 世界", "a\"b\\c\n"}[s.IntN(4)]
	case kind == "bytes":
		return hexutil.Encode(s.bytes(s.IntN(70)))
	case strings.HasPrefix(kind, "bytes"):
		fmt.Sscanf(kind, "bytes%d", &size)
		return hexutil.Encode(s.bytes(size))
	case strings.HasPrefix(kind, "uint"):
		fmt.Sscanf(kind, "uint%d", &size)
		return s.integer(s.bits(size))
	}
	fmt.Sscanf(kind, "int%d", &size)
	n := s.bits(size - 1)
	if s.IntN(2) == 0 {
		return s.integer(n)
	}
	return new(big.Int).Not(n).String() // -1 to the least
}

func (s source) integer(n *big.Int) any {
	switch {
	case s.IntN(3) == 0 && n.BitLen() <= 53:
		return n.Uint64()
	case s.IntN(2) == 0:
		return hexutil.EncodeBig(n)
	}
	return n.String()
}
