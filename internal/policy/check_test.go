package policy_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/internal/policy"
)

func findings(p *policy.Policy) []string {
	var all []string
	for _, f := range p.Check() {
		all = append(all, string(f.Level)+" "+f.Rule+": "+f.Text)
	}
	return all
}

func TestCheckFinds(t *testing.T) {
	const open = "  - {name: all, who: [operator], keys: [any], do: [any], then: allow}\n"
	cases := map[string]struct{ rules, want string }{
		"a quorum larger than its group": {
			"  - {name: r, who: [operator], keys: [any], do: [any], then: {approvals: 4, of: treasurers}}\n",
			"error r: asks for 4 approvals of treasurers, and only 3 of that group can vote"},
		"a quorum of programs": {
			"  - {name: r, who: [operator], keys: [any], do: [any], then: {approvals: 1, of: programs}}\n",
			"error r: asks for 1 approval of programs, and only 0 of that group can vote"},
		"a quorum in a window": {
			"  - {name: r, who: [operator], keys: [any], do: [any], window: {asset: ETH, per: 1d, max: 1, over: {approvals: 4, of: treasurers}}, then: allow}\n",
			"error r: asks for 4 approvals of treasurers"},
		"self-approval": {
			"  - {name: r, who: [group:treasurers], keys: [any], do: [any], then: {approvals: 1, of: treasurers, initiator_counts: true}}\n",
			"error r: lets member:ann, member:ben, member:cleo approve alone what they asked for"},
		"a counted initiator": {
			"  - {name: r, who: [member:ann], keys: [any], do: [any], then: {approvals: 2, of: treasurers, initiator_counts: true}}\n",
			"note r: the vote of who asked counts, so that member:ann needs only 1 more"},
		"too few others": {
			"  - {name: r, who: [member:ann], keys: [any], do: [any], then: {approvals: 3, of: treasurers}}\n",
			"warning r: when member:ann asks, only 2 others can approve, and 3 are needed"},
		"a part of an account held back": {
			"  - {name: r, who: [operator], keys: [hot/m/84h/0h/5h/*], do: [sign-transaction], then: deny}\n",
			"warning r: keys: hot/m/84h/0h/5h/* is a part of an account, which signs by these keys too: name the account"},
		"a branch with a window": {
			"  - {name: r, who: [operator], keys: [hot/m/84h/0h/5h/0], do: [sign-transaction], window: {asset: BTC, per: 1d, max: 1}, then: allow}\n",
			"warning r: keys: hot/m/84h/0h/5h/0 is a part of an account"},
		"an account that an earlier denial has": {
			"  - {name: a, who: [operator], keys: [hot/m/84h/0h/5h], do: [sign-transaction], then: deny}\n  - {name: r, who: [operator], keys: [hot/m/84h/0h/5h/0], do: [sign-transaction], then: allow}\n",
			"warning r: never applies"},
		"blind signing": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-blind], then: allow}\n",
			"warning r: sign-blind: lets operator sign what keyward does not understand"},
		"a service with every key": {
			"  - {name: r, who: [group:programs], keys: [any], do: [use], then: allow}\n",
			"warning r: lets a service use every key"},
		"everybody": {
			"  - {name: r, who: [any], keys: [hot], do: [use], then: allow}\n",
			"warning r: who: any includes every service"},
		"a service that administers": {
			"  - {name: r, who: [service:x], keys: [any], do: [administer], then: allow}\n",
			"warning r: lets a service change who may do what"},
		"a shadowed rule": {
			open + "  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, max: 5}, then: allow}\n",
			"warning r: adds nothing: rule all covers all of it"},
		"a rule that eases nothing": {
			"  - {name: small, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, max: 1}, then: allow}\n" +
				"  - {name: two, who: [operator], keys: [hot], do: [sign-transaction], then: {approvals: 2, of: treasurers}}\n",
			"warning small: makes nothing easier: rule two speaks about all of it too"},
		"the same demand twice": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], then: {approvals: 2, of: treasurers}}\n" +
				"  - {name: b, who: [operator], keys: [hot-*, hot], do: [sign-transaction], then: {approvals: 2, of: treasurers}}\n",
			"note a: adds nothing: rule b covers all of it and asks for the same"},
		"a rule that is denied": {
			open + "  - {name: stop, who: [any], keys: [any], do: [any], then: deny}\n",
			"warning all: never applies: rule stop denies all of it"},
		"a denial within another": {
			"  - {name: a, who: [any], keys: [hot], do: [any], then: deny}\n  - {name: b, who: [any], keys: [any], do: [any], then: deny}\n",
			"note a: denies nothing that rule b does not deny"},
		"an overlap": {
			"  - {name: a, who: [operator], keys: [hot, cold], do: [sign-transaction], then: {approvals: 1, of: treasurers}}\n" +
				"  - {name: b, who: [operator], keys: [hot, warm], do: [sign-transaction], then: {approvals: 2, of: treasurers}}\n",
			"note a: overlaps with rule b: where both speak, what both ask for is asked"},
		"a limit that splitting dodges": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, max: 5}, then: allow}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, min: 5}, then: {approvals: 2, of: treasurers}}\n",
			"warning a: payments from 5 ETH on ask for more (rule b), but can be split"},
		"a denial that splitting dodges": {
			open + "  - {name: b, who: [any], keys: [hot], do: [sign-transaction], amount: {asset: ETH, min: 5}, then: deny}\n",
			"note all: rule b denies payments from 5 ETH on, but several smaller ones pass"},
		"more that asks for less": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, max: 5}, then: {approvals: 2, of: treasurers}}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, min: 5}, then: allow}\n",
			"warning a: paying more asks for less: over 5 ETH its 2 approvals of treasurers are not asked for, and rule b lets the payment pass"},
		"an amount that a window never lets pass": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, max: 5}, window: {asset: ETH, per: 1d, max: 4}, then: allow}\n",
			"warning r: a payment of max 5 ETH is more than its window of 4 ETH in 24h ever lets pass"},
		"a window that never counts": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: ETH, max: 5}, window: {asset: USDC, per: 1d, max: 4}, then: allow}\n",
			"warning r: its window of USDC never counts"},
		"a fee that nothing covers": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: USDC, max: 5}, then: allow}\n",
			"warning r: covers amounts of USDC, and no rule covers the network fee beside them"},
		"a destination without an amount": {
			"  - {name: r, who: [service:x], keys: [hot], do: [sign-transaction], to: [book:exchanges], then: allow}\n",
			"warning r: covers every transfer to its destinations, of any token and any amount"},
		"a destination with a window alone": {
			"  - {name: r, who: [service:x], keys: [hot], do: [use], to: [book:exchanges], window: {asset: ETH, per: 1d, max: 1}, then: allow}\n",
			"warning r: covers every transfer to its destinations"},
		"a window without an amount": {
			"  - {name: r, who: [service:x], keys: [hot], do: [sign-transaction], window: {asset: ETH, per: 1d, max: 1}, then: allow}\n",
			"warning r: its window bounds ETH alone, and every other asset passes without a bound"},
		"a verb without an amount": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction, encrypt], amount: {asset: ETH, max: 5}, then: allow}\n",
			"warning r: encrypt never has an amount"},
		"a rule that fits nothing": {
			"  - {name: r, who: [operator], keys: [hot], do: [encrypt], chains: [ethereum], then: deny}\n",
			"warning r: fits nothing: what it is for never has a chain"},
		"an asset of another chain": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], chains: [sepolia], amount: {asset: ETH, max: 1}, then: deny}\n",
			"warning r: fits nothing: ETH is not on any of its chains"},
		"destinations of another chain": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], chains: [sepolia], to: [book:exchanges], then: deny}\n",
			"warning r: fits nothing: none of its destinations is on any of its chains"},
		"what signatures leave open": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], sighash: [none], then: allow}\n",
			"warning r: sighash: lets operator sign what others may still change"},
		"a sighash of a message": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign-message], sighash: [none], then: allow}\n",
			"warning r: fits nothing: what it is for never has a sighash"},
		"a sighash within another": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], sighash: [none], then: allow}\n" +
				"  - {name: b, who: [operator], keys: [any], do: [sign-transaction], sighash: [single, none], then: allow}\n",
			"warning a: adds nothing: rule b covers all of it"},
		"a sighash that is denied": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], sighash: [none], then: allow}\n" +
				"  - {name: b, who: [any], keys: [any], do: [sign-transaction], then: deny}\n",
			"warning a: never applies: rule b denies all of it"},
		"hours within others": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], hours: {zone: Europe/Zurich, days: [tue], from: '09:00', to: '10:00'}, then: allow}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], hours: {zone: Europe/Zurich, days: [mon-fri], from: '08:00', to: '10:00'}, then: allow}\n",
			"warning a: adds nothing: rule b covers all of it"},
		"hours that meet": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], hours: {zone: UTC, from: '09:00', to: '11:00'}, then: allow}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], hours: {zone: UTC, days: [sun], from: '10:59', to: '12:00'}, then: {delay: 1h}}\n",
			"note a: overlaps with rule b"},
		"hours of two zones": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], hours: {zone: UTC, from: '09:00', to: '11:00'}, then: allow}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], hours: {zone: Asia/Tokyo, from: '09:00', to: '11:00'}, then: {delay: 1h}}\n",
			"note a: cannot be compared with rule b: their hours are in two time zones"},
		"first payments within all": {
			open + "  - {name: r, who: [operator], keys: [hot], do: [sign-transaction], seen: false, then: allow}\n",
			"warning r: adds nothing: rule all covers all of it"},
		"a first payment of bytes": {
			"  - {name: r, who: [operator], keys: [hot], do: [sign], seen: false, then: allow}\n",
			"warning r: fits nothing: what it is for never has a destination"},
		"a rate within another": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], fee: {asset: BTC, rate: 5}, then: allow}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], fee: {asset: sat, rate: 6}, then: allow}\n",
			"warning a: adds nothing: rule b covers all of it"},
		"satoshi that splitting dodges": {
			"  - {name: a, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: BTC, max: 1}, then: allow}\n" +
				"  - {name: b, who: [operator], keys: [hot], do: [sign-transaction], amount: {asset: sat, min: 100000000}, then: {approvals: 2, of: treasurers}}\n",
			"warning a: payments from 100000000 sat on ask for more (rule b), but can be split"},
		"system verbs for some keys": {
			"  - {name: r, who: [operator], keys: [hot], do: [apply-policy], then: allow}\n",
			"warning r: fits nothing: what it is for is about no key, which takes keys: [any]"},
		"wallets": {
			"  - {name: r, who: [operator], keys: [wallet:hot], do: [sign-transaction], then: allow}\n",
			"warning r: fits nothing: this keyward has no wallets yet"},
		"nothing allowed":                {"  []\n", "warning : allows nobody anything"},
		"a policy that can never change": {rawKey[1:], "warning : no rule covers apply-policy"},
		"what nobody may do":             {rawKey[1:], "note : nobody may: create-key, rotate-key"},
		"approvals that wait": {
			"  - {name: r, who: [operator], keys: [any], do: [any], then: {approvals: 2, of: treasurers}}\n",
			"note : this keyward has no members yet: what asks for approvals waits until it expires"},
		"change that is not enforced yet": {open + "change: {approvals: 2, of: all}\n", "note : change: 2 approvals of all are kept and shown"},
		"change that cannot be met":       {open + "change: {approvals: 4, of: treasurers}\n", "error : change: asks for 4 approvals, and only 3"},
		"change that one loss blocks":     {open + "change: {approvals: 3, of: treasurers}\n", "warning : change: cannot be met any more once one member"},
		"what is not used":                {open, "note : book exchanges is used by no rule"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := findings(parse(t, rules(c.rules)))
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, c.want) }) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), c.want)
			}
		})
	}
}

