package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/key"
)

// payment spends 1.7 BTC of an account of BIP-84: half a bitcoin to a stranger,
// the rest but 1,410 satoshi back.
func payment(t testing.TB, w *tree) *draft {
	t.Helper()
	from, back := w.child(0, 5), w.child(1, 2)
	return newDraft().
		spend(170_000_000, script(t, w.point(from), bitcoin.P2WPKH), pair{6, w.point(from), w.origin(from)}).
		pay(50_000_000, stranger("shop")).
		pay(120_000_000-1410, script(t, w.point(back), bitcoin.P2WPKH), pair{2, w.point(back), w.origin(back)})
}

func TestPaymentIsReadInPlainWords(t *testing.T) {
	w := newTree(t, "plain", "m/84h/0h/0h")
	p := parse(t, payment(t, w).base64(), w.ask(t))
	shop, _ := bitcoin.FormatAddress(stranger("shop"), bitcoin.Main)
	want := "Send 0.5 BTC to " + shop + ", fee 0.0000141 BTC (10.0 sat/vB), 1.1999859 BTC back to this account."
	in := p.Intent()
	if in.Sentence != want {
		t.Errorf("got  %s\nwant %s", in.Sentence, want)
	}
	if in.Fee.Size != 141 || in.Fee.Max.Int64() != 1410 {
		t.Errorf("got fee %v for %d vB", in.Fee.Max, in.Fee.Size)
	}
	own, _ := bitcoin.FormatAddress(script(t, w.point(w.child(0, 5)), bitcoin.P2WPKH), bitcoin.Main)
	if in.From != own || len(in.Warnings) != 0 || in.Chain != "bip122:000000000019d6689c085ae165831e93" {
		t.Errorf("got %+v", in)
	}
	effects := in.Effects()
	if len(effects) != 2 || effects[0].To != shop || effects[0].Amount.Int64() != 50_000_000 || effects[1].What != chain.EffectFee {
		t.Errorf("got effects %+v", effects)
	}
	if out := in.Outflow()["bip122:000000000019d6689c085ae165831e93/slip44:0"]; out.Cmp(big.NewInt(50_001_410)) != 0 {
		t.Errorf("got outflow %v", out)
	}
}

// kinds are all ways of spending that are signed here, as inputs of one account.
func kinds(t testing.TB, w, other *tree) (d *draft, values []int64, scripts [][]byte) {
	t.Helper()
	d = newDraft()
	add := func(s []byte, more ...pair) {
		values, scripts = append(values, int64(10_000_000+len(values))), append(scripts, s)
		d.spend(values[len(values)-1], s, more...)
	}
	at := func(n uint32) (point []byte, derivation pair) {
		path := w.child(0, n)
		return w.point(path), pair{6, w.point(path), w.origin(path)}
	}
	p, by := at(0)
	add(script(t, p, bitcoin.P2PKH), by)
	p, by = at(1)
	add(script(t, p, bitcoin.P2SHP2WPKH), pair{4, nil, script(t, p, bitcoin.P2WPKH)}, by)
	p, by = at(2)
	add(script(t, p, bitcoin.P2WPKH), by)
	p, by = at(3)
	one := multisigScript(1, p, other.point(other.child(0, 3)))
	add(p2sh(one), pair{4, nil, one}, by)
	p, by = at(4)
	two := multisigScript(1, other.point(other.child(0, 4)), p)
	add(p2wsh(two), pair{5, nil, two}, by)
	p, by = at(5)
	three := multisigScript(1, p)
	add(p2sh(p2wsh(three)), pair{4, nil, p2wsh(three)}, pair{5, nil, three}, by)
	p, _ = at(6)
	tap := func(n uint32, p []byte) pair { return pair{0x16, p[1:], append([]byte{0}, w.origin(w.child(0, n))...)} }
	add(script(t, p, bitcoin.P2TR), tap(6, p), pair{0x17, nil, p[1:]})
	p, _ = at(7)
	root := bytes.Repeat([]byte{7}, 32)
	x, err := bitcoin.OutputKey(p[1:], root)
	if err != nil {
		t.Fatal(err)
	}
	add(append([]byte{0x51, 32}, x...), tap(7, p), pair{0x17, nil, p[1:]}, pair{0x18, nil, root})
	return d, values, scripts
}

