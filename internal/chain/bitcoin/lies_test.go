package bitcoin_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/key"
)

// Whoever prepares a PSBT may lie in every field of it.
func TestNoLieIsSigned(t *testing.T) {
	w, other := newTree(t, "victim", "m/84h/0h/0h"), newTree(t, "attacker", "m/84h/0h/0h")
	from, back := w.child(0, 5), w.child(1, 2)
	mine := script(t, w.point(from), bitcoin.P2WPKH)
	derived := func(kind byte, named key.Path, point []byte) pair { return pair{kind, point, w.origin(named)} }
	multi := multisigScript(1, w.point(from), other.point(from))
	tap := func(kind byte, p []byte, path key.Path) pair {
		return pair{kind, p[1:], append([]byte{0}, w.origin(path)...)}
	}
	for name, c := range map[string]struct {
		change func(d *draft)
		want   string
	}{
		"witness UTXO of another amount":              {func(d *draft) { d.in[0] = append(d.in[0], pair{1, nil, coinBytes(1, mine)}) }, "input 0: its witness UTXO is not the output"},
		"witness UTXO of another script":              {func(d *draft) { d.in[0] = append(d.in[0], pair{1, nil, coinBytes(170_000_000, stranger("x"))}) }, "input 0: its witness UTXO is not the output"},
		"previous transaction of another id":          {func(d *draft) { d.in[0][0].value = raw(previous(99, 170_000_000, mine)) }, "input 0: non-witness UTXO: it is transaction"},
		"previous transaction with too few outputs":   {func(d *draft) { d.tx.TxIn[0].PreviousOutPoint.Index = 2 }, "input 0: non-witness UTXO: it has 2 outputs"},
		"segwit amount that is only claimed":          {func(d *draft) { d.in[0][0] = pair{1, nil, coinBytes(170_000_000, mine)} }, "input 0: its amount is only claimed"},
		"no UTXO":                                     {func(d *draft) { d.in[0] = d.in[0][1:] }, "input 0: it does not say what it spends"},
		"foreign amount that is only claimed":         {func(d *draft) { d.witnessSpend(5000, stranger("x")) }, "input 1: its amount is only claimed"},
		"foreign Taproot amount that is only claimed": {func(d *draft) { d.witnessSpend(5000, script(t, other.point(from), bitcoin.P2TR)) }, "input 1: its amount is only claimed"},

		"wrong point at our path":      {func(d *draft) { d.in[0][1] = derived(6, from, other.point(from)) }, "input 0: it names key"},
		"our point at a wrong path":    {func(d *draft) { d.in[0][1] = derived(6, w.child(0, 6), w.point(from)) }, "input 0: it names key"},
		"our point, other fingerprint": {func(d *draft) { d.in[0][1] = pair{6, w.point(from), other.origin(from)} }, "nothing to sign: input 0: no key of it is proved to be ours"},
		"our point at a foreign path": {func(d *draft) {
			d.in[0][1].value = w.origin(key.Path{84 + key.Hardened, key.Hardened, 1 + key.Hardened, 0, 5})
		}, "nothing to sign"},
		"key origin of another wallet": {func(d *draft) { d.in[0][1] = pair{6, other.point(from), other.origin(from)} }, "nothing to sign"},
		"our key, another's coin": {func(d *draft) {
			prev := previous(0, 170_000_000, stranger("x"))
			d.in[0][0].value, d.tx.TxIn[0].PreviousOutPoint.Hash = raw(prev), prev.TxHash()
		}, "nothing to sign"},

		"change with another key's script":  {func(d *draft) { d.tx.TxOut[1].PkScript = script(t, other.point(back), bitcoin.P2WPKH) }, "output 1: it claims to be ours at m/84h/0h/0h/1/2, but it is not"},
		"change with another key of ours":   {func(d *draft) { d.tx.TxOut[1].PkScript = script(t, w.point(w.child(1, 3)), bitcoin.P2WPKH) }, "output 1: it claims to be ours"},
		"change with a wrong point":         {func(d *draft) { d.out[1][0] = derived(2, back, other.point(back)) }, "output 1: it names key"},
		"change at a wrong path":            {func(d *draft) { d.out[1][0] = derived(2, w.child(1, 3), w.point(back)) }, "output 1: it names key"},
		"change by a script that is hidden": {func(d *draft) { d.tx.TxOut[1].PkScript = p2wsh(multi) }, "output 1: it claims to be ours"},
		"change by a script without our key": {func(d *draft) {
			theirs := multisigScript(1, other.point(from), other.point(back))
			d.tx.TxOut[1].PkScript = p2wsh(theirs)
			d.out[1] = append(d.out[1], pair{1, nil, theirs})
		}, "output 1: it claims to be ours"},
		"Taproot change of another internal key": {func(d *draft) {
			d.tx.TxOut[1].PkScript = script(t, other.point(back), bitcoin.P2TR)
			d.out[1] = []pair{tap(7, w.point(back), back)}
		}, "output 1: it claims to be ours"},
		"Taproot change that names two internal keys": {func(d *draft) {
			d.tx.TxOut[1].PkScript = script(t, w.point(back), bitcoin.P2TR)
			d.out[1] = []pair{{5, nil, other.point(back)[1:]}, tap(7, w.point(back), back)}
		}, "output 1: its Taproot internal key"},
		"Taproot input that leads elsewhere": {func(d *draft) {
			d.spend(1000, script(t, w.point(from), bitcoin.P2TR), tap(0x16, w.point(from), from), pair{0x17, nil, w.point(from)[1:]}, pair{0x18, nil, make([]byte, 32)})
		}, "input 1: its Taproot internal key and Merkle root do not lead"},

		"coin spent twice": {func(d *draft) { d.tx.AddTxIn(d.tx.TxIn[0]); d.in = append(d.in, d.in[0]) }, "input 1: spends the same coin as input 0"},
		"more out than in": {func(d *draft) { d.tx.TxOut[0].Value = 60_000_000 }, "its outputs are worth 0.0999859 BTC more than its inputs"},
		"negative output":  {func(d *draft) { d.tx.TxOut[0].Value = -1 }, "output 0: an amount of more bitcoin than there can be"},
		"output overflow":  {func(d *draft) { d.tx.TxOut[0].Value = 1<<63 - 1 }, "output 0: an amount of more bitcoin"},
		"outputs that overflow together": {func(d *draft) {
			for range 3 {
				d.pay(2_000_000_000_000_000, stranger("x"))
			}
		}, "output 3: the outputs together are more bitcoin"},
		"inputs that overflow together": {func(d *draft) {
			for range 2 {
				d.spend(2_000_000_000_000_000, stranger("x"))
			}
		}, "input 2: the inputs together are more bitcoin"},
		"no inputs":  {func(d *draft) { d.tx.TxIn, d.in = nil, nil }, "no inputs"},
		"no outputs": {func(d *draft) { d.tx.TxOut, d.out = nil, nil }, "no outputs"},
		"a coinbase input": {func(d *draft) {
			d.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 1<<32 - 1}})
			d.in = append(d.in, nil)
		}, "input 1: spends no coin"},
		"a coin of 0":            {func(d *draft) { d.spend(0, mine, derived(6, from, w.point(from))) }, "input 1: it spends a coin of 0"},
		"a message as a payment": {func(d *draft) { d.global = []pair{{9, nil, []byte("I owe you")}} }, "sign the message itself with type message"},
		"a message without its field": {func(d *draft) {
			to := wire.NewMsgTx(0)
			to.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 1<<32 - 1}, SignatureScript: append([]byte{0, 32}, make([]byte, 32)...)})
			to.AddTxOut(&wire.TxOut{Value: 1, PkScript: mine})
			d.tx.TxIn[0].PreviousOutPoint = wire.OutPoint{Hash: to.TxHash()}
			d.in[0][0].value = raw(to)
		}, "it is a message in the form of BIP-322"},

		"redeem script of another hash": {func(d *draft) {
			d.spend(1000, p2sh(multi), derived(6, from, w.point(from)), pair{4, nil, multisigScript(1, w.point(from))})
		}, "input 1: its redeem script is not the one"},
		"witness script of another hash": {func(d *draft) {
			d.spend(1000, p2wsh(multi), derived(6, from, w.point(from)), pair{5, nil, multisigScript(1, w.point(from))})
		}, "input 1: its witness script is not the one"},
		"redeem script where none is":  {func(d *draft) { d.in[0] = append(d.in[0], pair{4, nil, multi}) }, "input 0: it has a redeem script"},
		"witness script where none is": {func(d *draft) { d.in[0] = append(d.in[0], pair{5, nil, multi}) }, "input 0: it has a witness script"},
		"signature that does not hold": {func(d *draft) {
			der := append(unhex(t, "3006020101020101"), 1)
			d.in[0] = append(d.in[0], pair{2, w.point(from), der})
		}, "input 0: its signature by key"},
		"signature by a stranger's key": {func(d *draft) {
			d.in[0] = append(d.in[0], pair{2, other.point(from), append(unhex(t, "3006020101020101"), 1)})
		}, "which its script does not ask for"},
		"signature of another sighash type": {func(d *draft) {
			p := parse(t, d.bytes(), w.ask(t))
			half, err := bitcoin.SignOnly(d.bytes(), w.ask(t), w.sign(t))
			if err != nil || len(p.Tasks()) != 1 {
				t.Fatal(err)
			}
			at := bytes.Index(half, append([]byte{34, 2}, w.point(from)...)) + 35
			d.in[0] = append(d.in[0], pair{2, w.point(from), half[at+1 : at+1+int(half[at])]}, pair{3, nil, []byte{2, 0, 0, 0}})
		}, "input 0: it has a signature of sighash type all, but asks for none"},
		"Taproot signature that does not hold": {func(d *draft) {
			d.spend(1000, script(t, other.point(from), bitcoin.P2TR), pair{0x13, nil, make([]byte, 64)})
		}, "input 1: its Taproot signature does not verify"},
		"Taproot signature elsewhere": {func(d *draft) { d.in[0] = append(d.in[0], pair{0x13, nil, make([]byte, 64)}) }, "spends no Taproot output"},
		"Taproot tree that is not committed to": {func(d *draft) {
			d.tx.TxOut[1].PkScript = script(t, w.point(back), bitcoin.P2TR)
			d.out[1] = []pair{{6, nil, []byte{0, 0xc0, 1, 0x51}}, tap(7, w.point(back), back)}
		}, "output 1: it names a Taproot tree"},
		"final input whose script signs no amount": {func(d *draft) {
			d.witnessSpend(5000, p2wsh([]byte{0x51}), pair{8, nil, []byte{1, 1, 0x51}})
		}, "input 1: its amount is only claimed"},
		"segwit signature by an uncompressed key": {func(d *draft) {
			pub, err := other.node(from).ECPubKey()
			if err != nil {
				t.Fatal(err)
			}
			old := pub.SerializeUncompressed()
			d.spend(1000, append([]byte{0, 20}, address.Hash160(old)...), pair{2, old, append(unhex(t, "3006020101020101"), 1)})
		}, "which its script does not ask for"},
		"final input that does not hold": {func(d *draft) { d.spend(1000, stranger("x"), pair{8, nil, []byte{1, 1, 7}}) }, "input 1: its scripts do not hold"},
		"path without end":               {func(d *draft) { d.in[0][1].value = append(w.origin(from), make([]byte, 4*300)...) }, "nothing to sign"},
	} {
		d := payment(t, w)
		c.change(d)
		_, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t))
		switch {
		case err == nil:
			t.Errorf("%s: accepted", name)
		case !errors.Is(err, chain.ErrPayload) || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want one with %q", name, err, c.want)
		case len(err.Error()) > 600:
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// What is not proved to be change counts as paid.
func TestOnlyProvedChangeIsChange(t *testing.T) {
	w, other := newTree(t, "victim", "m/84h/0h/0h"), newTree(t, "attacker", "m/84h/0h/0h")
	tree := []byte{0, 0xc0, 1, 0x51}
	for name, c := range map[string]struct {
		change func(d *draft, path key.Path) key.Path // of the output
		path   key.Path
		is     bool
		code   string
	}{
		"on the change chain":   {path: w.child(1, 7), is: true},
		"on the receive chain":  {path: w.child(0, 7), is: true},
		"far out":               {path: w.child(1, 2_000_000_000), code: "odd-change"},
		"on another chain":      {path: w.child(2, 0), code: "odd-change"},
		"too deep":              {path: w.child(1, 0, 0), code: "odd-change"},
		"at the account itself": {path: w.child(), code: "odd-change"},
		"of another type": {path: w.child(1, 7), code: "odd-change", change: func(d *draft, p key.Path) key.Path {
			d.tx.TxOut[1].PkScript = script(t, w.point(p), bitcoin.P2PKH)
			return p
		}},
		"without a claim": {path: w.child(1, 7), change: func(d *draft, p key.Path) key.Path { d.out[1] = nil; return p }},
		"with a cosigner": {path: w.child(1, 7), code: "unproved-change", change: func(d *draft, p key.Path) key.Path {
			s := multisigScript(1, w.point(p), other.point(p))
			d.tx.TxOut[1].PkScript = p2wsh(s)
			d.out[1] = append(d.out[1], pair{1, nil, s})
			return p
		}},
		"with a Taproot tree": {path: w.child(1, 7), code: "unproved-change", change: func(d *draft, p key.Path) key.Path {
			d.tx.TxOut[1].PkScript = append([]byte{0x51, 32}, bytes.Repeat([]byte{9}, 32)...)
			d.out[1] = []pair{{5, nil, w.point(p)[1:]}, {6, nil, tree}, {7, w.point(p)[1:], append([]byte{0}, w.origin(p)...)}}
			return p
		}},
	} {
		d := payment(t, w)
		d.tx.TxOut[1].PkScript = script(t, w.point(c.path), bitcoin.P2WPKH)
		d.out[1] = []pair{{2, w.point(c.path), w.origin(c.path)}}
		if c.change != nil {
			c.change(d, c.path)
		}
		p := parse(t, d.bytes(), w.ask(t))
		if got := p.Intent().Moves[1].Change; got != c.is {
			t.Errorf("%s: got change %v, want %v: %s", name, got, c.is, p.Intent().Sentence)
		}
		if c.code != "" && !warned(p, c.code) {
			t.Errorf("%s: got %+v, want a warning %s", name, p.Intent().Warnings, c.code)
		}
	}
}

// Below an account that no purpose describes nobody finds a coin far away either:
// who knew the only path to it could ask for a ransom.
func TestNoChangeIsHiddenBelowAnAccountWithoutPurpose(t *testing.T) {
	for _, at := range []string{"m", "m/48h/0h/0h/2h", "m/84h/0h"} {
		w := newTree(t, "victim", at)
		for name, c := range map[string]struct {
			below key.Path
			is    bool
		}{
			"near": {key.Path{1, 7}, true}, "one step": {key.Path{9}, true}, "far out": {key.Path{1, 2_000_000_000}, false},
			"another chain": {key.Path{7, 1}, false}, "deep": {key.Path{0, 0, 1}, false}, "unhardened account": {key.Path{123_456, 0, 1}, false},
		} {
			if at == "m/84h/0h" { // its purpose says where
				c.is = false
			}
			from, back := w.child(0, 5), w.child(c.below...)
			d := newDraft().spend(100_000, script(t, w.point(from), bitcoin.P2WPKH), pair{6, w.point(from), w.origin(from)}).
				pay(99_000, script(t, w.point(back), bitcoin.P2WPKH), pair{2, w.point(back), w.origin(back)})
			p := parse(t, d.bytes(), w.ask(t))
			if got := p.Intent().Moves[0].Change; got != c.is || warned(p, "odd-change") == c.is {
				t.Errorf("%s at %s: got change %v, want %v; %+v", name, back, got, c.is, p.Intent().Warnings)
			}
		}
	}
}

// Of Taproot the claim of the amount is enough: a signature covers all of them.
func TestTaprootAmountsNeedNoProof(t *testing.T) {
	w := newTree(t, "taproot", "m/86h/0h/0h")
	from, back := w.child(0, 0), w.child(1, 0)
	tap := func(kind byte, path key.Path) pair {
		return pair{kind, w.point(path)[1:], append([]byte{0}, w.origin(path)...)}
	}
	d := newDraft().witnessSpend(100_000, script(t, w.point(from), bitcoin.P2TR), tap(0x16, from), pair{0x17, nil, w.point(from)[1:]}).
		pay(40_000, stranger("shop")).
		pay(59_000, script(t, w.point(back), bitcoin.P2TR), tap(7, back), pair{5, nil, w.point(back)[1:]})
	p := parse(t, d.bytes(), w.ask(t))
	if moves := p.Intent().Moves; moves[0].Change || !moves[1].Change {
		t.Errorf("got %+v", moves)
	}
	out, err := p.Assemble(signAll(p, w.sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	signed, _, err := bitcoin.Extract(out)
	if err != nil {
		t.Fatal(err)
	}
	tx := runs(t, signed, d.coins([]int64{100_000}, [][]byte{script(t, w.point(from), bitcoin.P2TR)}))
	if size := int64(3*tx.SerializeSizeStripped()+tx.SerializeSize()+3) / 4; size != p.Intent().Fee.Size {
		t.Errorf("got %d vB, want exactly %d", p.Intent().Fee.Size, size)
	}
	d.in[0] = append(d.in[0], pair{3, nil, []byte{0x81, 0, 0, 0}})
	if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), "only claimed") {
		t.Errorf("with ANYONECANPAY: got %v", err)
	}
}

func TestTheNetworkIsNotTheCallersAlone(t *testing.T) {
	main, test, odd := newTree(t, "net", "m/84h/0h/0h"), newTree(t, "net", "m/84h/1h/0h"), newTree(t, "net", "m/7h/7h")
	for _, c := range []struct {
		w             *tree
		network, want string
	}{
		{main, "", "bip122:000000000019d6689c085ae165831e93"},
		{main, "main", "bip122:000000000019d6689c085ae165831e93"},
		{main, "regtest", "one of the main network"},
		{test, "", "say which network"},
		{test, "main", "one of the test networks"},
		{test, "testnet4", "bip122:00000000da84f2bafbbc53dee25a72ae"},
		{test, "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"},
		{test, "dogecoin", "is not one of Bitcoin's"},
		{odd, "", "bip122:000000000019d6689c085ae165831e93"},
	} {
		for _, named := range []bool{true, false} { // the account's path, or that of the PSBT alone
			ask := c.w.ask(t)
			ask.Network = c.network
			if !named {
				ask.Path = nil
			}
			p, err := chain.Parse(bitcoin.Decoder{}, payment(t, c.w).bytes(), ask)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = p.Intent().Chain + p.Intent().Moves[0].Asset.ID
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s, network %q: got %s, want %s", c.w.at, c.network, got, c.want)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	w := newTree(t, "warnings", "m/84h/0h/0h")
	alike := func() []byte { // the first characters of our address, and the last by trying
		mine, _ := bitcoin.FormatAddress(script(t, w.point(w.child(0, 5)), bitcoin.P2WPKH), bitcoin.Main)
		program := slices.Clone(script(t, w.point(w.child(0, 5)), bitcoin.P2WPKH))
		for n := range 1 << 22 {
			program[10], program[11], program[12] = byte(n), byte(n>>8), byte(n>>16)
			got, _ := bitcoin.FormatAddress(program, bitcoin.Main)
			if got != mine && got[len(got)-4:] == mine[len(mine)-4:] {
				return program
			}
		}
		t.Fatal("no such address")
		return nil
	}
	for code, change := range map[string]func(d *draft){
		"high-fee":          func(d *draft) { d.tx.TxOut[1].Value = 10_000_000 },
		"dust":              func(d *draft) { d.tx.TxOut[0].Value = 293 },
		"locktime":          func(d *draft) { d.tx.LockTime = 900_000 },
		"relative-locktime": func(d *draft) { d.tx.TxIn[0].Sequence = 144 },
		"foreign-inputs":    func(d *draft) { d.spend(1000, stranger("x")) },
		"look-alike":        func(d *draft) { d.tx.TxOut[0].PkScript = alike() },
		"":                  func(d *draft) { d.tx.TxOut[0].Value = 294 },
	} {
		d := payment(t, w)
		change(d)
		p := parse(t, d.bytes(), w.ask(t))
		if code != "" && !warned(p, code) {
			t.Errorf("%s: got %+v", code, p.Intent().Warnings)
		}
		if code == "" && len(p.Intent().Warnings) > 1 { // the rest is fee
			t.Errorf("got %+v", p.Intent().Warnings)
		}
	}
	d := payment(t, w)
	d.tx.TxOut[0].Value = 40_000_000
	d.pay(0, append([]byte{0x6a, 5}, "hello"...)).pay(1000, []byte{0x51}).pay(2000, append([]byte{0x4c, 200}, make([]byte, 200)...))
	moves := parse(t, d.bytes(), chain.Ask{Public: w.public(t), Own: w}).Intent().Moves
	if moves[2].To != "data:0568656c6c6f" || moves[2].Amount.Sign() != 0 || moves[3].To != "script:51" || !strings.HasPrefix(moves[4].To, "script:sha256:") {
		t.Errorf("got %s, %s, %s", moves[2].To, moves[3].To, moves[4].To)
	}
}
