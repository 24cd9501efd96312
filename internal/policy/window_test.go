package policy_test

import (
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/policy"
)

func TestProvedChangeCountsForNothing(t *testing.T) {
	p := parse(t, rules(strings.TrimPrefix(payouts, "\n")))
	d := decide(t, p, ask(t, "service:payouts", hot(), tx(t, func(in *chain.Intent) {
		in.Moves = []chain.Move{{Asset: ether, Amount: eth("4"), To: alice}, {Asset: ether, Amount: eth("100"), To: bob, Change: true}}
	})), past{})
	if d.Outcome() != policy.Allowed {
		t.Fatal(reasons(d))
	}
	want := []policy.Charge{{ether.ID, alice, eth("4")}, {ether.ID, policy.FeeDestination, eth("0.001")}}
	if !slices.EqualFunc(d.Charges(), want, equalCharge) {
		t.Errorf("got charges %v, want %v", d.Charges(), want)
	}
}

func equalCharge(a, b policy.Charge) bool {
	return a.Asset == b.Asset && a.Destination == b.Destination && a.Amount.Cmp(b.Amount) == 0
}

func TestChargesAreSortedSummedAndCopied(t *testing.T) {
	p := parse(t, rules("  - {name: all, who: [any], keys: [any], do: [any], then: allow}\n"))
	one := eth("1")
	d := decide(t, p, ask(t, "operator", hot(), tx(t, func(in *chain.Intent) {
		in.Moves = []chain.Move{
			{Asset: ether, Amount: one, To: bob}, {Asset: usdc, Amount: big.NewInt(7), To: bob},
			{Asset: ether, Amount: one, To: alice}, {Asset: ether, Amount: one, To: bob},
		}
		in.Allowances = []chain.Allowance{{Asset: usdc, Amount: big.NewInt(5), Spender: bob}, {Asset: usdc, Unlimited: true, Amount: big.NewInt(1), Spender: carol}}
	})), nil)
	want := []policy.Charge{
		{usdc.ID, bob, big.NewInt(12)}, {ether.ID, alice, eth("1")}, {ether.ID, bob, eth("2")}, {ether.ID, policy.FeeDestination, eth("0.001")},
	}
	if !slices.EqualFunc(d.Charges(), want, equalCharge) {
		t.Fatalf("got charges %v, want %v", d.Charges(), want)
	}
	d.Charges()[1].Amount.SetInt64(0)
	if one.Cmp(eth("1")) != 0 {
		t.Error("a charge shares its number with the payload")
	}
}

