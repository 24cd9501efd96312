package policy_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// payouts is the rule of the design's example, treasury one that asks.
const (
	payouts = `
  - name: payouts
    who: [service:payouts]
    keys: [hot]
    do: [sign-transaction]
    chains: [ethereum]
    to: [book:exchanges]
    amount: {asset: ETH, max: "5"}
    window: {asset: ETH, per: 24h, max: "20"}
    then: allow
`
	treasury = `
  - name: treasury
    who: [service:payouts, group:treasurers]
    keys: [hot]
    do: [sign-transaction]
    amount: {asset: ETH, min: "5"}
    then: {approvals: 2, of: treasurers, within: 24h}
`
	rawKey = `
  - name: raw
    who: [service:payouts]
    keys: [raw]
    do: [use]
    then: allow
`
)

func TestRulesDecide(t *testing.T) {
	big255 := new(big.Int).Lsh(big.NewInt(1), 255)
	suspended := hot()
	suspended.State = key.Suspended
	cases := []struct {
		name, rules string
		actor       string
		key         key.Key
		parsed      func(testing.TB) chain.Parsed
		want        string // outcome and reasons, as far as given
	}{
		{"inside every limit", payouts, "service:payouts", hot(), pay(ether, "3", alice), `allowed
allowed: rule "payouts" covers move and fee`},
		{"nothing allows without rules", " []", "operator", hot(), pay(ether, "3", alice), `denied
no-rule: move of 3 ETH to ` + alice + ` and fee of up to 0.001 ETH: no rule allows anything`},
		{"somebody else", payouts, "service:batch", hot(), pay(ether, "3", alice), `denied
no-rule: move of 3 ETH to ` + alice + ` and fee of up to 0.001 ETH: no rule is for service:batch`},
		{"another key", payouts, "service:payouts", raw(key.SignVerify), sign(key.Sign), `denied
no-rule: sign: no rule for service:payouts is about "raw"`},
		{"the fee counts", payouts, "service:payouts", hot(), pay(ether, "5", alice), `denied
over-amount: move of 5 ETH to ` + alice + ` and fee of up to 0.001 ETH: rule "payouts": amount 5.001 ETH is over max 5 ETH (with the fee)`},
		{"an unknown destination", payouts, "service:payouts", hot(), pay(ether, "1", bob), `denied
destination: move of 1 ETH to ` + bob + `: rule "payouts": destination ` + bob + ` is not among those in its to`},
		{"another asset", payouts, "service:payouts", hot(), pay(usdc, "1", alice), `denied
asset: move of 1 USDC to ` + alice + `: rule "payouts" is about amounts of ETH, not of this asset`},
		{"an asset nobody declared", payouts, "service:payouts", hot(), pay(junk, "1", alice), `denied
asset: move of 1000000 base units of eip155:1/erc20:` + strings.ToLower(bob) + ` to ` + alice + `: rule "payouts" is about amounts of ETH, not of this asset`},
		{"another chain", payouts, "service:payouts", hot(), func(t testing.TB) chain.Parsed {
			return decoded(t, chain.Intent{Kind: chain.Transaction, Chain: "eip155:10", Moves: []chain.Move{{Asset: ether, Amount: eth("1"), To: alice}}})
		}, `denied
chain: move of 1 ETH to ` + alice + `: rule "payouts": chain eip155:10 is not among its chains`},
		{"a blind call beside a payment", payouts, "service:payouts", hot(), func(t testing.TB) chain.Parsed {
			return tx(t, func(in *chain.Intent) {
				in.Moves = []chain.Move{{Asset: ether, Amount: eth("1"), To: alice}}
				in.Call = &chain.Call{To: alice, Selector: "0x12345678", Size: 4}
			})
		}, `denied
blind: call to ` + alice + `: keyward does not understand it, and no rule names do: [sign-blind] for service:payouts and "hot"`},
		{"a message needs its own verb", payouts, "service:payouts", hot(), message, `denied
no-rule: message: rule "payouts" is not for sign-message`},
		{"a tier above asks", payouts + treasury, "service:payouts", hot(), pay(ether, "6", bob), `asks
allowed: rule "treasury" covers move and fee
approvals: rule "treasury" asks for 2 approvals of treasurers within 24h`},
		{"on the border of two tiers both speak", strings.Replace(payouts, `"5"`, `"6"`, 1) + treasury, "service:payouts", hot(), pay(ether, "5", alice), `asks
allowed: rule "payouts" covers move and fee
allowed: rule "treasury" covers move and fee
approvals: rule "treasury" asks for 2 approvals of treasurers within 24h`},
		{"below a tier it does not ask, though the fee has no destination", payouts + treasury, "service:payouts", hot(), pay(ether, "1", alice), `allowed
allowed: rule "payouts" covers move and fee`},
		{"a denial beats every allowance", payouts + `
  - {name: frozen, who: [any], keys: [any], do: [any], to: ["` + strings.ToLower(alice) + `"], then: deny}
`, "service:payouts", hot(), pay(ether, "1", alice), `denied
denied-by-rule: rule "frozen" denies move of 1 ETH to ` + alice},
		{"an allowance counts as an amount", payouts, "service:payouts", hot(), func(t testing.TB) chain.Parsed {
			return allows(t, chain.Allowance{Asset: ether, Amount: eth("4"), Spender: alice})
		}, "allowed"},
		{"a large allowance is over the limit", payouts, "service:payouts", hot(), func(t testing.TB) chain.Parsed {
			return allows(t, chain.Allowance{Asset: ether, Amount: eth("5"), Spender: alice})
		}, `denied
over-amount: fee of up to 0.001 ETH and allowance of 5 ETH to ` + alice + `: rule "payouts": amount 5.001 ETH is over max 5 ETH (with the fee)`},
		{"no limit holds an unlimited allowance", payouts, "service:payouts", hot(), func(t testing.TB) chain.Parsed {
			return allows(t, chain.Allowance{Asset: ether, Amount: big255, Unlimited: true, Spender: alice})
		}, `denied
over-amount: fee of up to 0.001 ETH and allowance without limit of ETH to ` + alice + `: rule "payouts": amount without limit is over max 5 ETH (with the fee)`},
		{"nor one that only is as large", payouts, "service:payouts", hot(), func(t testing.TB) chain.Parsed {
			return allows(t, chain.Allowance{Asset: ether, Amount: big255, Spender: alice})
		}, "denied\nover-amount: fee of up to 0.001 ETH and allowance without limit"},
		{"a suspended key", payouts, "service:payouts", suspended, pay(ether, "1", alice), `denied
state: key "hot" is suspended, which does not permit sign-transaction`},
		{"a raw key does not sign for a chain", `
  - {name: all, who: [any], keys: [any], do: [any, sign-blind], then: allow}
`, "service:payouts", raw(key.SignVerify), pay(ether, "1", alice), `denied
domain: a key of domain raw does not sign what ethereum understands: key "raw"`},
		{"the wrong usage", rawKey, "service:payouts", raw(key.EncryptDecrypt), sign(key.Sign), `denied
usage: key "raw" is for ENCRYPT_DECRYPT, not for sign`},
		{"a raw key signs bytes", rawKey, "service:payouts", raw(key.SignVerify), sign(key.Sign), `allowed
allowed: rule "raw" covers sign`},
		{"encryption", rawKey, "service:payouts", raw(key.EncryptDecrypt), sign(key.Encrypt), `allowed
allowed: rule "raw" covers encrypt`},
		{"any never covers what a chain's key signs blind", `
  - {name: all, who: [any], keys: [any], do: [any], then: allow}
`, "operator", hot(), sign(key.Sign), `denied
blind: sign-blind: keyward does not understand it, and no rule names do: [sign-blind] for operator and "hot"`},
		{"sign-blind does when it is named", `
  - {name: all, who: [any], keys: [hot], do: [any, sign-blind], then: allow}
`, "operator", hot(), sign(key.Sign), `allowed
allowed: rule "all" covers sign-blind`},
		{"a denial of any denies blind as well", `
  - {name: blind, who: [any], keys: [hot], do: [sign-blind], then: allow}
  - {name: stop, who: [any], keys: [hot], do: [use], then: deny}
`, "operator", hot(), sign(key.Sign), `denied
denied-by-rule: rule "stop" denies sign-blind`},
		{"what any asks for is asked of blind as well", `
  - {name: blind, who: [any], keys: [hot], do: [sign-blind], then: allow}
  - {name: two, who: [any], keys: [hot], do: [any], then: {approvals: 2, of: treasurers}}
`, "operator", hot(), sign(key.Sign), `asks
allowed: rule "blind" covers sign-blind
approvals: rule "two" asks for 2 approvals of treasurers`},
		{"delays take the longest", `
  - {name: a, who: [any], keys: [any], do: [any], then: {delay: 2h}}
  - {name: b, who: [any], keys: [any], do: [any], then: {delay: 90m}}
`, "operator", hot(), message, `asks
allowed: rule "a" covers message
delay: rule "a" asks to wait 2h
allowed: rule "b" covers message
delay: rule "b" asks to wait 90m`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := decide(t, parse(t, rules(strings.TrimPrefix(c.rules, "\n"))), ask(t, c.actor, c.key, c.parsed(t)), past{})
			if got := reasons(d); !strings.HasPrefix(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if d.Outcome() == policy.Denied && (d.Needs() != nil || d.Delay() != 0 || d.Windows() != nil || d.Charges() != nil) {
				t.Error("a denial asks for something or takes from a budget")
			}
		})
	}
}

