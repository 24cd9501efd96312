package bitcoin_test

import (
	"bytes"
	"testing"

	"keyward/internal/chain/bitcoin"
)

// Another's input may be satisfied by a long witness while we are asked, and by a
// short one when it is sent: what was a fee of 2 sat/vB is then one of hundreds.
func TestForeignWitnessesMakeNoFeeLookSmall(t *testing.T) {
	w := newTree(t, "victim", "m/84h/0h/0h")
	from := w.child(0, 5)
	size := func(final ...pair) int64 {
		loose := []byte{0x6d, 0x6d, 0x51} // OP_2DROP OP_2DROP OP_1: whoever spends it chooses what is dropped
		d := newDraft().spend(100_000_000, script(t, w.point(from), bitcoin.P2WPKH), pair{6, w.point(from), w.origin(from)})
		if final[0].kind == 7 {
			d.spend(1000, p2sh(loose), final...)
		} else {
			d.spend(1000, p2wsh(loose), final...)
		}
		return parse(t, d.pay(50_000_000, stranger("shop")).bytes(), w.ask(t)).Intent().Fee.Size
	}
	padded := func(n int) (witness, scriptSig []byte) {
		witness = []byte{5}
		for range 4 {
			witness = chunk(witness, bytes.Repeat([]byte{1}, n))
			scriptSig = bitcoin.AppendPush(scriptSig, bytes.Repeat([]byte{3}, n))
		}
		loose := []byte{0x6d, 0x6d, 0x51}
		return chunk(witness, loose), bitcoin.AppendPush(scriptSig, loose)
	}
	long, longSig := padded(500)
	short, shortSig := padded(2)
	for name, c := range map[string][2]int64{
		"witness":   {size(pair{8, nil, long}), size(pair{8, nil, short})},
		"scriptSig": {size(pair{7, nil, longSig}), size(pair{7, nil, shortSig})},
	} {
		if c[0] > c[1]+110 {
			t.Errorf("%s: padded it counts as %d vB, sent as %d", name, c[0], c[1])
		}
	}
}

// What a final multisig reveals cannot be shortened, and counts whole.
func TestFinalMultisigCountsWhole(t *testing.T) {
	w, other := newTree(t, "victim", "m/84h/0h/0h"), newTree(t, "cosigner", "m/48h/0h/0h")
	from, theirs := w.child(0, 5), other.child(0, 1)
	multi := multisigScript(1, other.point(theirs), other.point(other.child(0, 2)))
	build := func(mine ...pair) *draft {
		return newDraft().spend(100_000_000, script(t, w.point(from), bitcoin.P2WPKH), mine...).
			spend(100_000, p2wsh(multi), pair{5, nil, multi}, pair{6, other.point(theirs), other.origin(theirs)}).
			pay(100_000_000, stranger("shop"))
	}
	d := build(pair{6, w.point(from), w.origin(from)})
	open := parse(t, d.bytes(), w.ask(t)).Intent().Fee.Size
	p := parse(t, d.bytes(), other.ask(t))
	half, err := p.Assemble(signAll(p, other.sign(t)))
	if err != nil {
		t.Fatal(err)
	}
	final := parse(t, half, w.ask(t)).Intent().Fee.Size
	if final > open || final < open-1 {
		t.Errorf("open it counts as %d vB, final as %d", open, final)
	}
}
