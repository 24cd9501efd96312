package policy_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyward/internal/chain"
	"keyward/internal/policy"
)

// row is a rule as these tests make them up: small, so that an obvious reading
// of the language (see oracle) can judge it beside the real one.
type row struct {
	who, keys, do []string
	chains, to    []string
	asset         string // of amount; "" without
	min, max      int    // -1 without
	feeMax        int    // of ETH; -1 without
	window        int    // of ETH in a day; -1 without
	over          bool
	hours         string // of UTC; "" without
	seen          string // "true", "false" or "" without
	sighash       []string
	then          string
}

// The times that rows name: now is a Friday, eight in the morning.
var times = map[string]string{
	"now": "days: [fri], from: '08:00', to: '08:01'", "all day": "from: '00:00', to: '24:00'", "later": "days: [fri, sat], from: '08:01', to: '24:00'",
	"other days": "days: [sat-thu], from: '00:00', to: '24:00'",
}

var (
	actors = []string{"operator", "service:a", "service:b"}
	names  = []string{"hot", "hot-1", "cold"}
	thens  = []string{"allow", "deny", "{approvals: 1, of: g}", "{approvals: 2, of: g}", "{delay: 2h}", "{approvals: 1, of: g, delay: 5h}"}
)

func someOf(t *rapid.T, label string, from []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, len(from), rapid.ID[string]).Draw(t, label)
}

func drawRow(t *rapid.T) row {
	maybe := func(label string, from []string) []string {
		if rapid.Bool().Draw(t, label+"?") {
			return nil
		}
		return someOf(t, label, from)
	}
	bound := func(label string) int { return rapid.SampledFrom([]int{-1, -1, 0, 1, 2, 3, 5, 8}).Draw(t, label) }
	r := row{
		who: someOf(t, "who", append(slices.Clone(actors), "group:s")), keys: someOf(t, "keys", append(slices.Clone(names), "hot-*")),
		do: someOf(t, "do", []string{"sign-transaction", "sign-message", "sign-blind", "use"}), chains: maybe("chains", []string{"ethereum", "sepolia"}),
		to: maybe("to", []string{alice, bob, "book:b"}), min: bound("min"), max: bound("max"), feeMax: bound("fee"), window: bound("window"),
		over: rapid.Bool().Draw(t, "over"), then: rapid.SampledFrom(thens).Draw(t, "then"),
	}
	if rapid.IntRange(0, 9).Draw(t, "wide") < 4 { // else almost nothing is ever allowed
		r = row{
			who: []string{"any"}, keys: []string{"any"}, do: []string{"any", "sign-blind"}, to: r.to, asset: "", min: -1, max: -1, feeMax: -1, window: r.window,
			over: r.over, then: r.then,
		}
	}
	r.asset = rapid.SampledFrom([]string{"", "", "ETH", "USD"}).Draw(t, "asset")
	r.hours = rapid.SampledFrom([]string{"", "", "now", "all day", "later", "other days"}).Draw(t, "hours")
	r.seen = rapid.SampledFrom([]string{"", "", "", "true", "false"}).Draw(t, "seen")
	if rapid.IntRange(0, 4).Draw(t, "about sighash") == 0 {
		r.sighash = someOf(t, "sighash", []string{"none", "single"})
		r.to, r.asset, r.seen = nil, "", ""
	}
	if r.asset == "" {
		r.min, r.max = -1, -1
	}
	if r.max >= 0 && r.min > r.max {
		r.min = r.max
	}
	if r.then == "deny" {
		r.window = -1
	}
	return r
}

func (r row) text(name string) string {
	var b strings.Builder
	list := func(field string, words []string) {
		if words != nil {
			fmt.Fprintf(&b, "    %s: ['%s']\n", field, strings.Join(words, "', '"))
		}
	}
	fmt.Fprintf(&b, "  - name: %s\n", name)
	list("who", r.who)
	list("keys", r.keys)
	list("do", r.do)
	list("chains", r.chains)
	list("to", r.to)
	if r.asset != "" {
		b.WriteString("    amount: {asset: " + r.asset)
		if r.min >= 0 {
			fmt.Fprintf(&b, ", min: %d", r.min)
		}
		if r.max >= 0 {
			fmt.Fprintf(&b, ", max: %d", r.max)
		}
		b.WriteString("}\n")
	}
	if r.feeMax >= 0 {
		fmt.Fprintf(&b, "    fee: {asset: ETH, max: %d}\n", r.feeMax)
	}
	if r.hours != "" {
		b.WriteString("    hours: {zone: UTC, " + times[r.hours] + "}\n")
	}
	if r.seen != "" {
		b.WriteString("    seen: " + r.seen + "\n")
	}
	list("sighash", r.sighash)
	if r.window >= 0 {
		fmt.Fprintf(&b, "    window: {asset: ETH, per: 1d, max: %d", r.window)
		if r.over {
			b.WriteString(", over: {approvals: 3, of: g}")
		}
		b.WriteString("}\n")
	}
	b.WriteString("    then: " + r.then + "\n")
	return b.String()
}

