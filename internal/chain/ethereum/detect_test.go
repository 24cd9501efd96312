package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

func TestAutoNeverSignsATransactionAsAMessage(t *testing.T) {
	signed := assembled(t, txJSON())
	unsigned := rlp2(t, nil, nil, "")
	for name, c := range map[string]struct {
		payload []byte
		want    string
	}{
		"signed":                {signed, "already signed"},
		"signed hex":            {[]byte(hex.EncodeToString(signed)), "already signed"},
		"signed hex with 0x":    {[]byte("0x" + hex.EncodeToString(signed) + "\n"), "already signed"},
		"signed legacy":         {assembled(t, unhex(t, example155)), "already signed"},
		"cut":                   {unsigned[:len(unsigned)-2], "RLP ends early"},
		"cut hex":               {[]byte("0x" + hex.EncodeToString(unsigned[:len(unsigned)-2])), "RLP ends early"},
		"trailing":              {append(bytes.Clone(unsigned), 0), "RLP has bytes after its end"},
		"line feed after RLP":   {append(bytes.Clone(unsigned), '\n'), "RLP has bytes after its end"},
		"type 3":                {append([]byte{3}, unsigned[1:]...), "transaction of type 3: 9 items, an unsigned one has 11"},
		"type 4":                {append([]byte{4}, unsigned[1:]...), "transaction of type 4: 9 items, an unsigned one has 10"},
		"blobs for the network": {append([]byte{3}, ethereum.AppendList(nil, append(ethereum.AppendList(nil, unsigned[3:]), 0xc0, 0xc0, 0xc0))...), "give the transaction alone"},
		"authorization":         {authorizationOf(bob), "an authorization of EIP-7702"},
		"chain 0":               {unhex(t, strings.TrimSuffix(example155, "018080")+"808080"), "chainId: 0 is no chain"},
		"too few items":         {unhex(t, "c50102030405"), "5 items, an unsigned one has 6"},
		"too many items":        {unhex(t, "ca"+strings.Repeat("01", 10)), "10 items"},
		"leading zero":          {unhex(t, strings.Replace(example155, "ec09", "ee820009", 1)), "nonce: integer with leading zeros"},
		"long byte":             {unhex(t, strings.Replace(example155, "ec09", "ed8109", 1)), "single byte below 0x80"},
		"JSON cut":              {txJSON()[:30], "JSON: broken"},
		"any brace":             {[]byte("{hello}"), "JSON: broken"},
		"JSON of an exchange":   {[]byte(`{"to":"` + alice + `","amount":"1"}`), "amount: unknown field"},
		"upper-case hex":        {[]byte("0X" + strings.ToUpper(hex.EncodeToString(signed))), "already signed"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := chain.Parse(ethereum.Decoder{}, c.payload, chain.Ask{Public: testSigner.Public()})
			if err == nil {
				t.Fatalf("accepted as %q: %s", p.Type(), p.Intent().Sentence)
			}
			if !errors.Is(err, chain.ErrPayload) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
			if !ethereum.Resembles(c.payload) {
				t.Error("does not resemble a transaction")
			}
			if got, err := chain.Parse(ethereum.Decoder{}, c.payload, chain.Ask{Type: chain.TypeMsg}); err != nil || !warns(got, "resembles-transaction") {
				t.Errorf("asked for as a message: got %v, want it with a warning", err)
			}
		})
	}
}

func TestAutoSignsTheRestAsMessages(t *testing.T) {
	for name, payload := range map[string]string{
		"text":           "I agree.\n",
		"number":         "482913",
		"words of hex":   "c0ffee",
		"an address":     alice,
		"a hash":         "0x" + strings.Repeat("ab", 32),
		"empty":          "",
		"French":         "À bientôt, à Paris",
		"Chinese":        "我同意",
		"binary":         "\x00\x01\x02\xff\xfe",
		"RLP of a word":  "\x83dog",
		"JSON otherwise": `{"statement":"I agree","version":1}`,
		"JSON array":     `["a","b"]`,
		"JSON number":    "12",
	} {
		p := parse(t, []byte(payload))
		if p.Type() != chain.TypeMsg {
			t.Errorf("%s: got %q, want a message", name, p.Type())
		}
	}
}

func TestExplicitTransactionIsNeverAMessage(t *testing.T) {
	for name, c := range map[string]struct{ payload, want string }{
		"empty":      {"", "transaction: empty"},
		"text":       {"hello", "neither a JSON object, nor hex, nor binary RLP"},
		"string":     {"\x83dog", "RLP is a string, want a list"},
		"type 5":     {"\x05\xc0", "an authorization of EIP-7702"},
		"type 6":     {"\x06\xc0", "unknown transaction type 6"},
		"type alone": {"\x02", "RLP ends early"},
	} {
		_, err := chain.Parse(ethereum.Decoder{}, []byte(c.payload), chain.Ask{Type: chain.TypeTx})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := chain.Parse(ethereum.Decoder{}, txJSON(), chain.Ask{Type: "psbt"}); err == nil || !strings.Contains(err.Error(), "use tx, typed-data or message") {
		t.Errorf("foreign type: got %v", err)
	}
}

// assembled signs a payload with the test's key.
func assembled(t testing.TB, payload []byte) []byte {
	t.Helper()
	p := parse(t, payload)
	out, err := p.Assemble([]key.Recoverable{testSigner.Sign(p.Tasks()[0].Digest)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func warns(p chain.Parsed, code string) bool {
	for _, w := range p.Intent().Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}