// A policy as people should write it has no errors or warnings.
// What is said of two rules must be true: rules that lie apart are not said to
// overlap, and none is said to be inside another that only looks like it.
func TestCheckTellsRulesApart(t *testing.T) {
	row := func(name, more, then string) string {
		return "  - {name: " + name + ", who: [operator], keys: [hot], do: [sign-transaction], " + more + "then: " + then + "}\n"
	}
	const asks = "{approvals: 2, of: treasurers}"
	for name, two := range map[string][2]string{
		"hours one after the other": {"hours: {zone: UTC, from: '09:00', to: '11:00'}, ", "hours: {zone: UTC, from: '11:00', to: '12:00'}, "},
		"days":                      {"hours: {zone: UTC, days: [sat-sun], from: '09:00', to: '11:00'}, ", "hours: {zone: UTC, days: [mon-fri], from: '09:00', to: '11:00'}, "},
		"seen and not":              {"seen: true, ", "seen: false, "},
		"two sighashes":             {"sighash: [none], ", "sighash: [single], "},
		"a sighash and an amount":   {"sighash: [none], ", "amount: {asset: BTC, max: 5}, "},
		"a sighash and a book":      {"sighash: [none], ", "to: [book:exchanges], "},
	} {
		for _, then := range []string{"allow", asks} {
			for _, f := range findings(parse(t, rules(row("a", two[0], then)+row("b", two[1], asks)))) {
				for _, word := range []string{"overlaps", "adds nothing", "easier", "cannot be compared", "split", "never applies"} {
					if strings.Contains(f, word) {
						t.Errorf("%s, then %s: got %s", name, then, f)
					}
				}
			}
		}
	}
	for name, two := range map[string][2]string{
		"no hours":        {"", "hours: {zone: UTC, from: '09:00', to: '11:00'}, "},
		"longer hours":    {"hours: {zone: UTC, from: '09:00', to: '11:01'}, ", "hours: {zone: UTC, from: '09:00', to: '11:00'}, "},
		"hours elsewhere": {"hours: {zone: UTC, from: '09:00', to: '11:00'}, ", "hours: {zone: Africa/Abidjan, from: '09:00', to: '11:00'}, "},
		"whether seen":    {"", "seen: true, "},
		"a higher rate":   {"fee: {asset: BTC, rate: 7}, ", "fee: {asset: BTC, rate: 6}, "},
		"no rate":         {"fee: {asset: BTC}, ", "fee: {asset: BTC, rate: 6}, "},
		"without sighash": {"", "sighash: [none], "},
		"with sighash":    {"sighash: [none], ", ""},
		"another sighash": {"sighash: [none, single], ", "sighash: [none], "},
	} {
		for _, f := range findings(parse(t, rules(row("a", two[0], "allow")+row("b", two[1], "allow")))) {
			if strings.Contains(f, "a: adds nothing") {
				t.Errorf("%s: got %s", name, f)
			}
		}
	}
}

