package policy_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/policy"
)

const (
	bitcoinMain = "bip122:000000000019d6689c085ae165831e93"
	regtest     = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"

	// From BIP-173, section "Test vectors", and BIP-350.
	segwit  = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
	taproot = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
	// The first block's, and the example of BIP-16's form in BIP-13.
	genesis = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
	script  = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG"
)

var bitcoin = chain.Asset{ID: bitcoinMain + "/slip44:0", Symbol: "BTC", Decimals: 8}

// utxo is a transaction of Bitcoin: what it pays in satoshi, its fee and size.
func utxo(t failer, fee, size int64, change func(*chain.Intent)) chain.Parsed {
	t.Helper()
	in := chain.Intent{
		Kind: chain.Transaction, Chain: bitcoinMain, Fee: &chain.Fee{Asset: bitcoin, Max: big.NewInt(fee), Size: size},
		Moves: []chain.Move{{Asset: bitcoin, Amount: big.NewInt(50_000), To: segwit}},
	}
	if change != nil {
		change(&in)
	}
	return decoded(t, in)
}

func single(rule string) string {
	return rules("  - {name: r, who: [any], do: [sign-transaction], " + rule + "}\n")
}

// outcome judges a payload by one rule at a time of its own.
func outcome(t failer, rule string, p chain.Parsed, at int64, f policy.Facts) policy.Decision {
	t.Helper()
	d, err := policy.Decide(ask(t, "operator", hot(), p), parse(t, single(rule)), at, f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBitcoinAddressesAreCheckedByNetwork(t *testing.T) {
	for name, c := range map[string]struct{ chain, address, refused string }{
		"segwit":          {"bitcoin", segwit, ""},
		"capitals":        {"bitcoin", strings.ToUpper(segwit), ""},
		"taproot":         {"bitcoin", taproot, ""},
		"script":          {"bitcoin", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", ""},
		"key's hash":      {"bitcoin", genesis, ""},
		"script's hash":   {"bitcoin", script, ""},
		"test":            {"testnet4", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", ""},
		"signet":          {"signet", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", ""},
		"test key":        {"testnet4", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", ""},
		"mixed capitals":  {"bitcoin", "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "mixed"},
		"one letter":      {"bitcoin", strings.Replace(segwit, "g4y5", "g4y4", 1), "wrong checksum"},
		"bech32 for v1":   {"bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "wrong checksum"},
		"bech32m for v0":  {"bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "wrong checksum"},
		"20 of 16 bytes":  {"bitcoin", "bc1qr508d6qejxtdg4y5r3zarvaryv98gj9p", "no witness program"},
		"padding":         {"bitcoin", "bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du", "wrong checksum"},
		"one byte":        {"bitcoin", "bc1pw5dgrnzv", "no witness program"},
		"nothing":         {"bitcoin", "bc1gmk9yu", "wrong checksum"},
		"of the test net": {"bitcoin", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "not an address of this network"},
		"main on regtest": {"regtest", segwit, "not an address of this network"},
		"main key test":   {"regtest", genesis, "not an address of this network"},
		"one digit":       {"bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "wrong checksum"},
		"too short":       {"bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf", "not an address of this network"},
		"ethereum's":      {"bitcoin", alice, "not an address of this network"},
	} {
		_, err := policy.Parse([]byte("version: 1\nrules: []\nbooks: {b: [{chain: " + c.chain + ", address: \"" + c.address + "\", name: n}]}\n"))
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: got %v, want an error with %q", name, err, c.refused)
		}
	}
}

func TestBitcoinPaymentsAreJudged(t *testing.T) {
	book := "version: 1\nbooks: {b: [{chain: bitcoin, address: " + strings.ToUpper(segwit) + ", name: n}]}\nrules:\n"
	r := "  - {name: r, who: [any], keys: [any], do: [sign-transaction], chains: [bitcoin], to: [book:b], amount: {asset: BTC, max: \"0.0005\"}, fee: {asset: sat, max: 1000}, then: allow}\n"
	p := parse(t, book+r)
	pays := func(to string, n, fee int64) chain.Parsed {
		return utxo(t, fee, 140, func(in *chain.Intent) { in.Moves[0].To, in.Moves[0].Amount = to, big.NewInt(n) })
	}
	for name, c := range map[string]struct {
		payload chain.Parsed
		want    string
	}{
		"within":       {pays(segwit, 49_000, 1000), "allowed"},
		"fee counts":   {pays(segwit, 49_001, 1000), "amount 0.00050001 BTC is over max 0.0005 BTC (with the fee)"},
		"fee":          {pays(segwit, 1000, 1001), "fee 1001 sat is over max 1000 sat"},
		"another":      {pays(taproot, 1000, 1000), "destination " + taproot + " is not among"},
		"another coin": {utxo(t, 10, 140, func(in *chain.Intent) { in.Chain = regtest }), "chain " + regtest + " is not among its chains"},
	} {
		if got := reasons(decide(t, p, ask(t, "operator", hot(), c.payload), nil)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s\nwant %q", name, got, c.want)
		}
	}
}

func TestFeeRateIsACondition(t *testing.T) {
	const rule = "keys: [any], fee: {asset: BTC, max: \"0.001\", rate: 200}, then: allow"
	for name, c := range map[string]struct {
		fee, size int64
		want      string
	}{
		"at the rate":  {28_000, 140, "allowed"},
		"over it":      {28_001, 140, "fee of 0.00028001 BTC for 140 virtual bytes is over 200 sat a virtual byte"},
		"over the max": {100_001, 1_000_000, "is over max 0.001 BTC"},
		"no size":      {1, 0, "for 0 virtual bytes is over 200"},
		"nothing":      {0, 140, "allowed"},
	} {
		if got := reasons(outcome(t, rule, utxo(t, c.fee, c.size, nil), now, nil)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s\nwant %q", name, got, c.want)
		}
	}
	free := utxo(t, 0, 140, func(in *chain.Intent) { in.Fee = nil })
	if got := outcome(t, rule, free, now, nil); got.Outcome() != policy.Allowed {
		t.Errorf("no fee at all: got %s", reasons(got))
	}
}

func TestOnlyDestinationsPaidBefore(t *testing.T) {
	before := past{
		{now - 900*24*3_600_000, "hot/m/84h/0h/0h", "service:x", ether.ID, alice, eth("1")}, // another account of the key, long ago
		{now - 1, "cold", "operator", ether.ID, bob, eth("1")},
		{now - 1, "hot", "operator", others.ID, carol, eth("1")}, // another chain
	}
	for name, c := range map[string]struct {
		rule string
		to   string
		want string
	}{
		"paid before":             {"keys: [any], seen: true, then: allow", alice, "allowed"},
		"paid by another key":     {"keys: [any], seen: true, then: allow", bob, "first-payment: move of 1 ETH to " + bob + `: rule "r" is about destinations that this key paid before, and never yet ` + bob},
		"paid on another chain":   {"keys: [any], seen: true, then: allow", carol, "first-payment"},
		"first payment asks":      {"keys: [any], seen: false, then: {approvals: 1, of: treasurers}", bob, "asks"},
		"second is for another":   {"keys: [any], seen: false, then: {approvals: 1, of: treasurers}", alice, "this key never paid, and it paid " + alice},
		"first payment is denied": {"keys: [any], seen: false, then: deny", bob, "denied-by-rule"},
	} {
		got := reasons(outcome(t, c.rule, pays(t, ether, eth("1"), c.to), now, before))
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s\nwant %q", name, got, c.want)
		}
	}
	creation := tx(t, func(in *chain.Intent) { in.Creates, in.Blind = true, true })
	if d := outcome(t, "keys: [any], seen: false, then: allow", creation, now, before); d.Outcome() != policy.Denied {
		t.Errorf("what has no destination: got %s", reasons(d))
	}
	// The fee comes with a payment that fits, never with one that another rule covers.
	two := parse(t, single("keys: [any], seen: true, then: allow")+"  - {name: tokens, who: [any], keys: [any], do: [use], amount: {asset: USDC, max: 5}, then: allow}\n")
	for to, want := range map[string]policy.Outcome{alice: policy.Allowed, bob: policy.Denied} {
		if d := decide(t, two, ask(t, "operator", hot(), pays(t, usdc, big.NewInt(5), to)), before); d.Outcome() != want {
			t.Errorf("tokens to %s: got %s, want %s", to, reasons(d), want)
		}
	}
	// What a signature leaves open is no destination.
	first := parse(t, single("keys: [any], seen: false, then: deny")+"  - {name: all, who: [any], keys: [any], do: [any], then: allow}\n"+
		"  - {name: open, who: [any], keys: [any], do: [use], sighash: [single], then: allow}\n")
	paid := past{{now - 1, "hot", "operator", bitcoin.ID, segwit, big.NewInt(1)}}
	open := utxo(t, 100, 140, func(in *chain.Intent) { in.Sighashes = []string{"single"} })
	if d := decide(t, first, ask(t, "operator", hot(), open), paid); d.Outcome() != policy.Allowed {
		t.Errorf("to a destination that was paid before, with a sighash: got %s", reasons(d))
	}
	r := ask(t, "operator", hot(), pays(t, ether, eth("1"), alice))
	for _, facts := range []policy.Facts{nil, broken{}} {
		if d, err := policy.Decide(r, parse(t, single("keys: [any], seen: true, then: allow")), now, facts); err == nil || d.Valid() {
			t.Errorf("facts %v: got a decision", facts)
		}
		if _, err := policy.Decide(r, parse(t, single("keys: [cold], seen: true, then: allow")), now, facts); err != nil {
			t.Errorf("facts %v, a rule for another key: %v", facts, err)
		}
	}
}

func TestHoursFollowTheClockOnTheWall(t *testing.T) {
	at := func(s string) int64 {
		when, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return when.UnixMilli()
	}
	const zurich = "keys: [any], hours: {zone: Europe/Zurich, days: [mon-fri], from: '08:00', to: '18:00'}, then: "
	for utc, open := range map[string]bool{
		"2027-01-15 06:59:59": false, "2027-01-15 07:00:00": true, "2027-01-15 16:59:59": true, "2027-01-15 17:00:00": false, // winter, a Friday
		"2027-07-15 05:59:59": false, "2027-07-15 06:00:00": true, "2027-07-15 15:59:59": true, "2027-07-15 16:00:00": false, // summer
		"2027-01-16 12:00:00": false, "2027-01-17 12:00:00": false, "2027-01-18 12:00:00": true, // the weekend
		"2027-03-26 07:00:00": true, "2027-03-29 06:00:00": true, "2027-03-29 05:59:59": false, // the clocks go forward between
		"2027-10-29 06:00:00": true, "2027-11-01 06:59:59": false, "2027-11-01 07:00:00": true, // and back
	} {
		pay := pays(t, ether, eth("1"), alice)
		d := outcome(t, zurich+"allow", pay, at(utc), nil)
		if got := d.Outcome() == policy.Allowed; got != open {
			t.Errorf("%s: got %s, want open %v", utc, reasons(d), open)
		}
		if !open && !strings.Contains(reasons(d), `hours: `) {
			t.Errorf("%s: got %s, want the hours for a reason", utc, reasons(d))
		}
		if d := outcome(t, zurich+"deny", pay, at(utc), nil); strings.Contains(reasons(d), "denied-by-rule") != open {
			t.Errorf("%s: a denial holds in its hours only: got %s", utc, reasons(d))
		}
	}
}

func TestWhatASignatureLeavesOpenIsNamed(t *testing.T) {
	leaving := func(all ...string) chain.Parsed {
		return utxo(t, 100, 140, func(in *chain.Intent) { in.Sighashes = all })
	}
	const wide = "  - {name: wide, who: [any], keys: [any], do: [any, sign-blind], then: allow}\n"
	named := func(words, then string) string {
		return "  - {name: open, who: [any], keys: [any], do: [sign-transaction], sighash: ['" + words + "'], then: " + then + "}\n"
	}
	for name, c := range map[string]struct {
		rules   string
		payload chain.Parsed
		want    string
	}{
		"never by itself":     {wide, leaving("single"), "sighash: sighash single: rule \"wide\" does not name sighash: [single]"},
		"named":               {wide + named("single", "allow"), leaving("single"), "allowed: rule \"open\" covers sighash"},
		"another one":         {wide + named("none", "allow"), leaving("single"), "does not name sighash: [single]"},
		"one of two":          {wide + named("none", "allow"), leaving("none", "single"), "does not name sighash: [single]"},
		"asks":                {wide + named("all|anyonecanpay", "{approvals: 1, of: treasurers}"), leaving("all|anyonecanpay"), "asks"},
		"asks for these only": {wide + named("single", "{approvals: 1, of: treasurers}"), leaving(), "allowed"},
		"denies these only":   {wide + named("single", "deny"), leaving(), "allowed"},
		"denied":              {wide + named("single", "deny"), leaving("single"), "denied-by-rule"},
		"covers nothing else": {named("single", "allow"), leaving("single"), "rule \"open\" is only about what a signature leaves open"},
		"denied with all":     {"  - {name: stop, who: [any], keys: [any], do: [sign-transaction], then: deny}\n" + named("single", "allow"), leaving("single"), "rule \"stop\" denies"},
	} {
		if got := reasons(decide(t, parse(t, rules(c.rules)), ask(t, "operator", hot(), c.payload), nil)); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s\nwant %q", name, got, c.want)
		}
	}
	if d := decide(t, parse(t, string(policy.Solo())), ask(t, "operator", hot(), leaving("none")), nil); d.Outcome() != policy.Denied {
		t.Errorf("solo: got %s", reasons(d))
	}
	if d := decide(t, parse(t, string(policy.Solo())), ask(t, "operator", hot(), leaving()), nil); d.Outcome() != policy.Allowed {
		t.Errorf("solo, everything signed: got %s", reasons(d))
	}
}

// What an account paid is kept under "hot/m/84h/0h/0h".
func TestWindowsAddUpAccounts(t *testing.T) {
	spent := past{
		{now - 1, "hot/m/84h/0h/0h", "operator", ether.ID, alice, eth("1")},
		{now - 1, "hot/m/84h/0h/1h", "operator", ether.ID, alice, eth("2")},
		{now - 1, "hot", "operator", ether.ID, alice, eth("4")},
		{now - 1, "hot-1/m/84h/0h/0h", "operator", ether.ID, alice, eth("8")},
	}
	for name, c := range map[string]struct {
		keys, path, want string
	}{
		"all of the key":       {"hot", "m/84h/0h/0h", "7 ETH spent"},
		"the key itself":       {"hot", "", "7 ETH spent"},
		"one account":          {"hot/m/84h/0h/0h", "m/84h/0h/0h", "1 ETH spent"},
		"accounts of a branch": {"hot/m/84h/*", "m/84h/0h/1h", "3 ETH spent"},
	} {
		p := parse(t, rules("  - {name: r, who: [any], keys: ['"+c.keys+"'], do: [sign-transaction], window: {asset: ETH, per: 1d, max: 1}, then: allow}\n"))
		d := decide(t, p, request(t, "operator", policy.Input{Parsed: pays(t, ether, eth("1"), alice), Key: hot(), Version: 1, Path: c.path}), spent)
		if got := reasons(d); !strings.Contains(got, "window: "+c.want) {
			t.Errorf("%s: got %s\nwant %q", name, got, c.want)
		}
	}
}

// The keys of an account can be named by deeper paths too, and spend the same money.
func TestDeeperPathsDodgeNoRuleAboutAnAccount(t *testing.T) {
	const wide = "  - {name: wide, who: [any], keys: [%s], do: [sign-transaction], then: allow}\n"
	const narrow = "  - {name: narrow, who: [any], keys: [hot/m/84h/0h/5h], do: [sign-transaction], "
	spent := past{{now - 1, "hot/m/84h/0h/5h/0", "operator", ether.ID, alice, eth("1")}}
	for _, all := range []string{"hot", "hot/m/84h/*", "any"} {
		for demand, want := range map[string]string{
			"then: deny}\n": "denied-by-rule",
			"then: {approvals: 1, of: treasurers}}\n":               "approvals",
			"window: {asset: ETH, per: 1d, max: 1}, then: allow}\n": "1 ETH spent",
		} {
			p := parse(t, rules(fmt.Sprintf(wide, all)+narrow+demand))
			for _, path := range []string{"m/84h/0h/5h", "m/84h/0h/5h/0", "m/84h/0h/5h/1/9"} {
				d := decide(t, p, request(t, "operator", policy.Input{Parsed: pays(t, ether, eth("1"), alice), Key: hot(), Version: 1, Path: path}), spent)
				if got := reasons(d); !strings.Contains(got, want) {
					t.Errorf("keys [%s], %s: %s\nwant %q", all, path, got, want)
				}
			}
			d := decide(t, p, request(t, "operator", policy.Input{Parsed: pays(t, ether, eth("1"), alice), Key: hot(), Version: 1, Path: "m/84h/0h/6h/0"}), spent)
			if got := reasons(d); d.Outcome() != policy.Allowed || strings.Contains(got, "narrow") {
				t.Errorf("keys [%s], another account: got %s", all, got)
			}
		}
	}
}

func TestTypedDataAreJudgedByWhatTheyAllow(t *testing.T) {
	permit := func(n *big.Int, unlimited bool) chain.Parsed {
		return decoded(t, chain.Intent{
			Kind: chain.TypedData, Chain: "eip155:1", Call: &chain.Call{To: token, Decoded: true},
			Allowances: []chain.Allowance{{Asset: usdc, Amount: n, Unlimited: unlimited, Spender: bob}},
		})
	}
	p := parse(t, rules("  - {name: r, who: [any], keys: [any], do: [sign-typed-data], to: ['"+bob+"'], amount: {asset: USDC, max: 5}, then: allow}\n"))
	for want, parsed := range map[policy.Outcome]chain.Parsed{
		policy.Allowed: permit(big.NewInt(5_000_000), false), policy.Denied: permit(big.NewInt(5_000_001), false),
	} {
		if d := decide(t, p, ask(t, "operator", hot(), parsed), nil); d.Outcome() != want {
			t.Errorf("got %s, want %s", reasons(d), want)
		}
	}
	if d := decide(t, p, ask(t, "operator", hot(), permit(big.NewInt(1), true)), nil); d.Outcome() != policy.Denied {
		t.Errorf("without limit: got %s", reasons(d))
	}
	blind := decoded(t, chain.Intent{Kind: chain.TypedData, Chain: "eip155:1", Blind: true, Call: &chain.Call{To: token}})
	named := parse(t, rules("  - {name: r, who: [any], keys: [any], do: [sign-typed-data, sign-blind], to: ['"+token+"'], then: allow}\n"))
	if d := decide(t, named, ask(t, "operator", hot(), blind), nil); d.Outcome() != policy.Allowed {
		t.Errorf("blind, for a contract that the rule names: got %s", reasons(d))
	}
	if d := decide(t, p, ask(t, "operator", hot(), blind), nil); d.Outcome() != policy.Denied || blind.Verb() != key.SignTypedData {
		t.Errorf("blind: got %s", reasons(d))
	}
}

func TestConditionsInWords(t *testing.T) {
	for more, want := range map[string]string{
		"seen: true":                                "r: everybody may sign-transaction with any key, to destinations that it paid before.",
		"seen: false":                               "r: everybody may sign-transaction with any key, to destinations that it never paid.",
		"sighash: [none, 'single|anyonecanpay']":    "r: everybody may sign-transaction with any key, with a sighash of none or single|anyonecanpay.",
		"fee: {asset: BTC, max: '0.001', rate: 20}": "r: everybody may sign-transaction with any key, at a fee of up to 0.001 BTC and 20 sat a virtual byte.",
		"chains: [signet], hours: {zone: UTC, from: '08:00', to: '24:00'}":               "r: everybody may sign-transaction with any key, on signet, every day from 08:00 to 24:00 UTC.",
		"hours: {zone: Europe/Zurich, days: [mon-wed, fri], from: '08:00', to: '09:30'}": "r: everybody may sign-transaction with any key, mon-wed and fri from 08:00 to 09:30 Europe/Zurich.",
	} {
		p := parse(t, single("keys: [any], "+more+", then: allow"))
		if got := p.Sentences()[0]; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
