package policy_test

import (
	"crypto"
	"fmt"
	"math/big"
	"strings"

	"keyward/internal/chain"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/policy"
)

// Addresses with their EIP-55 checksums, from that standard's own text.
const (
	alice = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	bob   = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
	carol = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
	token = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
)

// failer is what testing.T and rapid.T have in common.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

const now = int64(1_800_000_000_000)

func parse(t failer, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("policy does not parse: %v\n%s", err, text)
	}
	return p
}

// rules wraps rules in a policy that declares what tests use.
func rules(text string) string {
	return `version: 1
groups:
  treasurers: [ann, ben, cleo]
  programs: [service:payouts, "service:batch"]
books:
  exchanges:
    - {chain: ethereum, address: "` + alice + `", name: Kraken deposit}
assets:
  - {name: USDC, chain: ethereum, address: "` + token + `", decimals: 6}
  - {name: POL, chain: "eip155:137", native: true, decimals: 18}
rules:
` + text
}

var (
	ether  = chain.Asset{ID: "eip155:1/slip44:60", Symbol: "ETH", Decimals: 18}
	matic  = chain.Asset{ID: "eip155:137/slip44:966", Symbol: "POL", Decimals: 18}
	usdc   = chain.Asset{ID: "eip155:1/erc20:" + strings.ToLower(token), Decimals: -1}
	junk   = chain.Asset{ID: "eip155:1/erc20:" + strings.ToLower(bob), Decimals: -1}
	amount = func(s string, decimals int) *big.Int {
		whole, fraction, _ := strings.Cut(s, ".")
		n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10)
		if !ok {
			panic(s)
		}
		return n
	}
)

func eth(s string) *big.Int { return amount(s, 18) }

// known is a Decoder that understood what the test says.
type known struct{ intent chain.Intent }

func (known) Domain() key.Domain { return key.Ethereum }

func (k known) Decode([]byte, chain.Ask) (chain.Decoded, error) {
	kind := chain.TypeTx
	if k.intent.Kind == chain.Message {
		kind = chain.TypeMsg
	}
	return chain.Decoded{
		Intent: k.intent, Type: kind, Tasks: []chain.Task{{Digest: make([]byte, 32)}},
		Assemble: func([]key.Recoverable) ([]byte, error) { return nil, nil },
		Extract:  func([]byte) ([]key.Recoverable, error) { return nil, nil },
	}, nil
}

func decoded(t failer, intent chain.Intent) chain.Parsed {
	t.Helper()
	p, err := chain.Parse(known{intent}, []byte("payload"), chain.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tx is a transaction on Ethereum with a fee of 0.001 ETH.
func tx(t failer, change func(*chain.Intent)) chain.Parsed {
	t.Helper()
	in := chain.Intent{Kind: chain.Transaction, Chain: "eip155:1", Fee: &chain.Fee{Asset: ether, Max: eth("0.001")}}
	change(&in)
	return decoded(t, in)
}

func pays(t failer, a chain.Asset, n *big.Int, to string) chain.Parsed {
	return tx(t, func(in *chain.Intent) { in.Moves = []chain.Move{{Asset: a, Amount: n, To: to}} })
}

func allows(t failer, a chain.Allowance) chain.Parsed {
	return tx(t, func(in *chain.Intent) { in.Allowances = []chain.Allowance{a} })
}

func plain(t failer, verb key.Verb) chain.Parsed {
	t.Helper()
	kind, hash := chain.TypeMsg, crypto.Hash(0)
	if verb == key.Sign {
		hash = crypto.SHA256
	}
	p, err := chain.ParsePlain(verb, kind, hash, []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func admin(verb key.Verb) chain.Parsed {
	return chain.ParseAdministration(verb, nil, "Change something.")
}

// hot is an active key of domain ethereum, raw one of domain raw.
func hot() key.Key {
	return key.Key{
		ID: "key_01j00000000000000000000000", Name: "hot", Spec: key.Secp256k1, Usage: key.SignVerify, Domain: key.Ethereum, State: key.Active,
		Current: 1, Versions: []key.VersionInfo{{Version: 1, Public: key.Public("public")}},
	}
}

func raw(usage key.Usage) key.Key {
	k := hot()
	k.Name, k.Domain, k.Usage = "raw", key.Raw, usage
	return k
}

// ask makes a request of actor about k.
func ask(t failer, actor string, k key.Key, p chain.Parsed) policy.Request {
	t.Helper()
	return request(t, actor, policy.Input{Parsed: p, Key: k, Version: k.Current})
}

func about(t failer, actor, subject string, p chain.Parsed) policy.Request {
	t.Helper()
	return request(t, actor, policy.Input{Parsed: p, Subject: subject})
}

func request(t failer, actor string, in policy.Input) policy.Request {
	t.Helper()
	in.Actor, in.Created = identity.Operator("unix"), now
	r, err := policy.NewRequest(in)
	if err != nil {
		t.Fatal(err)
	}
	return policy.As(r, actor)
}

func decide(t failer, p *policy.Policy, r policy.Request, f policy.Facts) policy.Decision {
	t.Helper()
	d, err := policy.Decide(r, p, now, f)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Valid() || len(d.Reasons()) == 0 {
		t.Fatal("a decision without a reason")
	}
	return d
}

// reasons prints a decision for comparison with what a test wants.
func reasons(d policy.Decision) string {
	var b strings.Builder
	b.WriteString(string(d.Outcome()))
	for _, r := range d.Reasons() {
		fmt.Fprintf(&b, "\n%s: %s", r.Code, r.Text)
	}
	return b.String()
}

// payment is one that was made.
type payment struct {
	at                      int64
	key, actor, asset, dest string
	amount                  *big.Int
}

// past is Facts in memory.
type past []payment

func (p past) Spent(s policy.Scope, since int64) (*big.Int, error) {
	sum := new(big.Int)
	for _, m := range p {
		if m.at >= since && m.asset == s.Asset && s.Fits(m.key, m.actor, m.dest) {
			sum.Add(sum, m.amount)
		}
	}
	return sum, nil
}

func (p past) Paid(keyName, chain, destination string) (bool, error) {
	for _, m := range p {
		name, _, _ := strings.Cut(m.key, "/")
		if name == keyName && strings.HasPrefix(m.asset, chain+"/") && m.dest == destination && m.amount.Sign() > 0 {
			return true, nil
		}
	}
	return false, nil
}
