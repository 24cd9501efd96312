package policy_test

import (
	"crypto"
	"fmt"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// hundred is a hundred rules, all of which must be looked at, the last of which
// is the one.
func hundred(last string) string {
	var b strings.Builder
	for i := range 99 {
		fmt.Fprintf(&b, `  - name: r%d
    who: [service:s%d, group:programs]
    keys: [k%d, "k%d-*"]
    do: [use]
    chains: [ethereum]
    to: [book:exchanges]
    amount: {asset: ETH, max: 5}
    window: {asset: ETH, per: 1d, max: 20}
    then: allow
`, i, i, i, i)
	}
	return rules(b.String() + last)
}

func BenchmarkDecide(b *testing.B) {
	const one = "  - {name: raw, who: [service:payouts], keys: [raw], do: [use], then: allow}\n"
	sign := ask(b, "service:payouts", raw(key.SignVerify), plain(b, key.Sign))
	pay := ask(b, "service:payouts", hot(), pays(b, ether, eth("1"), alice))
	many := ask(b, "service:payouts", hot(), tx(b, func(in *chain.Intent) {
		for range 1000 {
			in.Moves = append(in.Moves, chain.Move{Asset: ether, Amount: eth("0.001"), To: alice})
		}
	}))
	for _, c := range []struct {
		name, text string
		request    policy.Request
	}{
		{"1 rule, plain", rules(one), sign},
		{"solo, plain", string(policy.Solo()), policy.As(sign, "operator")},
		{"100 rules, plain", hundred(one), sign},
		{"1 rule, payment", rules(payouts[1:]), pay},
		{"100 rules, payment", hundred(payouts[1:]), pay},
		{"1 rule, payment denied", rules(one), pay},
		{"1 rule, 1000 payments", rules(payouts[1:]), many},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := parse(b, c.text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := policy.Decide(c.request, p, now, past{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewRequest(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			p, err := chain.ParsePlain(key.Sign, chain.TypeMsg, crypto.SHA256, make([]byte, size), nil)
			if err != nil {
				b.Fatal(err)
			}
			k := raw(key.SignVerify)
			k.Versions[0].Public = make(key.Public, 91) // P-256
			in := policy.Input{Actor: identity.Operator("unix"), Parsed: p, Key: k, Version: 1, Algorithm: key.ECDSASHA256, Created: now, Expires: now + 1000}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := policy.NewRequest(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(hundred(payouts[1:]))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := policy.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