func TestEveryKindOfInputIsSignedAndHolds(t *testing.T) {
	w, other := newTree(t, "kinds", "m/48h/0h/0h"), newTree(t, "other", "m/48h/0h/0h")
	d, values, scripts := kinds(t, w, other)
	d.pay(70_000_000, stranger("shop"))
	p := parse(t, d.bytes(), w.ask(t))
	if len(p.Tasks()) != len(values) {
		t.Fatalf("got %d tasks, want %d", len(p.Tasks()), len(values))
	}
	sigs := signAll(p, w.sign(t))
	out, err := p.Assemble(sigs)
	if err != nil {
		t.Fatal(err)
	}
	signed, complete, err := bitcoin.Extract(out)
	if err != nil || !complete {
		t.Fatalf("extract: %v, %v", complete, err)
	}
	tx := runs(t, signed, d.coins(values, scripts))
	weight := int64(3*tx.SerializeSizeStripped() + tx.SerializeSize())
	if size := (weight + 3) / 4; p.Intent().Fee.Size < size || p.Intent().Fee.Size > size+6 {
		t.Errorf("estimated %d vB, got %d", p.Intent().Fee.Size, size)
	}
	back, err := p.Extract(out)
	if err != nil || len(back) != len(sigs) {
		t.Fatalf("got %v, %v", back, err)
	}
	for i := range sigs {
		if back[i] != sigs[i] {
			t.Errorf("signature %d: got %x, want %x", i, back[i], sigs[i])
		}
		spoiled := append([]key.Recoverable{}, sigs...)
		spoiled[i].S[31] ^= 1
		if _, err := p.Assemble(spoiled); err == nil {
			t.Errorf("signature %d: assembled a wrong one", i)
		}
	}
	if whole, err := p.Extract(signed); err != nil || !slices.Equal(whole, sigs) {
		t.Errorf("out of the whole transaction: got %d signatures, %v", len(whole), err)
	}
	for name, change := range map[string]func(*wire.MsgTx){
		"another amount": func(t *wire.MsgTx) { t.TxOut[0].Value++ }, "another lock time": func(t *wire.MsgTx) { t.LockTime++ },
		"an input less": func(t *wire.MsgTx) { t.TxIn = t.TxIn[1:] }, "no witnesses": func(t *wire.MsgTx) {
			for _, in := range t.TxIn {
				in.Witness = nil
			}
		},
	} {
		other := tx.Copy()
		change(other)
		if _, err := p.Extract(raw(other)); !errors.Is(err, chain.ErrPayload) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	seen, err := bitcoin.Decoder{}.Inspect(out)
	if err != nil || seen.Hash != tx.TxID() || seen.Intent.Fee.Max.Cmp(p.Intent().Fee.Max) != 0 {
		t.Errorf("inspect: got %+v, %v", seen, err)
	}
	if seen, err := (bitcoin.Decoder{}).Inspect(signed); err != nil || seen.Hash != tx.TxID() || seen.Intent.Fee != nil {
		t.Errorf("inspect raw: got %+v, %v", seen, err)
	}
	for name, typ := range map[string]chain.Type{"auto": chain.Auto, "tx": chain.TypeTx} {
		if _, err := chain.Parse(bitcoin.Decoder{}, signed, chain.Ask{Type: typ}); !errors.Is(err, chain.ErrSigned) {
			t.Errorf("%s: a signed transaction: got %v", name, err)
		}
	}
}

func TestMultisigTakesTurns(t *testing.T) {
	a, b, c := newTree(t, "a", "m/48h/1h/0h/2h"), newTree(t, "b", "m/48h/1h/0h/2h"), newTree(t, "c", "m/48h/1h/0h/2h")
	path := a.child(0, 0)
	multi := multisigScript(2, a.point(path), b.point(path), c.point(path))
	var by []pair
	for _, w := range []*tree{a, b, c} {
		by = append(by, pair{6, w.point(path), w.origin(path)})
	}
	d := newDraft().spend(1_000_000, p2wsh(multi), append(by, pair{5, nil, multi})...).
		pay(400_000, stranger("shop")).
		pay(590_000, p2wsh(multi), pair{1, nil, multi}, pair{2, a.point(path), a.origin(path)}, pair{2, b.point(path), b.origin(path)})
	ask := func(w *tree) chain.Ask { q := w.ask(t); q.Network = "regtest"; return q }

	first := parse(t, d.base64(), ask(c))
	if !strings.Contains(first.Intent().Sentence, "on regtest") || first.Intent().Moves[1].Change {
		t.Errorf("got %+v", first.Intent())
	}
	wrong := signAll(first, c.sign(t))
	wrong[0].S[31] ^= 1
	if _, err := first.Assemble(wrong); err == nil {
		t.Error("a partial signature that does not hold was put in")
	}
	half, err := first.Assemble(signAll(first, c.sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	if _, complete, err := bitcoin.Extract(half); complete || err != nil {
		t.Errorf("one of two: complete %v, %v", complete, err)
	}
	if _, err := chain.Parse(bitcoin.Decoder{}, half, ask(c)); err == nil || !strings.Contains(err.Error(), "our signature is there already") {
		t.Errorf("signed twice by one: %v", err)
	}
	second := parse(t, half, ask(a))
	if !warned(second, "unproved-change") || second.Intent().Moves[1].Change {
		t.Errorf("the change of a multisig cannot be proved: %+v", second.Intent())
	}
	sigs := signAll(second, a.sign(t))
	whole, err := second.Assemble(sigs)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := second.Extract(whole); err != nil || back[0] != sigs[0] {
		t.Errorf("extract: got %x, %v, want %x", back, err, sigs)
	}
	if _, err := first.Extract(whole); err == nil {
		t.Error("extract took another payload's result")
	}
	signed, complete, err := bitcoin.Extract(whole)
	if err != nil || !complete {
		t.Fatalf("got %v, %v", complete, err)
	}
	runs(t, signed, map[wire.OutPoint]*wire.TxOut{d.tx.TxIn[0].PreviousOutPoint: {Value: 1_000_000, PkScript: p2wsh(multi)}})
	if _, err := chain.Parse(bitcoin.Decoder{}, whole, ask(b)); !errors.Is(err, chain.ErrSigned) {
		t.Errorf("a third: %v", err)
	}
}

// One account may hold more keys of a multisig than it needs.
func TestNoMoreSignaturesThanAreNeeded(t *testing.T) {
	w := newTree(t, "greedy", "m/48h/0h/0h/2h")
	multi := multisigScript(2, w.point(w.child(0, 2)), w.point(w.child(0, 0)), w.point(w.child(0, 1)))
	by := []pair{{5, nil, multi}}
	for n := range uint32(3) {
		by = append(by, pair{6, w.point(w.child(0, n)), w.origin(w.child(0, n))})
	}
	d := newDraft().spend(1_000_000, p2wsh(multi), by...).pay(990_000, stranger("shop"))
	p := parse(t, d.bytes(), w.ask(t))
	if len(p.Tasks()) != 2 {
		t.Fatalf("got %d tasks, want 2", len(p.Tasks()))
	}
	sigs := signAll(p, w.sign(t))
	out, err := p.Assemble(sigs)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := p.Extract(out); err != nil || back[0] != sigs[0] || back[1] != sigs[1] {
		t.Errorf("got %x, %v, want %x", back, err, sigs)
	}
}

// Our key in a leaf of a Taproot tree signs nothing here, even where it is also
// the internal key by name of the record.
func TestLeavesAreNotSigned(t *testing.T) {
	w, other := newTree(t, "leaf", "m/86h/0h/0h"), newTree(t, "other", "m/86h/0h/0h")
	path := w.child(0, 0)
	leaf := append(append([]byte{1}, make([]byte, 32)...), w.origin(path)...)
	d := newDraft().witnessSpend(100_000, script(t, w.point(path), bitcoin.P2TR), pair{0x16, w.point(path)[1:], leaf}).pay(90_000, stranger("shop"))
	if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), "nothing to sign") {
		t.Errorf("a key in a leaf: got %v", err)
	}
	d = newDraft().witnessSpend(100_000, script(t, other.point(path), bitcoin.P2TR), pair{0x16, w.point(path)[1:], leaf}).
		witnessSpend(50_000, script(t, w.point(path), bitcoin.P2TR), pair{0x16, w.point(path)[1:], append([]byte{0}, w.origin(path)...)}).pay(90_000, stranger("shop"))
	if p := parse(t, d.bytes(), w.ask(t)); len(p.Tasks()) != 1 || !warned(p, "foreign-inputs") {
		t.Errorf("got %d tasks, %+v", len(p.Tasks()), p.Intent().Warnings)
	}
	// What a Taproot signature of ours covers is proved; a P2WSH input beside it is
	// held to its previous transaction all the same.
	d.witnessSpend(7000, stranger("x"))
	if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), "input 2: its amount is only claimed") {
		t.Errorf("a segwit input without its transaction: got %v", err)
	}
}