// An Ethereum payload is signed by the key of its path and no other.
func TestAPartOfAnEthereumAccountStandsAlone(t *testing.T) {
	for _, r := range []string{"keys: [hot/m/44h/60h/0h/0/0], ", "keys: [hot/m/7h/0/0], chains: [ethereum], ", "keys: [hot/m/84h/0h/5h], ", "keys: [hot/m/84h/0h/*], "} {
		p := parse(t, rules("  - {name: r, who: [operator], "+r+"do: [sign-transaction], then: deny}\n"))
		for _, f := range findings(p) {
			if strings.Contains(f, "part of an account") {
				t.Errorf("%s: got %s", r, f)
			}
		}
	}
}

func TestCheckIsQuietAboutGoodPolicies(t *testing.T) {
	p := parse(t, `version: 1
groups:
  treasurers: [ann, ben, cleo]
books:
  exchanges:
    - {chain: ethereum, address: "`+alice+`", name: Kraken deposit}
assets:
  - {name: USDC, chain: ethereum, address: "`+token+`", decimals: 6}
rules:
  - {name: solo, who: [operator], keys: [any], do: [administer, read, read-audit], then: allow}
  - name: payouts
    who: [service:payouts]
    keys: [hot]
    do: [sign-transaction]
    chains: [ethereum]
    to: [book:exchanges]
    amount: {asset: ETH, max: "5"}
    window: {asset: ETH, per: 24h, max: "20"}
    then: allow
  - name: large
    who: [service:payouts]
    keys: [hot]
    do: [sign-transaction]
    chains: [ethereum]
    to: [book:exchanges]
    amount: {asset: ETH, min: "5", max: "100"}
    then: {approvals: 2, of: treasurers, delay: 1h}
  - name: dollars
    who: [service:payouts]
    keys: [hot]
    do: [sign-transaction]
    to: [book:exchanges]
    amount: {asset: USDC, max: 1000}
    fee: {asset: ETH, max: "0.05"}
    window: {asset: USDC, per: 24h, max: 5000}
    then: allow
  - {name: program, who: [service:api], keys: [api-*], do: [use], then: allow}
`)
	for _, f := range p.Check() {
		if f.Level != policy.Note {
			t.Errorf("%+v", f)
		}
	}
}

