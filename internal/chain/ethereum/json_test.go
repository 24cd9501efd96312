package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
)

func TestTransactionJSONIsRefusedByFieldName(t *testing.T) {
	for name, c := range map[string]struct {
		payload []byte
		want    string
	}{
		"no nonce":               {txJSON("nonce", ""), `nonce: missing: add`},
		"no gas":                 {txJSON("gas", ""), `gas: missing: add the gas limit`},
		"no chain":               {txJSON("chainId", ""), `chainId: missing: add the chain`},
		"no price":               {txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", ""), `gasPrice: missing: add`},
		"no tip":                 {txJSON("maxPriorityFeePerGas", ""), `maxPriorityFeePerGas: missing`},
		"no most":                {txJSON("maxFeePerGas", ""), `maxFeePerGas: missing`},
		"type 2 without fees":    {txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "type", `"0x2"`), `maxFeePerGas: missing`},
		"no recipient":           {txJSON("to", ""), `to: missing`},
		"empty recipient":        {txJSON("to", `""`), `to: not an address`},
		"null nonce":             {txJSON("nonce", "null"), `nonce: missing`},
		"leading zeros":          {txJSON("nonce", `"0x07"`), `nonce: leading zeros`},
		"leading zeros in wei":   {txJSON("value", `"0x00"`), `value: leading zeros`},
		"no digits":              {txJSON("value", `"0x"`), `value: no digits after 0x: zero is "0x0"`},
		"decimal":                {txJSON("value", `"1000"`), `value: want a hex quantity`},
		"negative":               {txJSON("value", `"-0x1"`), `value: want a hex quantity`},
		"number":                 {txJSON("value", `1000000000000000000`), `value: a JSON number loses digits`},
		"float":                  {txJSON("value", `1.5`), `value: a JSON number loses digits`},
		"not hex":                {txJSON("value", `"0xzz"`), `value: want hex digits`},
		"not hex nonce":          {txJSON("nonce", `"0x1g"`), `nonce: want hex digits`},
		"upper-case prefix":      {txJSON("nonce", `"0X1"`), `nonce: want a hex quantity`},
		"257 bits":               {txJSON("value", `"0x1`+strings.Repeat("0", 64)+`"`), `value: more than 256 bits`},
		"65 bits":                {txJSON("gas", `"0x10000000000000000"`), `gas: more than 64 bits`},
		"nonce at its end":       {txJSON("nonce", `"0xffffffffffffffff"`), `nonce: 2^64-1`},
		"chain 0":                {txJSON("chainId", `"0x0"`), `chainId: 0 is no chain`},
		"chain too big":          {txJSON("chainId", `"0xffffffffffffffff"`), `chainId: at most`},
		"duplicate":              {txJSON("to", `"`+alice+`","to":"`+bob+`"`), `to: given twice`},
		"duplicate, escaped":     {txJSON("to", `"`+alice+`","\u0074o":"`+bob+`"`), `to: given twice`},
		"unknown":                {txJSON("memo", `"x"`), `memo: unknown field`},
		"wrong case":             {txJSON("Nonce", `"0x1"`), `Nonce: unknown field`},
		"gasLimit":               {txJSON("gas", "", "gasLimit", `"0x5208"`), `called gas`},
		"wrong checksum":         {txJSON("to", `"`+strings.Replace(alice, "C5", "c5", 1)+`"`), `wrong checksum`},
		"short address":          {txJSON("to", `"0x7099"`), `to: not an address`},
		"other sender":           {txJSON("from", `"`+bob+`"`), `from: ` + bob + ` is not the address of the signing key`},
		"bad sender":             {txJSON("from", `"bob"`), `from: not an address`},
		"both prices":            {txJSON("gasPrice", `"0x1"`), `not both`},
		"type against fields":    {txJSON("type", `"0x1"`), `type: 0x1 does not fit`},
		"type 0 with list":       {txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x1"`, "type", `"0x0"`, "accessList", "[]"), `type: 0x0 does not fit`},
		"type 3":                 {txJSON("type", `"0x3"`), `type: 0x3 does not fit the other fields`},
		"type 4":                 {txJSON("type", `"0x4"`), `type: 0x4 does not fit the other fields`},
		"type 9":                 {txJSON("type", `"0x9"`), `unknown transaction type 9`},
		"type huge":              {txJSON("type", `"0xffffffff"`), `unknown transaction type`},
		"type as number":         {txJSON("type", `2`), `type: a JSON number`},
		"blobs without a price":  {txJSON("blobVersionedHashes", `[]`), `maxFeePerBlobGas: missing: add`},
		"blob price alone":       {txJSON("maxFeePerBlobGas", `"0x1"`), `blobVersionedHashes: missing: add`},
		"no blobs":               {blobJSON("blobVersionedHashes", `[]`), `blobVersionedHashes: empty`},
		"hash of another kind":   {blobJSON("blobVersionedHashes", `["0x02`+word("1")[2:]+`"]`), `blobVersionedHashes: hash of version 0x2, want 0x1`},
		"short hash":             {blobJSON("blobVersionedHashes", `["0x01"]`), `blobVersionedHashes: hash of 1 bytes`},
		"blobs that create":      {blobJSON("to", "", "data", `"0x60"`), `to: missing: a transaction of type 3 creates no contract`},
		"blob price overflow":    {blobJSON("maxFeePerBlobGas", `"0x`+strings.Repeat("f", 64)+`"`), `gas: gas times its price`},
		"blobs themselves":       {blobJSON("blobs", `["0x00"]`), `blobs: transaction: this is the form for the network`},
		"blobs, legacy price":    {blobJSON("gasPrice", `"0x1"`), `not both`},
		"blobs and grants":       {blobJSON("authorizationList", `[]`), `authorizationList: a transaction with blobs has none`},
		"no authorizations":      {txJSON("authorizationList", `[]`), `authorizationList: empty`},
		"unsigned authorization": {txJSON("authorizationList", `[{"chainId":"0x1","address":"`+bob+`","nonce":"0x0"}]`), `authorizationList.yParity: missing`},
		"authorization of whom":  {txJSON("authorizationList", `[{"chainId":"0x1","nonce":"0x0","yParity":"0x0","r":"0x1","s":"0x1"}]`), `authorizationList.address: missing`},
		"authorization creates":  {grantJSON(t, bob, 1, "to", "", "data", `"0x60"`), `to: missing: a transaction of type 4 creates no contract`},
		"too many":               {txJSON("authorizationList", `[`+strings.TrimSuffix(strings.Repeat(`{"chainId":"0x1","address":"`+bob+`","nonce":"0x0","yParity":"0x0","r":"0x1","s":"0x1"},`, 257), ",")+`]`), `more than 256`},
		"tip above most":         {txJSON("maxPriorityFeePerGas", `"0x4a817c801"`), `maxPriorityFeePerGas: more than maxFeePerGas`},
		"price overflow":         {txJSON("maxFeePerGas", `"0x`+strings.Repeat("f", 64)+`"`), `gas: gas times its price`},
		"sum overflow":           {txJSON("value", `"0x`+strings.Repeat("f", 64)+`"`), `value: together with the fee`},
		"data without 0x":        {txJSON("data", `"beef"`), `data: want hex bytes`},
		"odd data":               {txJSON("data", `"0xbee"`), `data: an odd number`},
		"data not hex":           {txJSON("input", `"0xzz"`), `input: want hex digits`},
		"two data":               {txJSON("data", `"0x00"`, "input", `"0x01"`), `input: differs from data`},
		"list no address":        {txJSON("accessList", `[{"storageKeys":[]}]`), `accessList.address: missing`},
		"list unknown":           {txJSON("accessList", `[{"address":"`+alice+`","storageKeys":[],"x":1}]`), `accessList/0/x: unknown field`},
		"list short key":         {txJSON("accessList", `[{"address":"`+alice+`","storageKeys":["0x01"]}]`), `accessList.storageKeys: key of 1 bytes`},
		"list wrong":             {txJSON("accessList", `{}`), `accessList: wrong kind of JSON value`},
		"envelope":               {[]byte(`{"jsonrpc":"2.0","id":1,"method":"eth_signTransaction","params":[` + string(txJSON()) + `]}`), `JSON-RPC`},
		"signed":                 {txJSON("v", `"0x0"`, "r", `"0x1"`, "s", `"0x1"`), `already signed`},
		"answer of a node":       {[]byte(`{"raw":"0x02","tx":{}}`), `already signed`},
		"more after the object":  {append(txJSON(), txJSON()...), `JSON: broken at byte`},
		"cut":                    {txJSON()[:40], `JSON: broken`},
		"not UTF-8":              {txJSON("data", "\"\xff\""), `JSON: broken`},
		"long name":              {txJSON(strings.Repeat("x", 5000), "1"), `xxx…: unknown field`},
		"name with escape":       {txJSON(`\u001b[31m`, "1"), `"\x1b[31m": unknown field`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []chain.Type{chain.TypeTx, chain.Auto} {
				_, err := chain.Parse(ethereum.Decoder{}, c.payload, chain.Ask{Type: kind, Public: testSigner.Public()})
				if !errors.Is(err, chain.ErrPayload) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("type %q: got %v, want an error with %q", kind, err, c.want)
				}
				if err != nil && len(err.Error()) > 500 {
					t.Errorf("error of %d bytes", len(err.Error()))
				}
			}
		})
	}
}