func pay(a chain.Asset, n, to string) func(testing.TB) chain.Parsed {
	return func(t testing.TB) chain.Parsed {
		decimals := 6
		if a.Decimals == 18 {
			decimals = 18
		}
		return pays(t, a, amount(n, decimals), to)
	}
}

func sign(v key.Verb) func(testing.TB) chain.Parsed {
	return func(t testing.TB) chain.Parsed { return plain(t, v) }
}

func message(t testing.TB) chain.Parsed {
	return decoded(t, chain.Intent{Kind: chain.Message, Chain: "eip155:1", Text: "hello"})
}

func TestKeysMatchNamesGlobsAndPaths(t *testing.T) {
	for _, c := range []struct {
		pattern, name, path string
		want                bool
	}{
		{"hot", "hot", "", true}, {"hot", "hot-1", "", false}, {"hot", "ho", "", false},
		{"hot-*", "hot-1", "", true}, {"hot-*", "hot-", "", true}, {"hot-*", "hot", "", false},
		{"hot", "hot", "m/84h", true}, {"ho*", "hot", "m/84h", true},
		{"hot/m/84h/*", "hot", "m/84h/0h", true}, {"hot/m/84h/*", "hot", "m/84h", false}, {"hot/m/84h/*", "hot", "m/840h/0h", false},
		{"hot/m/84h/*", "hot", "", false}, {"hot/*", "hot", "m/0", true}, {"hot/*", "hot", "", false},
		{"hot/m/84h", "hot", "m/84h", true}, {"hot/m/84h", "hot", "m/84h/0", true}, {"hot/m/84h", "hot", "m/84h/0/7", true},
		{"hot/m/84h", "hot", "m/84h/0h", false}, {"hot/m/84h", "hot", "m/84h/0h/1", false}, {"hot/m/8", "hot", "m/84", false},
		{"hot/m/84h/0", "hot", "m/84h", false}, {"hot/m/84h", "hot-1", "m/84h/0", false}, {"any", "whatever", "m/1", true},
	} {
		p := parse(t, rules("  - {name: r, who: [any], keys: ["+c.pattern+"], do: [sign-message], then: allow}\n"))
		k := hot()
		k.Name = c.name
		d := decide(t, p, request(t, "operator", policy.Input{Parsed: message(t), Key: k, Version: 1, Path: c.path}), nil)
		if got := d.Outcome() == policy.Allowed; got != c.want {
			t.Errorf("keys: [%s] for %s/%s: got %v, want %v", c.pattern, c.name, c.path, got, c.want)
		}
	}
}