func TestCheckOfTheLargestPolicyEnds(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\ngroups:\n")
	for g := range 200 {
		fmt.Fprintf(&b, "  g%d: [", g)
		for m := range 300 {
			fmt.Fprintf(&b, "m%d,", m+g)
		}
		b.WriteString("]\n")
	}
	b.WriteString("rules:\n")
	for r := range 512 {
		fmt.Fprintf(&b, "  - {name: r%d, who: [group:g%d], keys: [k%d*, any-%d], do: [sign-transaction], amount: {asset: ETH, max: %d}, then: allow}\n", r, r%200, r, r, r)
	}
	p := parse(t, b.String())
	start := time.Now()
	p.Check()
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
}

// The manual's example is a good policy, and does what its comments say.
func TestExampleOfTheManual(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	p := parse(t, text)
	for _, f := range p.Check() {
		if f.Level != policy.Note {
			t.Errorf("%+v", f)
		}
	}
	for n, want := range map[string]policy.Outcome{"4": policy.Allowed, "5": policy.Asks, "499": policy.Asks, "500": policy.Denied} {
		if d := decide(t, p, ask(t, "service:payouts", hot(), pays(t, ether, eth(n), alice)), past{}); d.Outcome() != want {
			t.Errorf("%s ETH: got %s, want %s", n, reasons(d), want)
		}
	}
}
