package ethereum_test

import (
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/chaintest"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

// mail is the example printed in EIP-712, section "Specification of the
// eth_signTypedData JSON RPC".
const mail = `{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}]},"primaryType":"Mail","domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},"message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"}}`

const (
	permit2    = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
	domainDecl = `"EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}]`
	permitDecl = `"Permit":[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]`
	daiDecl    = `"Permit":[{"name":"holder","type":"address"},{"name":"spender","type":"address"},{"name":"nonce","type":"uint256"},{"name":"expiry","type":"uint256"},{"name":"allowed","type":"bool"}]`
	detailDecl = `"PermitDetails":[{"name":"token","type":"address"},{"name":"amount","type":"uint160"},{"name":"expiration","type":"uint48"},{"name":"nonce","type":"uint48"}]`
	tokensDecl = `"TokenPermissions":[{"name":"token","type":"address"},{"name":"amount","type":"uint256"}]`
)

func authorizedDecl(name string) string {
	return `"` + name + `":[{"name":"from","type":"address"},{"name":"to","type":"address"},{"name":"value","type":"uint256"},{"name":"validAfter","type":"uint256"},{"name":"validBefore","type":"uint256"},{"name":"nonce","type":"bytes32"}]`
}

// typedJSON is typed data for a contract on Ethereum.
func typedJSON(contract, primary, decl, message string) []byte {
	return []byte(`{"types":{` + domainDecl + `,` + decl + `},"primaryType":"` + primary + `","domain":{"name":"T","chainId":"0x1","verifyingContract":"` + contract +
		`"},"message":` + message + `}`)
}

func permitJSON(owner, value string) []byte {
	return typedJSON(token, "Permit", permitDecl, `{"owner":"`+owner+`","spender":"`+bob+`","value":`+value+`,"nonce":"0","deadline":1900000000}`)
}

func self(t testing.TB) string {
	t.Helper()
	a, err := ethereum.AddressOf(testSigner.Public())
	if err != nil {
		t.Fatal(err)
	}
	return a.String()
}

// atomJSON is a message with one member of a type.
func atomJSON(kind, value string) []byte {
	return typedJSON(token, "X", `"X":[{"name":"v","type":"`+kind+`"}]`, `{"v":`+value+`}`)
}

func typedDigest(t testing.TB, payload []byte) string {
	t.Helper()
	p, err := chain.Parse(ethereum.Decoder{}, payload, chain.Ask{Type: chain.TypeTyped})
	if err != nil {
		t.Fatalf("%v\n%s", err, payload)
	}
	return hex.EncodeToString(p.Tasks()[0].Digest)
}

// The digest and the signature of the example's own key stand in EIP-712 and in
// its Example.js.
func TestTypedDataOfTheStandard(t *testing.T) {
	if got, want := typedDigest(t, []byte(mail)), "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"; got != want {
		t.Errorf("got digest %s, want %s", got, want)
	}
	p := parse(t, []byte(mail))
	sig, err := ethereum.ParseSignature(unhex(t, "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ethereum.Recover(p.Tasks()[0].Digest, sig)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ethereum.AddressOf(pub); err != nil || a.String() != "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" {
		t.Errorf("got signer %s, %v", a, err)
	}
	in := p.Intent()
	if want := "Mail(Person from,Person to,string contents)Person(string name,address wallet)"; in.Call.Name != want {
		t.Errorf("got type %s, want %s", in.Call.Name, want)
	}
	want := []string{"domain.name", "domain.version", "domain.chainId", "domain.verifyingContract", "from.name", "from.wallet", "to.name", "to.wallet", "contents"}
	var got []string
	for _, a := range in.Call.Args {
		got = append(got, a.Name)
	}
	if !slices.Equal(got, want) || in.Call.Args[8].Value != `"Hello, Bob!"` {
		t.Errorf("got arguments %v", in.Call.Args)
	}
	if p.Type() != chain.TypeTyped || p.Verb() != key.SignTypedData || in.Kind != chain.TypedData || !in.Blind {
		t.Errorf("got %s of %s, blind %v", p.Type(), in.Kind, in.Blind)
	}
}

func TestTypedDataIsSplitIntoEffects(t *testing.T) {
	typedEffect := func(e chain.Effect) chain.Effect { e.Verb = key.SignTypedData; return e }
	message := func(to string) chain.Effect {
		return chain.Effect{Verb: key.SignTypedData, What: chain.EffectMessage, To: to, Chain: "eip155:1"}
	}
	allow := func(a chain.Asset, n *big.Int) chain.Effect { return typedEffect(allowance(a, n, bob)) }
	blind := []chain.Effect{blindCall(token), message(token)}
	other := chain.Asset{ID: "eip155:1/erc20:" + strings.ToLower(alice), Decimals: -1}
	dai := func(allowed string) []byte {
		return typedJSON(token, "Permit", daiDecl, `{"holder":"`+alice+`","spender":"`+bob+`","nonce":1,"expiry":0,"allowed":`+allowed+`}`)
	}
	authorized := func(name string) []byte {
		return typedJSON(token, name, authorizedDecl(name), `{"from":"`+alice+`","to":"`+bob+`","value":"7","validAfter":0,"validBefore":"0x70dbd880","nonce":"0x`+word("1")+`"}`)
	}
	single := func(contract, amount string) []byte {
		return typedJSON(contract, "PermitSingle", `"PermitSingle":[{"name":"details","type":"PermitDetails"},{"name":"spender","type":"address"},{"name":"sigDeadline","type":"uint256"}],`+detailDecl,
			`{"details":{"token":"`+token+`","amount":"`+amount+`","expiration":1,"nonce":0},"spender":"`+bob+`","sigDeadline":1900000000}`)
	}
	batch := func(details string) []byte {
		return typedJSON(permit2, "PermitBatch", `"PermitBatch":[{"name":"details","type":"PermitDetails[]"},{"name":"spender","type":"address"},{"name":"sigDeadline","type":"uint256"}],`+detailDecl,
			`{"details":[`+details+`],"spender":"`+bob+`","sigDeadline":1900000000}`)
	}
	detail := func(token string) string { return `{"token":"` + token + `","amount":5,"expiration":1,"nonce":0}` }
	transfer := func(name, kind, permitted string) []byte {
		return typedJSON(permit2, name, `"`+name+`":[{"name":"permitted","type":"`+kind+`"},{"name":"spender","type":"address"},{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}],`+tokensDecl,
			`{"permitted":`+permitted+`,"spender":"`+bob+`","nonce":0,"deadline":1900000000}`)
	}
	unbound := strings.NewReplacer(`{"name":"chainId","type":"uint256"},`, "", `"chainId":"0x1",`, "").Replace(string(permitJSON(alice, "5")))
	anyChain := func(all ...chain.Effect) []chain.Effect {
		for i := range all {
			all[i].Chain = "eip155:*"
		}
		return all
	}
	nowhere := strings.NewReplacer(`,{"name":"verifyingContract","type":"address"}`, "", `,"verifyingContract":"`+token+`"`, "").Replace(string(permitJSON(alice, "5")))
	typ := chain.TypeTyped
	chaintest.Run(t, ethereum.Decoder{}, []chaintest.Case{
		{Name: "unknown is blind", Payload: []byte(strings.ReplaceAll(mail, "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC", token)), Type: typ, Blind: true, Effects: blind},
		{Name: "EIP-2612", Payload: permitJSON(alice, `"1500000"`), Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(1500000))}},
		{Name: "EIP-2612 by name of the type", Payload: permitJSON(alice, "5"), Ask: chain.Ask{Type: typ, Network: "eip155:1"}, Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(5))}},
		{Name: "EIP-2612 without limit", Payload: permitJSON(alice, `"0x`+strings.Repeat("f", 64)+`"`), Type: typ, Effects: []chain.Effect{allow(tokens, nil)}},
		{Name: "EIP-2612 taken back", Payload: permitJSON(alice, `0`), Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(0))}},
		{Name: "no chain is blind", Payload: []byte(unbound), Type: typ, Blind: true, Effects: anyChain(blindCall(token), message(token))},
		{Name: "no contract is blind", Payload: []byte(nowhere), Type: typ, Blind: true, Effects: []chain.Effect{blindCall(""), message("")}},
		{
			Name: "a member of another type is blind", Type: typ, Blind: true, Effects: blind,
			Payload: []byte(strings.Replace(string(permitJSON(alice, "5")), `"value","type":"uint256"`, `"value","type":"uint128"`, 1)),
		},
		{Name: "DAI", Payload: dai("true"), Type: typ, Effects: []chain.Effect{allow(tokens, nil)}},
		{Name: "DAI taken back", Payload: dai("false"), Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(0))}},
		{Name: "EIP-3009 transfer", Payload: authorized("TransferWithAuthorization"), Type: typ, Effects: []chain.Effect{typedEffect(move(t, tokens, "7", bob))}},
		{Name: "EIP-3009 receive", Payload: authorized("ReceiveWithAuthorization"), Type: typ, Effects: []chain.Effect{typedEffect(move(t, tokens, "7", bob))}},
		{
			Name: "EIP-3009 cancel", Type: typ, Effects: []chain.Effect{message(token)},
			Payload: typedJSON(token, "CancelAuthorization", `"CancelAuthorization":[{"name":"authorizer","type":"address"},{"name":"nonce","type":"bytes32"}]`,
				`{"authorizer":"`+alice+`","nonce":"0x`+word("1")+`"}`),
		},
		{Name: "Permit2 single", Payload: single(permit2, "9"), Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(9))}},
		{Name: "Permit2 single without limit", Payload: single(permit2, "0x"+strings.Repeat("f", 40)), Type: typ, Effects: []chain.Effect{allow(tokens, nil)}},
		{Name: "Permit2 by another contract is blind", Payload: single(token, "9"), Type: typ, Blind: true, Effects: blind},
		{Name: "Permit2 batch", Payload: batch(detail(token) + "," + detail(alice)), Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(5)), allow(other, big.NewInt(5))}},
		{
			Name: "Permit2 batch of too many is blind", Type: typ, Blind: true, Effects: []chain.Effect{blindCall(permit2), message(permit2)},
			Payload: batch(strings.TrimSuffix(strings.Repeat(detail(token)+",", 33), ",")),
		},
		{Name: "Permit2 batch of nothing", Payload: batch(""), Type: typ, Effects: []chain.Effect{message(permit2)}},
		{
			Name: "Permit2 transfer", Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(5))},
			Payload: transfer("PermitTransferFrom", "TokenPermissions", `{"token":"`+token+`","amount":5}`),
		}, {
			Name: "Permit2 batch transfer", Type: typ, Effects: []chain.Effect{allow(tokens, big.NewInt(5)), allow(other, nil)},
			Payload: transfer("PermitBatchTransferFrom", "TokenPermissions[]", `[{"token":"`+token+`","amount":5},{"token":"`+alice+`","amount":"0x`+strings.Repeat("f", 64)+`"}]`),
		},
		{Name: "wrong network", Payload: permitJSON(alice, "5"), Ask: chain.Ask{Network: "eip155:5"}, Refused: "domain.chainId: the data are for eip155:1, asked for eip155:5"},
		{Name: "network for none", Payload: []byte(unbound), Ask: chain.Ask{Network: "eip155:1"}, Refused: "it names no chain"},
		{Name: "no transaction", Payload: []byte(mail), Ask: chain.Ask{Type: chain.TypeTx}, Refused: "this is EIP-712 typed data"},
		{Name: "half of it", Payload: []byte(`{"types":{},"domain":{}}`), Refused: "primaryType: missing"},
	})
}