func TestAdministration(t *testing.T) {
	p := parse(t, rules(`  - {name: keys, who: [service:provisioning], keys: [hot-*], do: [administer, read], then: allow}
  - {name: reader, who: [operator], keys: [any], do: [read, read-audit, apply-policy], then: allow}
`))
	for _, c := range []struct {
		actor, subject string
		verb           key.Verb
		want           policy.Outcome
	}{
		{"service:provisioning", "hot-7", key.CreateKey, policy.Allowed},
		{"service:provisioning", "cold-7", key.CreateKey, policy.Denied},
		{"service:provisioning", "hot-7", key.Read, policy.Allowed},
		{"service:provisioning", "any", key.Read, policy.Denied},
		{"service:provisioning", "hot-7", key.CreateService, policy.Denied}, // a service that is called like a key
		{"service:provisioning", "policy", key.ApplyPolicy, policy.Denied},
		{"service:provisioning", "", key.Seal, policy.Denied},
		{"operator", "policy", key.ApplyPolicy, policy.Allowed},
		{"operator", "any", key.Read, policy.Allowed},
		{"operator", "", key.ReadAudit, policy.Allowed},
		{"operator", "hot-7", key.CreateKey, policy.Denied},
		{"operator", "hot-7", key.Encrypt, policy.Denied}, // no key
	} {
		d := decide(t, p, about(t, c.actor, c.subject, admin(c.verb)), nil)
		if d.Outcome() != c.want {
			t.Errorf("%s, %s %q: got %s, want %s", c.actor, c.verb, c.subject, reasons(d), c.want)
		}
	}
	k := hot()
	k.Name = "hot-7"
	if d := decide(t, p, ask(t, "service:provisioning", k, admin(key.RotateKey)), nil); d.Outcome() != policy.Allowed {
		t.Error(reasons(d))
	}
	k.State = key.Destroyed
	if d := decide(t, p, ask(t, "service:provisioning", k, admin(key.RotateKey)), nil); d.Reasons()[0].Code != "state" {
		t.Error(reasons(d))
	}
}

