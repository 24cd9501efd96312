package ethereum_test

import (
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

func TestSentencesArePlain(t *testing.T) {
	transfer := abi(t, "a9059cbb", addressWord(bob), word("16e360"))
	for _, c := range []struct {
		payload []byte
		want    string
	}{
		{txJSON(), "Send 1.5 ETH to " + alice + " on Ethereum (fee at most 0.00042 ETH)."},
		{txJSON("chainId", `"0x7a69"`), "Send 1.5 ETH to " + alice + " on a local test chain (fee at most 0.00042 ETH)."},
		{txJSON("chainId", `"0xaa36a7"`), "Send 1.5 ETH to " + alice + " on Sepolia (fee at most 0.00042 ETH)."},
		{txJSON("chainId", `"0x1388"`), "Send 1.5 of eip155:5000/slip44:60 to " + alice + " on chain eip155:5000 (fee at most 0.00042 of eip155:5000/slip44:60)."},
		{txJSON("value", `"0x1"`), "Send 0.000000000000000001 ETH to " + alice + " on Ethereum (fee at most 0.00042 ETH)."},
		{callJSON(transfer), "Send 1500000 base units of " + tokens.ID + " to " + bob + " on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(transfer, "value", `"0x1"`), "Send 1500000 base units of " + tokens.ID + " to " + bob +
			", and send 0.000000000000000001 ETH to " + token + " on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(abi(t, "23b872dd", addressWord(alice), addressWord(bob), word("2a"))),
			"Move 42 base units of " + tokens.ID + " from " + alice + " to " + bob + " on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(abi(t, "095ea7b3", addressWord(bob), word("64"))), "Let " + bob + " spend up to 100 base units of " + tokens.ID + " on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(abi(t, "095ea7b3", addressWord(bob), strings.Repeat("f", 64))), "Let " + bob + " spend " + tokens.ID + " without limit on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(abi(t, "a22cb465", addressWord(bob), word("1"))), "Let " + bob + " move every token of " + pictures.ID + " on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(abi(t, "42842e0e", addressWord(alice), addressWord(bob), word("2a"))),
			"Move token number 42 of " + pictures.ID + " from " + alice + " to " + bob + " on Ethereum (fee at most 0.004 ETH)."},
		{callJSON(abi(t, "deadbeef")), "Call " + token + " with 4 bytes of data that cannot be read here on Ethereum (fee at most 0.004 ETH)."},
		{txJSON("to", "", "data", `"0x60"`), "Create a contract from 1 bytes of code with 1.5 ETH in it on Ethereum (fee at most 0.00042 ETH)."},
		{[]byte("hello"), "Sign a message of 5 bytes."},
	} {
		if got := parse(t, c.payload).Intent().Sentence; got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	self, err := ethereum.AddressOf(testSigner.Public())
	if err != nil {
		t.Fatal(err)
	}
	own := self.String()
	zero := "0x" + strings.Repeat("0", 40)
	quiet := callJSON(abi(t, "a9059cbb", addressWord(bob), word("1")))
	for name, c := range map[string]struct {
		payload []byte
		want    []string
	}{
		"none":                 {txJSON(), nil},
		"none, token":          {quiet, nil},
		"zero address":         {txJSON("to", `"`+zero+`"`), []string{"zero-address"}},
		"own address":          {txJSON("to", `"`+own+`"`), []string{"own-address"}},
		"token to itself":      {callJSON(abi(t, "a9059cbb", addressWord(token), word("1"))), []string{"token-contract"}},
		"token to zero":        {callJSON(abi(t, "a9059cbb", word(""), word("1"))), []string{"zero-address"}},
		"token to us":          {callJSON(abi(t, "a9059cbb", addressWord(own), word("1"))), []string{"own-address"}},
		"ambiguous":            {callJSON(abi(t, "23b872dd", addressWord(own), addressWord(bob), word("1"))), []string{"ambiguous-token"}},
		"somebody else's":      {callJSON(abi(t, "23b872dd", addressWord(alice), addressWord(bob), word("1"))), []string{"ambiguous-token", "foreign-tokens"}},
		"unlimited":            {callJSON(abi(t, "095ea7b3", addressWord(bob), strings.Repeat("f", 64))), []string{"ambiguous-token", "unlimited-allowance"}},
		"2^255":                {callJSON(abi(t, "095ea7b3", addressWord(bob), "8"+strings.Repeat("0", 63))), []string{"ambiguous-token", "unlimited-allowance"}},
		"2^255-1":              {callJSON(abi(t, "095ea7b3", addressWord(bob), "7"+strings.Repeat("f", 63))), []string{"ambiguous-token"}},
		"power to oneself":     {callJSON(abi(t, "095ea7b3", addressWord(own), word("1"))), []string{"ambiguous-token", "own-address"}},
		"power over all":       {callJSON(abi(t, "a22cb465", addressWord(bob), word("1"))), []string{"allowance-for-all"}},
		"power taken back":     {callJSON(abi(t, "a22cb465", addressWord(bob), word(""))), nil},
		"blind":                {callJSON(abi(t, "deadbeef")), []string{"blind-call"}},
		"blind to zero":        {callJSON(abi(t, "deadbeef"), "to", `"`+zero+`"`), []string{"blind-call", "zero-address"}},
		"little gas":           {txJSON("gas", `"0x5207"`), []string{"low-gas"}},
		"little gas for data":  {callJSON(abi(t, "a9059cbb", addressWord(bob), word("1")), "gas", `"0x5208"`), []string{"low-gas"}},
		"fee above the amount": {txJSON("value", `"0x1"`), []string{"high-fee"}},
		"creation":             {txJSON("to", "", "data", `"0x60"`, "gas", `"0x30d40"`), []string{"creates-contract"}},
		"huge creation": {txJSON("to", "", "data", `"0x`+strings.Repeat("01", 49153)+`"`, "gas", `"0xf42400"`),
			[]string{"creates-contract", "large-code"}},
		"no chain":      {unhex(t, "e9"+strings.TrimSuffix(example155[2:], "018080")), []string{"no-chain-id"}},
		"digest":        {[]byte(strings.Repeat("\xab", 32)), []string{"digest-like", "unprintable"}},
		"digest as hex": {[]byte("0x" + strings.Repeat("ab", 32)), []string{"digest-like", "hex-text"}},
		"32 letters":    {[]byte(strings.Repeat("x", 32)), []string{"digest-like"}},
		"control":       {[]byte("a\x1b[31mb"), []string{"unprintable"}},
		"carriage":      {[]byte("a\r\n"), []string{"unprintable"}},
		"empty":         {nil, []string{"empty"}},
		"bidi":          {[]byte("pay \u202ekcab\u202c now"), []string{"bidi-text"}},
		"invisible":     {[]byte("pay\u200bnow"), []string{"invisible-text"}},
		"emoji":         {[]byte("👩‍💻\tок\n"), nil},
	} {
		var got []string
		for _, w := range parse(t, c.payload).Intent().Warnings {
			got = append(got, w.Code)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got warnings %v, want %v", name, got, c.want)
		}
	}
}

func TestIntentShowsTheCall(t *testing.T) {
	in := parse(t, callJSON(abi(t, "a9059cbb", addressWord(bob), word("16e360")))).Intent()
	if in.Call == nil || !in.Call.Decoded || in.Call.Selector != "0xa9059cbb" || in.Call.Name != "transfer(address,uint256)" || in.Call.To != token || in.Call.Size != 68 {
		t.Errorf("got call %+v", in.Call)
	}
	want := []chain.Arg{{Name: "to", Type: "address", Value: bob}, {Name: "amount", Type: "uint256", Value: "1500000"}}
	if !slices.Equal(in.Call.Args, want) {
		t.Errorf("got arguments %v, want %v", in.Call.Args, want)
	}
	if in.Nonce == nil || *in.Nonce != 7 {
		t.Errorf("got nonce %v, want 7", in.Nonce)
	}
	moved := parse(t, callJSON(abi(t, "42842e0e", addressWord(alice), addressWord(bob), word("2a")))).Intent().Moves[0]
	if moved.TokenID.String() != "42" || moved.Amount.String() != "1" || moved.From != alice {
		t.Errorf("got move %+v, want token 42 of alice", moved)
	}
	if parse(t, txJSON()).Intent().Call != nil {
		t.Error("a plain transfer has a call")
	}
}

func TestWhoPaysIsSaidWhenKnown(t *testing.T) {
	self, err := ethereum.AddressOf(testSigner.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		payload []byte
		ask     chain.Ask
		want    string
	}{
		"by key":     {txJSON(), chain.Ask{Public: testSigner.Public()}, self.String()},
		"by field":   {txJSON("from", `"`+bob+`"`), chain.Ask{}, bob},
		"not at all": {txJSON(), chain.Ask{}, ""},
		"message":    {[]byte("hello"), chain.Ask{Public: testSigner.Public()}, self.String()},
	} {
		p, err := chain.Parse(ethereum.Decoder{}, c.payload, c.ask)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Intent().From; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	p, err := chain.Parse(ethereum.Decoder{}, txJSON("to", "", "data", `"0x60"`), chain.Ask{})
	if err != nil || p.Intent().Moves[0].To != "new contract" {
		t.Errorf("creation by nobody: got %+v, %v", p, err)
	}
}

// A rule must never see a smaller amount than what is signed, whoever touches
// the numbers in between.
func TestAmountsInTheIntentDoNotReachTheSignature(t *testing.T) {
	p := parse(t, txJSON())
	p.Intent().Moves[0].Amount.SetInt64(1)
	p.Intent().Fee.Max.SetInt64(1)
	*p.Intent().Nonce = 99
	out, err := p.Assemble([]key.Recoverable{testSigner.Sign(p.Tasks()[0].Digest)})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); got != string(assembled(t, txJSON())) {
		t.Error("the signed transaction changed with the Intent")
	}
}