func TestUncompressedKeysAreNotForSegwit(t *testing.T) {
	w, other := newTree(t, "old", "m/48h/0h/0h/2h"), newTree(t, "other", "m/48h/0h/0h/2h")
	path := w.child(0, 0)
	pub, err := other.node(path).ECPubKey()
	if err != nil {
		t.Fatal(err)
	}
	multi := slices.Concat([]byte{0x51, 33}, w.point(path), []byte{65}, pub.SerializeUncompressed(), []byte{0x52, 0xae})
	by := pair{6, w.point(path), w.origin(path)}
	d := newDraft().spend(1_000_000, p2wsh(multi), by, pair{5, nil, multi}).pay(990_000, stranger("shop"))
	if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), "keys that are not compressed") {
		t.Errorf("P2WSH: got %v", err)
	}
	d = newDraft().spend(1_000_000, p2sh(multi), by, pair{4, nil, multi}).pay(990_000, stranger("shop"))
	p := parse(t, d.bytes(), w.ask(t))
	if _, err := p.Assemble(signAll(p, w.sign(t))); err != nil {
		t.Errorf("P2SH: %v", err)
	}
}

func TestReadingNeedsNoKey(t *testing.T) {
	w := newTree(t, "reading", "m/84h/0h/0h")
	p := parse(t, payment(t, w).bytes(), chain.Ask{})
	if moves := p.Intent().Moves; moves[0].Change || moves[1].Change {
		t.Errorf("change without a key: %+v", moves)
	}
	if _, err := p.Assemble(signAll(p, func(chain.Task) key.Recoverable { return key.Recoverable{} })); err == nil {
		t.Error("assembled what was only read")
	}
	point, err := testSigner.Public().Secp256k1()
	if err != nil {
		t.Fatal(err)
	}
	p = parse(t, ofKey(t, bitcoin.P2TR, append([]byte{2 + point[64]&1}, point[1:33]...)).bytes(), chain.Ask{})
	if _, err := p.Assemble(signAll(p, testSigner.SignTask)); err == nil {
		t.Error("assembled what was only read, by the right key")
	}
}