func TestTypedDataInWords(t *testing.T) {
	in := parse(t, permitJSON(self(t), `"1500000"`)).Intent()
	if want := "Let " + bob + " spend up to 1500000 base units of " + tokens.ID + " before 2030-03-17 17:46 UTC on Ethereum."; in.Sentence != want || len(in.Warnings) != 0 {
		t.Errorf("got %q and %v, want %q", in.Sentence, in.Warnings, want)
	}
	extra := strings.Replace(string(permitJSON(alice, "5")), permitDecl, permitDecl+`,"Unused":[{"name":"a","type":"bool"}]`, 1)
	for name, c := range map[string]struct{ payload, code string }{
		"another's":   {string(permitJSON(alice, "5")), "foreign-tokens"},
		"all of it":   {string(permitJSON(alice, `"0x8`+strings.Repeat("0", 63)+`"`)), "unlimited-allowance"},
		"unused type": {extra, "unused-type"},
		"unknown":     {mail, "blind-typed-data"},
		"no chain":    {strings.NewReplacer(`{"name":"chainId","type":"uint256"},`, "", `"chainId":1,`, "").Replace(mail), "no-chain-id"},
	} {
		if !warns(parse(t, []byte(c.payload)), c.code) {
			t.Errorf("%s: got no warning %s", name, c.code)
		}
	}
}