func TestWindowIsADemandNeverACondition(t *testing.T) {
	spent := func(n string) past {
		return past{
			{now - 3_600_000, "hot", "service:payouts", ether.ID, alice, eth(n)},
			{now - 25*3_600_000, "hot", "service:payouts", ether.ID, alice, eth("100")},  // too long ago
			{now - 3_600_000, "cold", "service:payouts", ether.ID, alice, eth("100")},    // another key
			{now - 3_600_000, "hot", "service:batch", ether.ID, alice, eth("100")},       // another actor
			{now - 3_600_000, "hot", "service:payouts", ether.ID, bob, eth("100")},       // another destination
			{now - 3_600_000, "hot", "service:payouts", usdc.ID, alice, eth("100")},      // another asset
			{now - 3_600_000, "hot", "service:payouts", ether.ID, "fee", eth("0.5")},     // the fee always counts
			{now - 3_600_000, "hot", "service:payouts", matic.ID, "fee", eth("1000000")}, // but not another chain's
		}
	}
	p := parse(t, rules(strings.TrimPrefix(payouts, "\n")))
	r := ask(t, "service:payouts", hot(), pays(t, ether, eth("4"), alice))
	d := decide(t, p, r, spent("15.499"))
	if d.Outcome() != policy.Allowed || len(d.Windows()) != 1 || d.Windows()[0].Exceeded {
		t.Fatalf("got %s, want a window that just holds", reasons(d))
	}
	w := d.Windows()[0]
	if w.Rule != "payouts" || w.Per != 24*3_600_000 || w.Max.Cmp(eth("20")) != 0 || w.Scope.Asset != ether.ID || w.Scope.ID == "" {
		t.Errorf("got window %+v", w)
	}
	d = decide(t, p, r, spent("15.4991"))
	want := `denied
over-window: rule "payouts": window: 15.9991 ETH spent in the last 24h and 4.001 ETH asked for are over max 20 ETH`
	if got := reasons(d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	over := parse(t, rules(strings.Replace(strings.TrimPrefix(payouts, "\n"), `max: "20"}`, `max: "20", over: {approvals: 1, of: treasurers}}`, 1)))
	d = decide(t, over, r, spent("19"))
	if d.Outcome() != policy.Asks || len(d.Needs()) != 1 || len(d.Windows()) != 1 || !d.Windows()[0].Exceeded {
		t.Errorf("got %s, want the rule's own over: asked for", reasons(d))
	}
	if n := d.Needs()[0]; n.Count != 1 || n.Of != "treasurers" || !slices.Equal(n.Members, []string{"member:ann", "member:ben", "member:cleo"}) {
		t.Errorf("got need %+v", n)
	}
}

func TestWindowWithoutFactsIsNoDecision(t *testing.T) {
	p := parse(t, rules(strings.TrimPrefix(payouts, "\n")))
	r := ask(t, "service:payouts", hot(), pays(t, ether, eth("4"), alice))
	if d, err := policy.Decide(r, p, now, nil); err == nil || d.Valid() {
		t.Error("a window was judged without facts")
	}
	if d, err := policy.Decide(r, p, now, broken{}); err == nil || d.Valid() {
		t.Error("a window was judged by facts that could not be read")
	}
	// What takes nothing from the window needs no facts.
	d, err := policy.Decide(ask(t, "service:payouts", hot(), message(t)), p, now, nil)
	if err != nil || d.Outcome() != policy.Denied {
		t.Errorf("got %v, %v", d, err)
	}
}

type broken struct{}

func (broken) Spent(policy.Scope, int64) (*big.Int, error) { return nil, errors.New("disk on fire") }

func (broken) Paid(string, string, string) (bool, error) { return false, errors.New("disk on fire") }

func TestUnlimitedAllowanceExceedsEveryWindow(t *testing.T) {
	p := parse(t, rules(`  - name: tokens
    who: [any]
    keys: [any]
    do: [sign-transaction]
    window: {asset: USDC, per: 7d, max: "1000000", over: {approvals: 2, of: treasurers}}
    then: allow
`))
	d := decide(t, p, ask(t, "operator", hot(), allows(t, chain.Allowance{Asset: usdc, Unlimited: true, Amount: big.NewInt(1), Spender: bob})), past{})
	if d.Outcome() != policy.Asks || !d.Windows()[0].Exceeded {
		t.Errorf("got %s", reasons(d))
	}
}

// A token's fee is paid in the chain's coin: `fee` covers it, beside a payment
// that the rule covers and not otherwise.
func TestFeeBelongsToItsPayment(t *testing.T) {
	p := parse(t, rules(`  - name: tokens
    who: [any]
    keys: [hot]
    do: [sign-transaction]
    to: [book:exchanges]
    amount: {asset: USDC, max: 1000}
    fee: {asset: ETH, max: "0.01"}
    then: allow
  - name: large
    who: [any]
    keys: [hot]
    do: [sign-transaction]
    amount: {asset: USDC, min: 1000}
    fee: {asset: ETH, max: "0.01"}
    then: {approvals: 2, of: treasurers}
`))
	got := func(parsed chain.Parsed) policy.Decision { return decide(t, p, ask(t, "operator", hot(), parsed), nil) }
	if d := got(pays(t, usdc, amount("999", 6), alice)); d.Outcome() != policy.Allowed || len(d.Fitting()) != 1 {
		t.Errorf("small: %s", reasons(d))
	}
	if d := got(pays(t, usdc, amount("1001", 6), alice)); d.Outcome() != policy.Asks || len(d.Fitting()) != 1 {
		t.Errorf("large: %s", reasons(d))
	}
	if d := got(pays(t, usdc, amount("999", 6), bob)); d.Outcome() != policy.Denied {
		t.Errorf("to a stranger: %s", reasons(d))
	}
	d := got(tx(t, func(in *chain.Intent) {
		in.Fee.Max = eth("0.011")
		in.Moves = []chain.Move{{Asset: usdc, Amount: big.NewInt(1), To: alice}}
	}))
	if d.Outcome() != policy.Denied || d.Reasons()[0].Code != "over-fee" {
		t.Errorf("dear: %s", reasons(d))
	}
	if d := got(tx(t, func(*chain.Intent) {})); d.Outcome() != policy.Denied {
		t.Errorf("a fee alone: %s", reasons(d))
	}
}

func TestDenialByFeeAndByAmount(t *testing.T) {
	p := parse(t, rules(`  - {name: all, who: [any], keys: [any], do: [any], then: allow}
  - {name: dear, who: [any], keys: [any], do: [any], fee: {asset: ETH, min: "0.1"}, then: deny}
  - {name: cap, who: [any], keys: [any], do: [any], amount: {asset: ETH, min: "100"}, then: deny}
`))
	for _, c := range []struct{ fee, value, want string }{
		{"0.09", "1", "allowed"}, {"0.1", "1", "denied"}, {"0.09", "100", "denied"}, {"0.01", "99.995", "denied"},
	} {
		d := decide(t, p, ask(t, "operator", hot(), tx(t, func(in *chain.Intent) {
			in.Fee.Max = eth(c.fee)
			in.Moves = []chain.Move{{Asset: ether, Amount: eth(c.value), To: bob}}
		})), nil)
		if string(d.Outcome()) != c.want {
			t.Errorf("fee %s, value %s: got %s, want %s", c.fee, c.value, reasons(d), c.want)
		}
	}
}

func TestNativeCoinIsOneHoweverItIsNumbered(t *testing.T) {
	p := parse(t, rules(`  - name: polygon
    who: [any]
    keys: [any]
    do: [sign-transaction]
    amount: {asset: POL, max: 10}
    window: {asset: POL, per: 1d, max: 15}
    then: allow
`))
	in := chain.Intent{
		Kind: chain.Transaction, Chain: "eip155:137", Fee: &chain.Fee{Asset: matic, Max: eth("1")},
		Moves: []chain.Move{{Asset: matic, Amount: eth("9"), To: bob}},
	}
	d := decide(t, p, ask(t, "operator", hot(), decoded(t, in)), past{{now, "hot", "operator", matic.ID, bob, eth("5")}})
	if d.Outcome() != policy.Allowed || d.Windows()[0].Scope.Asset != matic.ID || d.Charges()[0].Asset != matic.ID {
		t.Errorf("got %s", reasons(d))
	}
	d = decide(t, p, ask(t, "operator", hot(), decoded(t, in)), past{{now, "hot", "operator", matic.ID, bob, eth("5.1")}})
	if d.Outcome() != policy.Denied {
		t.Errorf("got %s", reasons(d))
	}
}