func table(rows []row, order []int) string {
	var b strings.Builder
	b.WriteString("version: 1\ngroups: {g: [ann, ben, cleo], s: ['service:a']}\nbooks: {b: [{chain: ethereum, address: '" + carol + "', name: c}]}\n")
	b.WriteString("assets: [{name: USD, chain: ethereum, address: '" + token + "', decimals: 0}]\nrules:\n")
	if len(rows) == 0 {
		b.WriteString("  []\n")
	}
	for _, i := range order {
		b.WriteString(rows[i].text(fmt.Sprintf("r%03d", i)))
	}
	return b.String()
}

func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

type scene struct {
	actor, key string
	intent     chain.Intent
	spent      int
}

var (
	one    = eth("1")
	dollar = chain.Asset{ID: usdc.ID, Decimals: -1}
	others = chain.Asset{ID: "eip155:11155111/slip44:60", Symbol: "SEP", Decimals: 18}
)

func drawScene(t *rapid.T) scene {
	s := scene{
		actor: rapid.SampledFrom(actors).Draw(t, "actor"), key: rapid.SampledFrom(names).Draw(t, "key"), spent: rapid.IntRange(0, 4).Draw(t, "spent"),
		intent: chain.Intent{Kind: chain.Transaction, Chain: rapid.SampledFrom([]string{"eip155:1", "eip155:1", "eip155:11155111"}).Draw(t, "chain")},
	}
	in := &s.intent
	if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
		in.Kind = chain.Message
		return s
	}
	coin := ether
	if in.Chain != "eip155:1" {
		coin = others
	}
	units := func(a chain.Asset, n int) *big.Int {
		if a.ID == dollar.ID {
			return big.NewInt(int64(n))
		}
		return new(big.Int).Mul(one, big.NewInt(int64(n)))
	}
	in.Fee = &chain.Fee{Asset: coin, Max: units(coin, rapid.IntRange(0, 2).Draw(t, "fee"))}
	for range rapid.IntRange(0, 3).Draw(t, "moves") {
		a := rapid.SampledFrom([]chain.Asset{coin, coin, dollar}).Draw(t, "asset")
		to := rapid.SampledFrom([]string{alice, bob, carol}).Draw(t, "to")
		in.Moves = append(in.Moves, chain.Move{Asset: a, Amount: units(a, rapid.IntRange(0, 6).Draw(t, "n")), To: to, Change: rapid.IntRange(0, 9).Draw(t, "change") == 0})
	}
	if rapid.IntRange(0, 4).Draw(t, "open") == 0 {
		in.Sighashes = someOf(t, "sighashes", []string{"none", "single"})
	}
	if rapid.IntRange(0, 4).Draw(t, "allow") == 0 {
		in.Allowances = []chain.Allowance{{Asset: dollar, Amount: big.NewInt(3), Spender: bob, Unlimited: rapid.Bool().Draw(t, "unlimited")}}
	}
	if rapid.IntRange(0, 6).Draw(t, "call") == 0 {
		in.Call = &chain.Call{To: bob, Decoded: rapid.Bool().Draw(t, "decoded")}
	}
	return s
}

