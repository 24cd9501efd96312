package bitcoin_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/key"
)

// many is a payment of n inputs of an account.
func many(t testing.TB, w *tree, n int, typ bitcoin.AddressType) *draft {
	t.Helper()
	d := newDraft()
	for i := range n {
		path := w.child(0, uint32(i))
		point := w.point(path)
		if typ == bitcoin.P2TR {
			d.witnessSpend(100_000, script(t, point, typ), pair{0x16, point[1:], append([]byte{0}, w.origin(path)...)}, pair{0x17, nil, point[1:]})
		} else {
			d.spend(100_000, script(t, point, typ), pair{6, point, w.origin(path)})
		}
	}
	return d.pay(int64(n)*99_000, stranger("shop"))
}

func BenchmarkDecode(b *testing.B) {
	for name, c := range map[string]struct {
		purpose uint32
		n       int
		typ     bitcoin.AddressType
	}{
		"1xP2WPKH": {84, 1, bitcoin.P2WPKH}, "1000xP2WPKH": {84, 1000, bitcoin.P2WPKH}, "1000xP2PKH": {44, 1000, bitcoin.P2PKH}, "1000xP2TR": {86, 1000, bitcoin.P2TR},
	} {
		w := newTree(b, "bench", key.Path{c.purpose + key.Hardened, key.Hardened, key.Hardened}.String())
		payload, ask := many(b, w, c.n, c.typ).bytes(), w.ask(b)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := chain.Parse(bitcoin.Decoder{}, payload, ask); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAssemble(b *testing.B) {
	w := newTree(b, "bench", "m/84h/0h/0h")
	for name, n := range map[string]int{"1xP2WPKH": 1, "100xP2WPKH": 100} {
		p := parse(b, many(b, w, n, bitcoin.P2WPKH).bytes(), w.ask(b))
		sigs := signAll(p, w.sign(b))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Assemble(sigs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Twice the inputs must not cost four times as much.
func TestDecodingIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quiet second: not with -short")
	}
	w := newTree(t, "linear", "m/84h/0h/0h")
	best := func(n int) time.Duration {
		payload, ask := many(t, w, n, bitcoin.P2WPKH).bytes(), w.ask(t)
		least := time.Hour
		for range 5 {
			start := time.Now()
			parse(t, payload, ask)
			least = min(least, time.Since(start))
		}
		return least
	}
	few, lots := best(500), best(2000)
	if lots > 10*few {
		t.Errorf("500 inputs take %v, 2,000 take %v", few, lots)
	}
}

func TestLegacyHashingIsBounded(t *testing.T) {
	w := newTree(t, "bounded", "m/44h/0h/0h")
	path := w.child(0, 0)
	d := newDraft()
	for range 1200 {
		d.spend(100_000, script(t, w.point(path), bitcoin.P2PKH), pair{6, w.point(path), w.origin(path)})
	}
	d.pay(1000, stranger("shop"))
	for range 600 {
		d.pay(1000, stranger("crowd"))
	}
	if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), "too many legacy inputs") {
		t.Errorf("got %v", err)
	}
}

func TestChecksOfFinalScriptsAreBounded(t *testing.T) {
	// As many signature checks as one script may have, pushed in two ways.
	greedy := append(bytes.Repeat([]byte{0xac}, 150), 0x51)
	for name, scriptSig := range map[string][]byte{"plain": bitcoin.AppendPush(nil, greedy), "with a number": append([]byte{0x51}, bitcoin.AppendPush(nil, greedy)...)} {
		if got := bitcoin.ChecksOf(scriptSig, nil, p2sh(greedy)); got < 150 {
			t.Errorf("%s: got %d checks, want at least 150", name, got)
		}
	}
	if got := bitcoin.ChecksOf(nil, [][]byte{{1}, greedy}, p2wsh(greedy)); got < 150 {
		t.Errorf("P2WSH: got %d checks, want at least 150", got)
	}
	idle := append(bytes.Repeat(slices.Concat([]byte{0, 33, 2}, bytes.Repeat([]byte{1}, 32), []byte{0xac, 0x75}), 75), 0x51)
	d := newDraft()
	for range 270 {
		d.spend(1000, p2wsh(idle), pair{8, nil, chunk([]byte{1}, idle)})
	}
	if _, _, err := bitcoin.Extract(d.pay(1, stranger("x")).bytes()); err == nil || !strings.Contains(err.Error(), "check too many signatures") {
		t.Errorf("got %v", err)
	}
}

// echo is an account where every path leads to the same key.
type echo []byte

func (e echo) Point(_ [4]byte, path key.Path) ([]byte, key.Path, bool) { return e, path, true }

func TestDerivationsAreBounded(t *testing.T) {
	w := newTree(t, "echo", "m/84h/0h/0h")
	point := w.point(w.child(0, 5))
	d, by := newDraft(), pair{6, point, w.origin(w.child(0, 5))}
	d.spend(10_000, script(t, point, bitcoin.P2WPKH), by)
	for range 10_001 {
		d.pay(1, script(t, point, bitcoin.P2WPKH), pair{2, by.data, by.value})
	}
	_, err := chain.Parse(bitcoin.Decoder{}, d.pay(1, stranger("x")).bytes(), chain.Ask{Own: echo(point)})
	if err == nil || !strings.Contains(err.Error(), "more than 10000 derivations") {
		t.Errorf("got %v", err)
	}
}

// A step more costs as much as a derivation more.
func TestDeepDerivationsCountTheirSteps(t *testing.T) {
	w := newTree(t, "echo", "m/84h/0h/0h")
	at := append(w.child(0, 5), make(key.Path, key.MaxDepth-5)...)
	point := w.point(w.child(0, 5))
	d := newDraft()
	for range 1000 {
		d.pay(1, script(t, point, bitcoin.P2WPKH), pair{2, point, w.origin(at)})
	}
	d.spend(10_000, script(t, point, bitcoin.P2WPKH), pair{6, point, w.origin(at)})
	_, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), chain.Ask{Own: echo(point)})
	if err == nil || !strings.Contains(err.Error(), "more than 10000 derivations") {
		t.Errorf("got %v", err)
	}
}

// The bounds are those of one reading, not of a payload's life.
func TestBoundsBeginAnewWithEachAssembly(t *testing.T) {
	if testing.Short() {
		t.Skip("signs 600 inputs: not with -short")
	}
	w := newTree(t, "anew", "m/44h/0h/0h")
	p := parse(t, many(t, w, 600, bitcoin.P2PKH).bytes(), w.ask(t))
	sigs := signAll(p, w.sign(t))
	for n := range 4 {
		if _, err := p.Assemble(sigs); err != nil {
			t.Fatalf("assembly %d: %v", n, err)
		}
	}
}