func TestExpiredRequestIsDenied(t *testing.T) {
	p := parse(t, string(policy.Solo()))
	for expires, want := range map[int64]policy.Outcome{now - 1: policy.Denied, now: policy.Allowed, now + 1: policy.Allowed, 0: policy.Allowed} {
		d := decide(t, p, request(t, "operator", policy.Input{Parsed: message(t), Key: hot(), Version: 1, Expires: expires}), nil)
		if d.Outcome() != want {
			t.Errorf("expires %d at %d: got %s", expires, now, reasons(d))
		}
	}
}

func TestSoloAllowsEverythingButBlind(t *testing.T) {
	p := parse(t, string(policy.Solo()))
	for _, f := range p.Check() {
		if f.Level != policy.Note {
			t.Errorf("solo has a finding: %+v", f)
		}
	}
	creation := tx(t, func(in *chain.Intent) { in.Creates = true })
	for _, c := range []struct {
		name  string
		actor string
		key   key.Key
		p     chain.Parsed
		want  string
	}{
		{"a payment", "operator", hot(), pays(t, ether, eth("1000000"), bob), "allowed"},
		{"a message", "operator", hot(), message(t), "allowed"},
		{"plain bytes by a raw key", "operator", raw(key.SignVerify), plain(t, key.Sign), "allowed"},
		{"a digest by a chain's key", "operator", hot(), plain(t, key.Sign), "blind"},
		{"a contract creation", "operator", hot(), creation, "blind"},
		{"a service", "service:x", hot(), message(t), "no-rule"},
	} {
		d := decide(t, p, ask(t, c.actor, c.key, c.p), nil)
		if d.Reasons()[0].Code != c.want {
			t.Errorf("%s: got %s, want %s", c.name, reasons(d), c.want)
		}
	}
	for _, v := range []key.Verb{key.ApplyPolicy, key.CreateService, key.ChangeSlots, key.Seal, key.ReadAudit} {
		if d := decide(t, p, about(t, "operator", "x", admin(v)), nil); d.Outcome() != policy.Allowed {
			t.Errorf("%s: got %s", v, reasons(d))
		}
	}
}

func TestZeroProofsAreRefused(t *testing.T) {
	p := parse(t, string(policy.Solo()))
	if _, err := policy.Decide(policy.Request{}, p, now, nil); err == nil {
		t.Error("a zero Request was judged")
	}
	if _, err := policy.Decide(ask(t, "operator", hot(), message(t)), nil, now, nil); err == nil {
		t.Error("a request was judged without a policy")
	}
	if (policy.Decision{}).Valid() || (policy.Request{}).Valid() {
		t.Error("a zero proof is valid")
	}
	for _, in := range []policy.Input{{}, {Parsed: message(t)}} {
		if _, err := policy.NewRequest(in); err == nil {
			t.Errorf("%+v made a request", in)
		}
	}
	if (policy.Scope{}).Fits("hot", "operator", alice) {
		t.Error("a zero Scope fits something")
	}
}

func TestIdenticalNeedsAreAskedOnce(t *testing.T) {
	p := parse(t, rules(`  - {name: a, who: [any], keys: [any], do: [any], then: {approvals: 2, of: treasurers}}
  - {name: b, who: [any], keys: [any], do: [any], then: {approvals: 2, of: treasurers}}
  - {name: c, who: [any], keys: [any], do: [any], then: {approvals: 2, of: treasurers, initiator_counts: true}}
  - {name: d, who: [any], keys: [any], do: [any], then: {approvals: 3, of: treasurers, delay: 24h}}
`))
	d := decide(t, p, ask(t, "operator", hot(), message(t)), nil)
	if len(d.Needs()) != 3 || d.Delay() != 24*3_600_000 || !slices.Equal(d.Fitting(), []string{"a", "b", "c", "d"}) {
		t.Errorf("got needs %+v, delay %d, fitting %v", d.Needs(), d.Delay(), d.Fitting())
	}
}

// A payload of many effects is explained, but not at any length.
func TestReasonsAreBounded(t *testing.T) {
	p := parse(t, rules(strings.TrimPrefix(payouts, "\n")))
	d := decide(t, p, ask(t, "service:payouts", hot(), tx(t, func(in *chain.Intent) {
		for range 1000 {
			in.Moves = append(in.Moves, chain.Move{Asset: ether, Amount: eth("0.001"), To: bob})
		}
	})), past{})
	if n := len(d.Reasons()); n != 2 || len(d.Reasons()[0].Text) > 4096 || d.Reasons()[1].Text != "and 985 more that no rule covers" {
		t.Errorf("got %d reasons, the last %q", n, d.Reasons()[n-1].Text)
	}
}
