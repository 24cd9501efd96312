package policy_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyward/internal/policy"
)

// FuzzParse: any text is refused with an error of ours, or is a policy with
// which everything can be done.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add(policy.Solo())
	f.Add([]byte(rules(payouts[1:] + treasury[1:] + rawKey[1:])))
	f.Add([]byte(`{"version":1,"rules":[{"name":"a","who":["any"],"keys":["hot-*","seed/m/*"],"do":["any","sign-blind"],"then":{"delay":"24h"}}]}`))
	f.Add([]byte("version: 1\ngroups: {a: [group:b, x], b: [y]}\nrules:\n- {name: r, who: [group:a], keys: [k], do: [use], to: [book:z], then: deny}"))
	f.Add([]byte("version: 1\nbooks: {b: [{chain: bitcoin, address: " + segwit + ", name: n}, {chain: regtest, address: mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn, name: m}]}\n" +
		"rules:\n- {name: r, who: [any], keys: [hot/m/84h/0h], do: [sign-transaction], to: [book:b], seen: true, amount: {asset: sat, max: 5}, fee: {asset: BTC, rate: 9}, then: allow}\n" +
		"- {name: s, who: [any], keys: [any], do: [use], sighash: [none, 'single|anyonecanpay'], hours: {zone: Europe/Zurich, days: [fri-mon], from: '08:00', to: '24:00'}, then: deny}"))
	f.Add([]byte("version: 1\nrules: &a [*a]\n---\n!!x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policy.Parse(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "policy: ") || len(err.Error()) > 4096 {
				t.Fatalf("got error %q", err)
			}
			return
		}
		if string(p.Text()) != string(text) {
			t.Fatal("the text was changed")
		}
		if n := len(p.Sentences()); n < len(p.Rules()) {
			t.Fatalf("got %d sentences for %d rules", n, len(p.Rules()))
		}
		p.Check()
		r := ask(t, "operator", hot(), pays(t, ether, eth("1"), alice))
		a, err := policy.Decide(r, p, now, past{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := policy.Decide(r, p, now, past{})
		if err != nil || reasons(a) != reasons(b) || verdict(a) != verdict(b) {
			t.Fatalf("judged twice:\n%s\n%s", reasons(a), reasons(b))
		}
	})
}

// FuzzDecide lets the fuzzer choose the policy and the payload, and demands that
// Decide agrees with the obvious reading and never depends on the order.
func FuzzDecide(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 6).Draw(t, "rows")
		s := drawScene(t)
		forth := s.judge(t, table(rows, inOrder(len(rows))))
		back := s.judge(t, table(rows, rapid.Permutation(inOrder(len(rows))).Draw(t, "order")))
		if verdict(forth) != verdict(back) || forth.Outcome() != oracle(rows, s) {
			t.Fatalf("got\n%s\nand\n%s\nwant %s", reasons(forth), reasons(back), oracle(rows, s))
		}
	}))
}