func (s scene) judge(t failer, text string) policy.Decision {
	k := hot()
	k.Name = s.key
	facts := past{{now - 1000, s.key, s.actor, ether.ID, alice, new(big.Int).Mul(one, big.NewInt(int64(s.spent)))}}
	d, err := policy.Decide(ask(t, s.actor, k, decoded(t, s.intent)), parse(t, text), now, facts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// essence is what a decision comes to, whatever its rules are called.
func essence(d policy.Decision) string {
	var needs, windows []string
	for _, n := range d.Needs() {
		needs = append(needs, fmt.Sprintf("%d of %s", n.Count, n.Of))
	}
	for _, w := range d.Windows() {
		windows = append(windows, fmt.Sprintf("%s %v %v", w.Scope.ID, w.Max, w.Exceeded))
	}
	slices.Sort(needs)
	slices.Sort(windows)
	return fmt.Sprint(d.Outcome(), len(d.Fitting()), needs, d.Delay(), windows, len(d.Charges()))
}

// verdict is all of a decision but the sentences, in a form that can be compared.
func verdict(d policy.Decision) string {
	var charges, windows []string
	for _, c := range d.Charges() {
		charges = append(charges, fmt.Sprint(c.Asset, c.Destination, c.Amount))
	}
	for _, w := range d.Windows() {
		windows = append(windows, w.Rule)
	}
	return fmt.Sprint(essence(d), d.Fitting(), windows, charges)
}

// strictness orders outcomes.
func strictness(o policy.Outcome) int {
	return slices.Index([]policy.Outcome{policy.Allowed, policy.Asks, policy.Denied}, o)
}

// notLooser fails when after asks for less than before.
func notLooser(t *rapid.T, before, after policy.Decision) {
	t.Helper()
	if strictness(after.Outcome()) < strictness(before.Outcome()) {
		t.Fatalf("loosened:\n%s\nto\n%s", reasons(before), reasons(after))
	}
	if after.Outcome() == policy.Denied {
		return
	}
	for _, n := range before.Needs() {
		if !slices.ContainsFunc(after.Needs(), func(o policy.Need) bool { return o.Count == n.Count && o.Of == n.Of }) {
			t.Fatalf("the need %+v fell away", n)
		}
	}
	if after.Delay() < before.Delay() || len(after.Windows()) < len(before.Windows()) {
		t.Fatal("a delay or a window fell away")
	}
}

func TestOrderOfRulesNeverMatters(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 8).Draw(rt, "rows")
		s := drawScene(rt)
		order := rapid.Permutation(inOrder(len(rows))).Draw(rt, "order")
		want := s.judge(t, table(rows, inOrder(len(rows))))
		got := s.judge(t, table(rows, order))
		if verdict(got) != verdict(want) || reasons(got) != reasons(want) {
			rt.Fatalf("got\n%s\n%s\nwant\n%s\n%s", verdict(got), reasons(got), verdict(want), reasons(want))
		}
		// Rules are judged in the order of their names: those must not matter either.
		renamed := make([]row, len(rows))
		for i, from := range order {
			renamed[i] = rows[from]
		}
		got = s.judge(t, table(renamed, inOrder(len(rows))))
		if essence(got) != essence(want) {
			rt.Fatalf("under other names: got\n%s\nwant\n%s", reasons(got), reasons(want))
		}
	})
}

func TestRepeatingARuleChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 1, 6).Draw(rt, "rows")
		s := drawScene(rt)
		want := s.judge(t, table(rows, inOrder(len(rows))))
		rows = append(rows, rapid.SampledFrom(rows).Draw(rt, "twice"))
		got := s.judge(t, table(rows, inOrder(len(rows))))
		if got.Outcome() != want.Outcome() || len(got.Needs()) != len(want.Needs()) || got.Delay() != want.Delay() {
			rt.Fatalf("got\n%s\nwant\n%s", reasons(got), reasons(want))
		}
	})
}

func TestNothingAddedLoosens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 1, 6).Draw(rt, "rows")
		s := drawScene(rt)
		before := s.judge(t, table(rows, inOrder(len(rows))))

		denied := append(slices.Clone(rows), drawRow(rt))
		denied[len(rows)].then, denied[len(rows)].window = "deny", -1
		notLooser(rt, before, s.judge(t, table(denied, inOrder(len(denied)))))

		demanding := slices.Clone(rows)
		r := &demanding[rapid.IntRange(0, len(rows)-1).Draw(rt, "which")]
		switch {
		case r.then == "allow":
			r.then = rapid.SampledFrom(thens[1:]).Draw(rt, "instead")
			if r.then == "deny" {
				r.window = -1
			}
		case r.then != "deny" && r.window < 0:
			r.window, r.over = rapid.IntRange(0, 8).Draw(rt, "new window"), false
		case r.window > 0 && !r.over:
			r.window--
		}
		if before.Outcome() != policy.Denied || r.then != "deny" {
			notLooser(rt, before, s.judge(t, table(demanding, inOrder(len(demanding)))))
		}
	})
}
