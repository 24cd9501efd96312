package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

const (
	maxMoney   = 21_000_000 * 100_000_000 // satoshi
	nullIndex  = 1<<32 - 1                // of a coinbase's input
	sizeOfTxIn = 41                       // bytes, at least
)

// transaction is a transaction that was read, with its own bytes. Scripts are
// parts of raw.
type transaction struct {
	*msgTx
	raw        []byte
	body       []byte // inputs and outputs, without marker, flag and witnesses
	hasWitness bool
}

// parseTx reads a transaction in network serialization (BIP-144), whole and
// canonical. It allocates no more than the bytes there are can fill, which
// wire's own decoder does not promise.
func parseTx(raw []byte) (*transaction, error) {
	return readTx(raw, true)
}

// parseUnsignedTx reads the transaction of a PSBT: in the old serialization, so
// that one without inputs is not mistaken for the marker of BIP-144.
func parseUnsignedTx(raw []byte) (*transaction, error) {
	t, err := readTx(raw, false)
	if err != nil {
		return nil, err
	}
	if t.signed() {
		return nil, errors.New("it has a scriptSig or a witness: the transaction inside a PSBT has none")
	}
	return t, nil
}

func readTx(raw []byte, witnesses bool) (*transaction, error) {
	r := &reader{rest: raw}
	t := &transaction{msgTx: newTx(int32(r.uint32())), raw: raw}
	if witnesses && r.err == nil && len(r.rest) > 0 && r.rest[0] == 0 {
		if r.byte(); r.byte() != 1 {
			return nil, errors.New("an unknown flag behind the marker of BIP-144, or no input")
		}
		t.hasWitness = true
	}
	start := r.rest
	t.readInputs(r)
	t.readOutputs(r)
	t.body = start[:len(start)-len(r.rest)]
	if t.hasWitness {
		if some := t.readWitnesses(r); !some && r.err == nil {
			return nil, errors.New("the form with witnesses, without a witness")
		}
	}
	t.LockTime = r.uint32()
	if err := r.end(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *transaction) readInputs(r *reader) {
	count := r.compact()
	if count > uint64(len(r.rest))/sizeOfTxIn { // before anything is allocated
		r.err = errShort
		return
	}
	for range count {
		var hash hash256
		copy(hash[:], r.take(32))
		index, script := r.uint32(), r.chunk()
		addInput(t.msgTx, hash, index, script, r.uint32())
	}
}

func (t *transaction) readOutputs(r *reader) {
	count := r.compact()
	if count > uint64(len(r.rest))/9 {
		r.err = errShort
		return
	}
	for range count {
		value := int64(r.uint64())
		addOutput(t.msgTx, value, r.chunk())
	}
}

func (t *transaction) readWitnesses(r *reader) (some bool) {
	for _, in := range t.TxIn {
		in.Witness = readStack(r)
		some = some || len(in.Witness) > 0
	}
	return some
}

// readStack reads a witness: a count and as many chunks.
func readStack(r *reader) [][]byte {
	count := r.compact()
	if count > uint64(len(r.rest)) {
		r.err = errShort
		return nil
	}
	var stack [][]byte
	for range count {
		stack = append(stack, r.chunk())
	}
	return stack
}

// parseStack reads a witness and nothing behind it.
func parseStack(b []byte) ([][]byte, error) {
	r := &reader{rest: b}
	stack := readStack(r)
	return stack, r.end()
}

func appendStack(b []byte, stack [][]byte) []byte {
	b = appendCompact(b, uint64(len(stack)))
	for _, item := range stack {
		b = appendChunk(b, item)
	}
	return b
}

// id is the double SHA-256 by which inputs name the transaction; witnesses are
// not in it.
func (t *transaction) id() hash256 {
	h := sha256.New()
	h.Write(t.raw[:4])
	h.Write(t.body)
	h.Write(t.raw[len(t.raw)-4:])
	return sha256.Sum256(h.Sum(nil))
}

func (t *transaction) signed() bool {
	return slices.ContainsFunc(t.TxIn, func(in *txIn) bool { return len(in.SignatureScript) > 0 || len(in.Witness) > 0 })
}

// idText prints a transaction's id as people and explorers do, byte order turned.
func idText(id hash256) string {
	slices.Reverse(id[:])
	return fmt.Sprintf("%x", id[:])
}

// check refuses what no node would take, whatever its inputs are worth.
func (t *transaction) check() error {
	if len(t.TxIn) == 0 {
		return errors.New("transaction: no inputs")
	}
	if len(t.TxOut) == 0 {
		return errors.New("transaction: no outputs")
	}
	spent := make(map[outPoint]int, len(t.TxIn))
	for i, in := range t.TxIn {
		if first, twice := spent[in.PreviousOutPoint]; twice {
			return fmt.Errorf("input %d: spends the same coin as input %d", i, first)
		}
		if in.PreviousOutPoint.Index == nullIndex {
			return fmt.Errorf("input %d: spends no coin", i)
		}
		spent[in.PreviousOutPoint] = i
	}
	_, err := t.paid()
	return err
}

// paid sums the outputs, in satoshi.
func (t *transaction) paid() (sum int64, err error) {
	for i, out := range t.TxOut {
		if err := checkAmount(out.Value); err != nil {
			return 0, fmt.Errorf("output %d: %w", i, err)
		}
		if sum += out.Value; sum > maxMoney {
			return 0, fmt.Errorf("output %d: the outputs together are more bitcoin than there can be", i)
		}
	}
	return sum, nil
}

func checkAmount(satoshi int64) error {
	if satoshi < 0 || satoshi > maxMoney {
		return errors.New("an amount of more bitcoin than there can be")
	}
	return nil
}

// parseCoin reads a transaction output alone, as PSBT_IN_WITNESS_UTXO holds it.
func parseCoin(b []byte) (coin, error) {
	r := &reader{rest: b}
	c := coin{value: int64(r.uint64())}
	c.script = r.chunk()
	return c, r.end()
}

// coin is what an input spends.
type coin struct {
	value  int64 // satoshi
	script []byte
}

func (c coin) equal(d coin) bool { return c.value == d.value && bytes.Equal(c.script, d.script) }