func TestTypedDataIsReadStrictly(t *testing.T) {
	change := func(old, new string) []byte {
		if !strings.Contains(mail, old) {
			t.Fatalf("no %q in the example", old)
		}
		return []byte(strings.Replace(mail, old, new, 1))
	}
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for name, c := range map[string]struct {
		payload []byte
		want    string
	}{
		"no types":               {change(`"types":`, `"type":`), "type: unknown field"},
		"no message":             {[]byte(`{"types":{},"primaryType":"A","domain":{}}`), "message: missing"},
		"extra field":            {change(`"primaryType":`, `"extra":1,"primaryType":`), "extra: unknown field"},
		"twice":                  {change(`"primaryType":"Mail"`, `"primaryType":"Mail","primaryType":"Mail"`), "primaryType: given twice"},
		"member twice":           {change(`"contents":"Hello, Bob!"`, `"contents":"Hello, Bob!","contents":"Hello, Bob!"`), "contents: given twice"},
		"more after":             {append([]byte(mail), '{'), "JSON: broken"},
		"primary not declared":   {change(`"primaryType":"Mail"`, `"primaryType":"Male"`), `primaryType: "Male" is not declared`},
		"primary is the domain":  {change(`"primaryType":"Mail"`, `"primaryType":"EIP712Domain"`), "a domain by itself"},
		"type not declared":      {change(`"type":"Person"`, `"type":"Human"`), `types.Mail.from: type "Human" is not declared`},
		"alias":                  {change(`"contents","type":"string"`, `"contents","type":"uint"`), "is an alias"},
		"no such width":          {change(`"contents","type":"string"`, `"contents","type":"uint7"`), `there is no type "uint7"`},
		"no such bytes":          {change(`"contents","type":"string"`, `"contents","type":"bytes33"`), `there is no type "bytes33"`},
		"leading zero":           {change(`"contents","type":"string"`, `"contents","type":"uint08"`), `there is no type "uint08"`},
		"shadowed atom":          {change(`"Person":[`, `"uint256":[`), `types: "uint256" is no name for a struct`},
		"shadowed bytes":         {change(`"Person":[`, `"bytes":[`), `types: "bytes" is no name`},
		"name with bracket":      {change(`"Person":[`, `"Person(":[`), `is no name for a struct`},
		"member with comma":      {change(`"name":"contents"`, `"name":"contents,uint256 x"`), `is no name for a member`},
		"member declared twice":  {change(`"name":"to","type":"Person"`, `"name":"from","type":"Person"`), "types.Mail.from: declared twice"},
		"empty struct":           {change(`"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}]`, `"Person":[]`), "types.Person: 0 members"},
		"declaration with more":  {change(`{"name":"contents",`, `{"indexed":true,"name":"contents",`), "indexed: unknown field"},
		"bad array":              {change(`"contents","type":"string"`, `"contents","type":"string[0]"`), "the length of an array"},
		"open array":             {change(`"contents","type":"string"`, `"contents","type":"string["`), "is no array"},
		"array of array tail":    {change(`"contents","type":"string"`, `"contents","type":"string[]x"`), "is no array"},
		"member missing":         {change(`,"contents":"Hello, Bob!"`, ``), "message.contents: missing"},
		"member extra":           {change(`"contents":"Hello, Bob!"`, `"contents":"Hello, Bob!","more":1`), `such as "more": they would not be signed`},
		"null struct":            {change(`"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"}`, `"to":null`), "message.to: want a JSON object"},
		"domain member missing":  {change(`"version":"1",`, ``), "domain.version: missing"},
		"domain member extra":    {change(`"version":"1",`, `"version":"1","salt":"0x00",`), `such as "salt"`},
		"domain not declared":    {change(`"EIP712Domain":[`, `"Other":[`), "types.EIP712Domain: missing"},
		"domain of other types":  {change(`"chainId","type":"uint256"`, `"chainId","type":"uint64"`), "none of EIP-712's members"},
		"domain of other names":  {change(`{"name":"version","type":"string"}`, `{"name":"edition","type":"string"}`), "none of EIP-712's members"},
		"domain out of order":    {change(`{"name":"name","type":"string"},{"name":"version","type":"string"},`, `{"name":"version","type":"string"},{"name":"name","type":"string"},`), "not in their order"},
		"chain 0":                {change(`"chainId":1`, `"chainId":0`), "domain.chainId: want 1 to"},
		"chain beyond":           {change(`"chainId":1`, `"chainId":"9223372036854775772"`), "domain.chainId: want 1 to"},
		"address checksum":       {change(`0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826`, `0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826`), "message.from.wallet: address 0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826 has a wrong checksum"},
		"address as number":      {change(`"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"`, `1`), "message.from.wallet: want an address"},
		"text as number":         {change(`"Hello, Bob!"`, `5`), "message.contents: want a text"},
		"uint8 beyond":           {atomJSON("uint8", `256`), "out of the range of uint8"},
		"uint8 negative":         {atomJSON("uint8", `-1`), "out of the range of uint8"},
		"uint256 beyond":         {atomJSON("uint256", `"0x1`+strings.Repeat("0", 64)+`"`), "want a whole number"},
		"uint256 beyond decimal": {atomJSON("uint256", `"115792089237316195423570985008687907853269984665640564039457584007913129639936"`), "out of the range"},
		"int8 beyond":            {atomJSON("int8", `128`), "out of the range of int8"},
		"int8 below":             {atomJSON("int8", `"-129"`), "out of the range of int8"},
		"number loses digits":    {atomJSON("uint256", `9007199254740992`), "beyond 2^53"},
		"fraction":               {atomJSON("uint256", `1.0`), "want a whole number"},
		"exponent":               {atomJSON("uint256", `1e3`), "want a whole number"},
		"leading zeros":          {atomJSON("uint256", `"007"`), "want a whole number"},
		"minus zero":             {atomJSON("int256", `"-0"`), "want a whole number"},
		"plus":                   {atomJSON("int256", `"+1"`), "want a whole number"},
		"no number":              {atomJSON("uint256", `""`), "want a whole number"},
		"no hex digits":          {atomJSON("uint256", `"0x"`), "want a whole number"},
		"underscore":             {atomJSON("uint256", `"1_0"`), "want a whole number"},
		"bool as text":           {atomJSON("bool", `"true"`), "want true or false"},
		"bool as number":         {atomJSON("bool", `1`), "want true or false"},
		"bytes4 too short":       {atomJSON("bytes4", `"0x010203"`), "3 bytes, bytes4 has 4"},
		"bytes4 too long":        {atomJSON("bytes4", `"0x0102030405"`), "5 bytes, bytes4 has 4"},
		"odd bytes":              {atomJSON("bytes", `"0x010"`), "odd number"},
		"bytes as list":          {atomJSON("bytes", `[1,2]`), "want hex bytes"},
		"list too short":         {atomJSON("bool[2]", `[true]`), "1 elements, bool[2] has 2"},
		"list too long":          {atomJSON("bool[2]", `[true,true,true]`), "3 elements"},
		"list of the wrong":      {atomJSON("bool[]", `[true,0]`), "message.v[1]: want true or false"},
		"object for list":        {atomJSON("bool[]", `{}`), "want a JSON array"},
		"arrays too deep":        {atomJSON("bool"+strings.Repeat("[]", 40), deep), "is no array"},
		"structs too deep": {typedJSON(token, "X", `"X":[{"name":"v","type":"X[]"}]`, strings.Repeat(`{"v":[`, 40)+strings.Repeat(`]}`, 40)),
			"nested too deeply"},
		"too many values": {atomJSON("bool[]", `[`+strings.TrimSuffix(strings.Repeat("true,", 10_001), ",")+`]`), "more than 10000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, typ := range []chain.Type{chain.TypeTyped, chain.Auto} {
				p, err := chain.Parse(ethereum.Decoder{}, c.payload, chain.Ask{Type: typ, Public: testSigner.Public()})
				if err == nil {
					t.Fatalf("type %q: accepted as %s: %s", typ, p.Type(), p.Intent().Sentence)
				}
				if !errors.Is(err, chain.ErrPayload) || typ == chain.TypeTyped && !strings.Contains(err.Error(), c.want) || len(err.Error()) > 500 {
					t.Errorf("type %q: got %v, want an error with %q", typ, err, c.want)
				}
			}
		})
	}
}