func TestJSONAndRLPOfOneTransactionAreTheSame(t *testing.T) {
	transfer := abi(t, "a9059cbb", addressWord(bob), word("16e360"))
	signer, err := ethereum.AddressOf(testSigner.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ json, rlp []byte }{
		"transfer":      {txJSON(), rlp2(t, nil, nil, "")},
		"from is known": {txJSON("from", `"`+signer.String()+`"`), rlp2(t, nil, nil, "")},
		"explicit type": {txJSON("type", `"0x2"`, "accessList", "[]", "data", `"0x"`, "input", `"0x"`), rlp2(t, nil, nil, "")},
		"nulls":         {txJSON("gasPrice", "null", "accessList", "null", "data", "null", "from", "null"), rlp2(t, nil, nil, "")},
		"white space":   {append([]byte("\n\t "), append(txJSON(), '\n')...), rlp2(t, nil, nil, "")},
		"lower case":    {txJSON("to", `"`+strings.ToLower(alice)+`"`), rlp2(t, nil, nil, "")},
		"upper case":    {txJSON("to", `"0x`+strings.ToUpper(alice[2:])+`"`, "value", `"0x14D1120D7B160000"`), rlp2(t, nil, nil, "")},
		"input":         {txJSON("input", `"0x`+hex.EncodeToString(transfer)+`"`), rlp2(t, nil, transfer, "")},
		"access list": {
			txJSON("accessList", `[{"address":"`+token+`","storageKeys":["0x`+word("5")+`"]}]`),
			rlp2(t, nil, nil, "f838f794"+strings.ToLower(token[2:])+"e1a0"+word("5")),
		},
	} {
		a, b := parse(t, c.json), parse(t, c.rlp)
		if !bytes.Equal(a.Tasks()[0].Digest, b.Tasks()[0].Digest) {
			t.Errorf("%s: got digest %x from JSON, %x from RLP", name, a.Tasks()[0].Digest, b.Tasks()[0].Digest)
		}
		if a.Intent().Sentence != b.Intent().Sentence {
			t.Errorf("%s: got %q from JSON, %q from RLP", name, a.Intent().Sentence, b.Intent().Sentence)
		}
	}
}

func parse(t testing.TB, payload []byte) chain.Parsed {
	t.Helper()
	p, err := chain.Parse(ethereum.Decoder{}, payload, chain.Ask{Public: testSigner.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
