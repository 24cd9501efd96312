package policy_test

import "testing"

func TestWhoMayKnowOfAKey(t *testing.T) {
	const all = "  - {name: all, who: [service:payouts], keys: [any], do: [any], then: allow}\n"
	deny := func(rest string) string {
		return "  - {name: no, who: [any], keys: [cold-*], " + rest + ", then: deny}\n"
	}
	cases := map[string]struct {
		rules, key   string
		knows, reads bool
	}{
		"no rule for the actor":        {"  - {name: r, who: [service:batch], keys: [any], do: [any], then: allow}\n", "hot", false, false},
		"no rule for the key":          {"  - {name: r, who: [service:payouts], keys: [warm, hot-*], do: [any], then: allow}\n", "hot", false, false},
		"reading":                      {"  - {name: r, who: [service:payouts], keys: [hot], do: [read], then: allow}\n", "hot", true, true},
		"one verb, under conditions":   {payouts, "hot", true, false},
		"one verb, after approvals":    {treasury, "hot", true, false},
		"by a group":                   {"  - {name: r, who: [group:programs], keys: [hot], do: [mac], then: allow}\n", "hot", true, false},
		"by a pattern":                 {"  - {name: r, who: [service:payouts], keys: [hot-*], do: [use], then: allow}\n", "hot-9", true, true},
		"an account below it":          {"  - {name: r, who: [service:payouts], keys: [hot/m/0], do: [sign-message], then: allow}\n", "hot", true, false},
		"accounts below it":            {"  - {name: r, who: [service:payouts], keys: [hot/m/0/*], do: [sign-message], then: allow}\n", "hot", true, false},
		"accounts below another":       {"  - {name: r, who: [service:payouts], keys: [hot/m/0/*], do: [sign-message], then: allow}\n", "ho", false, false},
		"making it":                    {"  - {name: r, who: [service:payouts], keys: [hot-*], do: [create-key], then: allow}\n", "hot-1", true, false},
		"what is about no key":         {"  - {name: r, who: [service:payouts], keys: [any], do: [read-audit, apply-policy], then: allow}\n", "hot", false, false},
		"all keys":                     {all, "any", true, true},
		"all keys, by a pattern":       {"  - {name: r, who: [service:payouts], keys: [a*], do: [use], then: allow}\n", "any", false, false},
		"denied everything":            {all + deny("do: [any]"), "cold-1", false, false},
		"denied everything elsewhere":  {all + deny("do: [any]"), "hot", true, true},
		"denied reading":               {all + deny("do: [read]"), "cold-1", true, false},
		"denied what it may":           {payouts + "  - {name: no, who: [any], keys: [hot], do: [sign-transaction], then: deny}\n", "hot", false, false},
		"denied one chain only":        {all + deny("do: [any], chains: [sepolia]"), "cold-1", true, true},
		"denied one destination only":  {all + deny(`do: [any], to: ["`+alice+`"]`), "cold-1", true, true},
		"denied some amounts only":     {all + deny(`do: [any], amount: {asset: ETH, min: "5"}`), "cold-1", true, true},
		"denied some fees only":        {all + deny(`do: [any], fee: {asset: ETH, min: "5"}`), "cold-1", true, true},
		"somebody else is denied":      {all + "  - {name: no, who: [service:batch], keys: [any], do: [any], then: deny}\n", "cold-1", true, true},
		"an account below is denied":   {all + "  - {name: no, who: [any], keys: [cold-1/m/7], do: [any], then: deny}\n", "cold-1", true, true},
		"denied to all, for every key": {all + "  - {name: no, who: [any], keys: [any], do: [any], then: deny}\n", "any", false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := parse(t, rules(c.rules))
			if got := p.Knows("service:payouts", c.key); got != c.knows {
				t.Errorf("knows: got %v, want %v", got, c.knows)
			}
			if got := p.Reads("service:payouts", c.key); got != c.reads {
				t.Errorf("reads: got %v, want %v", got, c.reads)
			}
		})
	}
}