// One value in all of its forms has one digest, and every other another.
func TestTypedValuesHaveOneDigestEach(t *testing.T) {
	seen := map[string]string{}
	for _, same := range [][]string{
		{`uint256 0`, `uint256 "0"`, `uint256 "0x0"`, `uint256 "0x00"`}, {`uint256 16`, `uint256 "16"`, `uint256 "0x10"`, `uint256 "0x0010"`}, {`uint8 16`},
		{`int256 -1`, `int256 "-1"`}, {`int256 1`}, {`int8 -128`, `int8 "-128"`}, {`int8 127`, `int8 "0x7f"`}, {`bool true`}, {`bool false`},
		{`bytes "0x"`}, {`bytes "0x00"`}, {`bytes1 "0x00"`}, {`bytes2 "0x0001"`}, {`string ""`}, {`string "0x"`}, {`string "a"`, `string "\u0061"`},
		{`address "` + bob + `"`, `address "` + strings.ToLower(bob) + `"`}, {`bool[] []`}, {`bool[] [true]`}, {`bool[1] [true]`}, {`bool[][] [[true]]`},
		{`uint256[2][] [[1,2],[3,4]]`}, {`uint256[2][2] [[1,2],[3,4]]`}, {`uint256[] [1,2,3,4]`}, {`bytes[] ["0x"]`},
	} {
		first := ""
		for _, v := range same {
			kind, value, _ := strings.Cut(v, " ")
			digest := typedDigest(t, atomJSON(kind, value))
			if first == "" {
				first = digest
			}
			if digest != first {
				t.Errorf("%s: another digest than %s", v, same[0])
			}
		}
		if other := seen[first]; other != "" {
			t.Errorf("%s has the digest of %s", same[0], other)
		}
		seen[first] = same[0]
	}
}
