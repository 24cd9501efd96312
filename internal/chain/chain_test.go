package chain_test

import (
	"bytes"
	"crypto"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// decoder answers what it was told to.
type decoder struct {
	decoded chain.Decoded
	err     error
}

func (decoder) Domain() key.Domain { return key.Ethereum }

func (d decoder) Decode([]byte, chain.Ask) (chain.Decoded, error) { return d.decoded, d.err }

var (
	coin  = chain.Asset{ID: "eip155:1/slip44:60", Symbol: "ETH", Decimals: 18}
	other = chain.Asset{ID: "eip155:1/erc20:0xa0", Decimals: -1}
)

// whole is an answer without fault.
func whole() chain.Decoded {
	return chain.Decoded{
		Intent: chain.Intent{
			Kind: chain.Transaction, Chain: "eip155:1", Sentence: "Send it.",
			Moves:      []chain.Move{{Asset: coin, Amount: big.NewInt(5), To: "a"}, {Asset: coin, Amount: big.NewInt(7), To: "us", Change: true}},
			Fee:        &chain.Fee{Asset: coin, Max: big.NewInt(2)},
			Allowances: []chain.Allowance{{Asset: other, Amount: big.NewInt(9), Spender: "b"}},
		},
		Type:     chain.TypeTx,
		Tasks:    []chain.Task{{Digest: make([]byte, chain.DigestSize)}},
		Assemble: func(sigs []key.Recoverable) ([]byte, error) { return []byte{sigs[0].V}, nil },
		Extract:  func(b []byte) ([]key.Recoverable, error) { return []key.Recoverable{{V: b[0]}}, nil },
	}
}

func TestParseBindsBytesMeaningAndDigests(t *testing.T) {
	payload := []byte("payload")
	p, err := chain.Parse(decoder{decoded: whole()}, payload, chain.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	payload[0] = 'X'
	if string(p.Payload()) != "payload" {
		t.Errorf("got payload %q, want it as it was", p.Payload())
	}
	if !p.Valid() || p.Type() != chain.TypeTx || p.Verb() != key.SignTransaction || p.Domain() != key.Ethereum || p.Hash() != 0 || p.Intent().Sentence != "Send it." {
		t.Errorf("got type %q, verb %q, domain %q", p.Type(), p.Verb(), p.Domain())
	}
	out, err := p.Assemble([]key.Recoverable{{V: 1}})
	if err != nil || !bytes.Equal(out, []byte{1}) {
		t.Errorf("assemble: got %x, %v", out, err)
	}
	if sigs, err := p.Extract(out); err != nil || sigs[0].V != 1 {
		t.Errorf("extract: got %v, %v", sigs, err)
	}
	for _, n := range []int{0, 2} {
		if _, err := p.Assemble(make([]key.Recoverable, n)); err == nil {
			t.Errorf("assembled %d signatures for one digest", n)
		}
	}
}

func TestParseRefusesACarelessDecoder(t *testing.T) {
	for name, spoil := range map[string]func(*chain.Decoded){
		"no digests":         func(d *chain.Decoded) { d.Tasks = nil },
		"short digest":       func(d *chain.Decoded) { d.Tasks = []chain.Task{{Digest: make([]byte, 31)}} },
		"no assemble":        func(d *chain.Decoded) { d.Assemble = nil },
		"no extract":         func(d *chain.Decoded) { d.Extract = nil },
		"type left open":     func(d *chain.Decoded) { d.Type = chain.Auto },
		"digest":             func(d *chain.Decoded) { d.Type = chain.Digest },
		"no kind":            func(d *chain.Decoded) { d.Intent.Kind = "" },
		"plain":              func(d *chain.Decoded) { d.Intent.Kind = chain.Plain },
		"administration":     func(d *chain.Decoded) { d.Intent.Kind = chain.Administration },
		"no amount":          func(d *chain.Decoded) { d.Intent.Moves[0].Amount = nil },
		"negative amount":    func(d *chain.Decoded) { d.Intent.Moves[0].Amount = big.NewInt(-1) },
		"no asset":           func(d *chain.Decoded) { d.Intent.Moves[0].Asset.ID = "" },
		"no destination":     func(d *chain.Decoded) { d.Intent.Moves[0].To = "" },
		"no fee":             func(d *chain.Decoded) { d.Intent.Fee.Max = nil },
		"negative fee":       func(d *chain.Decoded) { d.Intent.Fee.Max = big.NewInt(-1) },
		"fee of nothing":     func(d *chain.Decoded) { d.Intent.Fee.Asset.ID = "" },
		"no allowance":       func(d *chain.Decoded) { d.Intent.Allowances[0].Amount = nil },
		"negative allowance": func(d *chain.Decoded) { d.Intent.Allowances[0].Amount = big.NewInt(-1) },
		"no spender":         func(d *chain.Decoded) { d.Intent.Allowances[0].Spender = "" },
	} {
		d := whole()
		spoil(&d)
		if p, err := chain.Parse(decoder{decoded: d}, nil, chain.Ask{}); !errors.Is(err, chain.ErrPayload) || p.Valid() {
			t.Errorf("%s: got %v, want ErrPayload and no proof", name, err)
		}
	}
	reason := errors.New("no")
	if p, err := chain.Parse(decoder{err: reason}, nil, chain.Ask{}); !errors.Is(err, reason) || p.Valid() {
		t.Errorf("got %v, want the decoder's own error and no proof", err)
	}
}

func TestPayloadsAreBounded(t *testing.T) {
	big := make([]byte, chain.MaxPayload+1)
	if _, err := chain.Parse(decoder{decoded: whole()}, big, chain.Ask{}); !errors.Is(err, chain.ErrPayload) {
		t.Errorf("Parse: got %v", err)
	}
	if _, err := chain.ParsePlain(key.Encrypt, chain.TypeMsg, 0, big, nil); !errors.Is(err, chain.ErrPayload) {
		t.Errorf("ParsePlain: got %v", err)
	}
	if _, err := chain.ParsePlain(key.Encrypt, chain.TypeMsg, 0, big[1:], nil); err != nil {
		t.Errorf("the largest payload: %v", err)
	}
}

func TestZeroParsedIsRefused(t *testing.T) {
	var p chain.Parsed
	if p.Valid() {
		t.Error("valid")
	}
	if _, err := p.Assemble(nil); err == nil {
		t.Error("assembled")
	}
	if _, err := p.Extract(nil); err == nil {
		t.Error("extracted")
	}
}

func TestEffectsSplitEverything(t *testing.T) {
	in := whole().Intent
	in.Allowances = append(in.Allowances,
		chain.Allowance{Asset: other, Amount: big.NewInt(1), Unlimited: true, Spender: "c"},
		chain.Allowance{Asset: other, Amount: big.NewInt(1), All: true, Spender: "d"})
	in.Call = &chain.Call{To: "e", Decoded: true}
	var got []string
	for _, e := range in.Effects() {
		amount := "unbounded"
		if e.Amount != nil {
			amount = e.Amount.String()
		}
		got = append(got, strings.Join([]string{string(e.Verb), e.What, amount, e.To, e.Chain}, " "))
	}
	want := []string{
		"sign-transaction move 5 a eip155:1", "sign-transaction fee 2  eip155:1", "sign-transaction allowance 9 b eip155:1",
		"sign-transaction allowance unbounded c eip155:1", "sign-transaction allowance unbounded d eip155:1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBlindPartsAskForSignBlind(t *testing.T) {
	for name, c := range map[string]struct {
		in   chain.Intent
		want []string // verb, what, to
	}{
		"call":            {chain.Intent{Kind: chain.Transaction, Blind: true, Call: &chain.Call{To: "x"}}, []string{"sign-blind call x"}},
		"creation":        {chain.Intent{Kind: chain.Transaction, Blind: true, Creates: true}, []string{"sign-blind call "}},
		"otherwise":       {chain.Intent{Kind: chain.Transaction, Blind: true}, []string{"sign-blind call "}},
		"typed data":      {chain.Intent{Kind: chain.TypedData, Blind: true}, []string{"sign-typed-data message ", "sign-blind call "}},
		"known data":      {chain.Intent{Kind: chain.TypedData}, []string{"sign-typed-data message "}},
		"message":         {chain.Intent{Kind: chain.Message}, []string{"sign-message message "}},
		"flag and a call": {chain.Intent{Kind: chain.Transaction, Blind: true, Call: &chain.Call{To: "x", Decoded: true}}, []string{"sign-blind call "}},
	} {
		var got []string
		for _, e := range c.in.Effects() {
			got = append(got, strings.Join([]string{string(e.Verb), e.What, e.To}, " "))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestOutflowAddsUpWithoutChange(t *testing.T) {
	in := whole().Intent
	in.Moves = append(in.Moves, chain.Move{Asset: coin, Amount: big.NewInt(10), To: "b"}, chain.Move{Asset: other, Amount: big.NewInt(3), To: "b"})
	got := in.Outflow()
	if len(got) != 2 || got[coin.ID].Int64() != 17 || got[other.ID].Int64() != 3 {
		t.Errorf("got %v, want 17 of the coin and 3 of the token", got)
	}
	got[coin.ID].SetInt64(0)
	if in.Moves[0].Amount.Int64() != 5 || in.Outflow()[coin.ID].Int64() != 17 {
		t.Error("the sums share memory with the moves")
	}
}

func TestPlainSignatureKnowsItsDigest(t *testing.T) {
	message := []byte("abc")
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-4, SHA-256 of "abc"
	hashed, err := chain.ParsePlain(key.Sign, chain.TypeMsg, crypto.SHA256, message, nil)
	if err != nil || hex.EncodeToString(hashed.Tasks()[0].Digest) != sum {
		t.Errorf("message: got %x, %v, want %s", hashed.Tasks(), err, sum)
	}
	whole, err := chain.ParsePlain(key.Sign, chain.TypeMsg, 0, message, nil)
	if err != nil || string(whole.Tasks()[0].Digest) != "abc" {
		t.Errorf("whole message: got %x, %v", whole.Tasks(), err)
	}
	digest, err := chain.ParsePlain(key.Sign, chain.Digest, crypto.SHA384, make([]byte, 48), nil)
	if err != nil || len(digest.Tasks()[0].Digest) != 48 || digest.Hash() != crypto.SHA384 || digest.Type() != chain.Digest {
		t.Errorf("digest: got %x, %v", digest.Tasks(), err)
	}
	message[0] = 'X'
	if string(whole.Payload()) != "abc" || string(whole.Tasks()[0].Digest) != "abc" {
		t.Error("the payload changed with the caller's slice")
	}
	for name, c := range map[string]struct {
		hash crypto.Hash
		size int
	}{"wrong size": {crypto.SHA256, 31}, "without hash": {0, 32}, "empty": {crypto.SHA256, 0}} {
		if _, err := chain.ParsePlain(key.Sign, chain.Digest, c.hash, make([]byte, c.size), nil); !errors.Is(err, chain.ErrPayload) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	encrypted, err := chain.ParsePlain(key.Encrypt, chain.TypeMsg, 0, message, nil)
	if err != nil || len(encrypted.Tasks()) != 0 || encrypted.Verb() != key.Encrypt || encrypted.Domain() != key.Raw {
		t.Errorf("encrypt: got %v, verb %q, domain %q", err, encrypted.Verb(), encrypted.Domain())
	}
	if e := encrypted.Intent().Effects(); len(e) != 1 || e[0].Verb != key.Encrypt || e[0].What != chain.EffectPlain {
		t.Errorf("encrypt: got effects %v", e)
	}
	if _, err := encrypted.Assemble(nil); err == nil {
		t.Error("a plain payload assembles")
	}
}

func TestContextIsSortedAndBounded(t *testing.T) {
	pair := func(name string) chain.Pair { return chain.Pair{Name: name, Value: "v"} }
	good := []chain.Pair{pair("a"), pair("b")}
	p, err := chain.ParsePlain(key.Encrypt, chain.TypeMsg, 0, nil, good)
	if err != nil {
		t.Fatal(err)
	}
	good[0].Value = "changed"
	if p.Context()[0].Value != "v" {
		t.Error("the context changed with the caller's slice")
	}
	many := make([]chain.Pair, 17)
	for i := range many {
		many[i] = pair(string(rune('a' + i)))
	}
	for name, context := range map[string][]chain.Pair{
		"unsorted": {pair("b"), pair("a")}, "twice": {pair("a"), pair("a")}, "empty name": {pair("")}, "many": many,
		"large": {{Name: "a", Value: strings.Repeat("v", 8192)}},
	} {
		if _, err := chain.ParsePlain(key.Encrypt, chain.TypeMsg, 0, nil, context); !errors.Is(err, chain.ErrPayload) || !strings.Contains(err.Error(), "context") {
			t.Errorf("%s: got %v, want an error that names the context", name, err)
		}
	}
}

func TestAdministrationIsOneEffect(t *testing.T) {
	p := chain.ParseAdministration(key.CreateKey, []byte{0xa0}, "Create the key \"hot\".")
	if !p.Valid() || p.Verb() != key.CreateKey || p.Domain() != "" || p.Intent().Kind != chain.Administration || !bytes.Equal(p.Payload(), []byte{0xa0}) {
		t.Errorf("got verb %q, domain %q, %+v", p.Verb(), p.Domain(), p.Intent())
	}
	if e := p.Intent().Effects(); len(e) != 1 || e[0].Verb != key.CreateKey || e[0].What != chain.EffectAdministration {
		t.Errorf("got effects %v", e)
	}
	if len(p.Tasks()) != 0 {
		t.Error("there is something to sign")
	}
	if _, err := p.Assemble(nil); err == nil {
		t.Error("assembled")
	}
}