// abandon is the seed of the words "abandon … about" without a passphrase.
const abandon = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4"

func TestHardwareWalletReadsTheSame(t *testing.T) {
	payload, err := os.ReadFile(vectors(t, "hardware/btc-abandon-wpkh.psbt"))
	if err != nil {
		t.Fatal(err)
	}
	transcript, err := os.ReadFile(vectors(t, "hardware/btc-abandon-sign-psbt-wpkh.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// YIELD: input 0, 33 bytes of key, the signature with its sighash type.
	found := regexp.MustCompile(`<= 100021([0-9a-f]{66})(30[0-9a-f]+01)e000`).FindSubmatch(transcript)
	if found == nil {
		t.Fatal("no signature in the transcript")
	}
	w := treeOf(t, unhex(t, abandon), "m/84h/0h/0h")
	p := parse(t, payload, w.ask(t))
	der := unhex(t, string(found[2]))
	if len(p.Tasks()) != 1 || !bitcoin.VerifyECDSA(unhex(t, string(found[1])), p.Tasks()[0].Digest, der[:len(der)-1]) {
		t.Errorf("the device's signature is not over our digest %x", p.Tasks())
	}
	if moves := p.Intent().Moves; moves[0].Change || !moves[1].Change || p.Intent().Fee.Max.Int64() != 1_000_000-300_000-moves[1].Amount.Int64() {
		t.Errorf("got %+v, fee %v", moves, p.Intent().Fee.Max)
	}
}

// Good signatures do not make a script hold that asks for a key that is none.
func TestScriptsThatDoNotHoldKeepEverythingBack(t *testing.T) {
	w := newTree(t, "engine", "m/48h/0h/0h/2h")
	path, none := w.child(0, 0), append([]byte{5}, make([]byte, 32)...)
	by := pair{6, w.point(path), w.origin(path)}
	refused := 0
	for _, multi := range [][]byte{multisigScript(1, w.point(path), none), multisigScript(1, none, w.point(path))} {
		p := parse(t, newDraft().spend(1_000_000, p2wsh(multi), by, pair{5, nil, multi}).pay(990_000, stranger("shop")).bytes(), w.ask(t))
		if out, err := p.Assemble(signAll(p, w.sign(t))); err != nil && out == nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no script was executed")
	}
}

func TestExtractRefusesOtherPayloads(t *testing.T) {
	w, other := newTree(t, "kinds", "m/84h/0h/0h"), newTree(t, "other", "m/84h/0h/0h")
	d, _, _ := kinds(t, w, other)
	p := parse(t, d.pay(70_000_000, stranger("shop")).bytes(), w.ask(t))
	small := parse(t, payment(t, w).bytes(), w.ask(t))
	out, err := small.Assemble(signAll(small, w.sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string][]byte{"another PSBT": out, "itself": p.Payload(), "nothing": nil, "in another form": []byte(hex.EncodeToString(out))} {
		if _, err := p.Extract(payload); !errors.Is(err, chain.ErrPayload) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := small.Extract([]byte(hex.EncodeToString(out) + "\n")); err != nil {
		t.Errorf("the same PSBT as text: got %v", err)
	}
}
