package bitcoin

import (
	"fmt"
)

var sighashNames = map[uint32]string{
	sighashDefault:                      "default",
	sighashAll:                          "all",
	sighashNone:                         "none",
	sighashSingle:                       "single",
	sighashAll | sighashAnyoneCanPay:    "all|anyonecanpay",
	sighashNone | sighashAnyoneCanPay:   "none|anyonecanpay",
	sighashSingle | sighashAnyoneCanPay: "single|anyonecanpay",
}

// checkSighash refuses types that no rule gives a meaning; 0 is Taproot's alone.
func checkSighash(kind uint32, taproot bool) error {
	if _, ok := sighashNames[kind]; !ok || kind == sighashDefault && !taproot {
		return fmt.Errorf("sighash type 0x%02x does not exist here", kind)
	}
	return nil
}

// coversAll tells whether a signature binds all inputs and all outputs.
func coversAll(kind uint32) bool { return kind == sighashAll || kind == sighashDefault }

// coversOutputs tells whether a signature binds all outputs.
func coversOutputs(kind uint32) bool { return coversAll(kind &^ sighashAnyoneCanPay) }

// sighashOf is the type that signatures of an input shall have.
func (p *psbt) sighashOf(i int, taproot bool) (uint32, error) {
	kind := sighashAll
	if taproot {
		kind = sighashDefault
	}
	if v, ok := p.in[i].find(inSighashType); ok {
		kind = (&reader{rest: v}).uint32()
	}
	if err := checkSighash(kind, taproot); err != nil {
		return 0, err
	}
	if kind&^sighashAnyoneCanPay == sighashSingle && i >= len(p.tx.TxOut) {
		return 0, fmt.Errorf("sighash type %s, but there is no output %d", sighashNames[kind], i)
	}
	return kind, nil
}
