package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// magic begins every PSBT (BIP-174).
const magic = "psbt\xff"

// psbt is a partially signed transaction of version 0. Version 2 (BIP-370) has
// no transaction in the global map; who teaches this package to read it makes tx
// from its fields, and all else stays as it is.
type psbt struct {
	form   form
	tx     *transaction // of PSBT_GLOBAL_UNSIGNED_TX
	global fields
	in     []fields // one for each input of tx
	out    []fields // one for each output of tx
	// previous are the transactions of PSBT_IN_NON_WITNESS_UTXO, nil where there is
	// none: each has the id that its input names, and the output that is spent.
	previous []*transaction
}

// fields is one of the maps: records in the order in which they were found.
type fields []field

// field is a record: key is its type and key data together, as it was written.
type field struct {
	kind  uint64
	key   []byte
	value []byte
}

// data is the key without its type.
func (f field) data() []byte { return f.key[compactSize(f.kind):] }

// find returns the value of the record whose key is kind and data.
func (m fields) find(kind uint64, data ...byte) ([]byte, bool) {
	key := append(appendCompact(nil, kind), data...)
	for _, f := range m {
		if bytes.Equal(f.key, key) {
			return f.value, true
		}
	}
	return nil, false
}

// all returns the records of one type.
func (m fields) all(kind uint64) []field {
	var found []field
	for _, f := range m {
		if f.kind == kind {
			found = append(found, f)
		}
	}
	return found
}

func (m fields) has(kinds ...uint64) bool {
	return slices.ContainsFunc(m, func(f field) bool { return slices.Contains(kinds, f.kind) })
}

// with returns the map with one record more, before the first one of a greater
// type: where the records are sorted, they stay so, as other software writes them.
func (m fields) with(kind uint64, data, value []byte) fields {
	f := field{kind: kind, key: append(appendCompact(nil, kind), data...), value: value}
	at := slices.IndexFunc(m, func(g field) bool {
		return g.kind > kind || g.kind == kind && bytes.Compare(g.key, f.key) > 0
	})
	if at < 0 {
		at = len(m)
	}
	return slices.Insert(slices.Clone(m), at, f)
}

// without returns the map without records that drop names.
func (m fields) without(drop func(kind uint64) bool) fields {
	return slices.DeleteFunc(slices.Clone(m), func(f field) bool { return drop(f.kind) })
}

// readText takes a PSBT out of base64, hex or binary.
func readText(payload []byte) ([]byte, form, error) {
	trimmed := bytes.TrimSpace(payload)
	switch {
	case bytes.HasPrefix(payload, []byte(magic)):
		return payload, rawForm, nil
	case bytes.HasPrefix(bytes.ToLower(trimmed[:min(len(trimmed), 10)]), encodeHex([]byte(magic))):
		raw, ok := hexText(trimmed)
		if !ok {
			return nil, nil, errors.New("it begins like a PSBT in hex, but is not all hex digits")
		}
		return raw, encodeHex, nil
	case bytes.HasPrefix(trimmed, []byte("cHNidP")):
		raw, err := decodeBase64(trimmed)
		return raw, encodeBase64, err
	}
	return nil, nil, errors.New("it does not begin with the magic bytes of BIP-174, in binary, base64 or hex")
}

// resemblesPSBT is true for whatever begins like one; it errs on that side.
func resemblesPSBT(payload []byte) bool {
	trimmed := bytes.TrimSpace(payload)
	head := bytes.ToLower(trimmed[:min(len(trimmed), 8)])
	return bytes.HasPrefix(head, []byte("psbt")) || bytes.HasPrefix(trimmed, []byte("cHNidP")) || bytes.Equal(head, []byte("70736274"))
}

// parsePSBT reads a PSBT in any of its forms, strictly: every field that is known
// has the lengths and the form of its BIP, keys are unique, nothing follows.
// What is not known is kept byte for byte.
func parsePSBT(payload []byte) (*psbt, error) {
	raw, form, err := readText(payload)
	if err != nil {
		return nil, fmt.Errorf("PSBT: %w", err)
	}
	r := &reader{rest: raw}
	if string(r.take(uint64(len(magic)))) != magic {
		return nil, errors.New("PSBT: wrong magic bytes")
	}
	p := &psbt{form: form}
	if p.global, err = readFields(r, globalFields); err != nil {
		return nil, fmt.Errorf("PSBT: global map: %w", err)
	}
	if err := p.version(); err != nil {
		return nil, fmt.Errorf("PSBT: %w", err)
	}
	for i := range p.tx.TxIn {
		m, err := readFields(r, inputFields)
		if err != nil {
			return nil, fmt.Errorf("PSBT: input %d: %w", i, err)
		}
		previous, err := p.previousOf(i, m)
		if err != nil {
			return nil, fmt.Errorf("PSBT: input %d: non-witness UTXO: %w", i, err)
		}
		p.in, p.previous = append(p.in, m), append(p.previous, previous)
	}
	for i := range p.tx.TxOut {
		m, err := readFields(r, outputFields)
		if err != nil {
			return nil, fmt.Errorf("PSBT: output %d: %w", i, err)
		}
		p.out = append(p.out, m)
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("PSBT: %w", err)
	}
	return p, nil
}

// version wants version 0, and reads its transaction.
func (p *psbt) version() error {
	if v, ok := p.global.find(globalVersion); ok {
		r := &reader{rest: v}
		if n := r.uint32(); n != 0 {
			return fmt.Errorf("version %d is not supported yet: have it converted to version 0 (BIP-174)", n)
		}
	}
	raw, ok := p.global.find(globalUnsignedTx)
	if !ok {
		return errors.New("no unsigned transaction: only version 0 (BIP-174) is supported yet")
	}
	tx, err := parseUnsignedTx(raw)
	if err != nil {
		return fmt.Errorf("unsigned transaction: %w", err)
	}
	p.tx = tx
	return nil
}

func (p *psbt) previousOf(i int, m fields) (*transaction, error) {
	raw, ok := m.find(inNonWitnessUTXO)
	if !ok {
		return nil, nil
	}
	t, err := parseTx(raw)
	if err != nil {
		return nil, err
	}
	spent := p.tx.TxIn[i].PreviousOutPoint
	if id := t.id(); id != spent.Hash {
		return nil, fmt.Errorf("it is transaction %s, but the input spends an output of %s", idText(id), idText(spent.Hash))
	}
	if uint64(spent.Index) >= uint64(len(t.TxOut)) {
		return nil, fmt.Errorf("it has %d outputs, but the input spends output %d, counted from 0", len(t.TxOut), spent.Index)
	}
	return t, nil
}

// readFields reads a map up to its separator.
func readFields(r *reader, known table) (fields, error) {
	var m fields
	seen := map[string]bool{}
	for {
		key := r.chunk()
		if r.err != nil {
			return nil, r.err
		}
		if len(key) == 0 {
			return m, nil
		}
		value := r.chunk()
		if r.err != nil {
			return nil, r.err
		}
		k := &reader{rest: key}
		f := field{kind: k.compact(), key: key, value: value}
		if k.err != nil {
			return nil, fmt.Errorf("a key whose type cannot be read: %w", k.err)
		}
		if seen[string(key)] {
			return nil, fmt.Errorf("%s: the same key twice", known.name(f.kind))
		}
		seen[string(key)] = true
		if err := known.check(f); err != nil {
			return nil, fmt.Errorf("%s: %w", known.name(f.kind), err)
		}
		m = append(m, f)
	}
}

// bytes writes the PSBT in binary.
func (p *psbt) bytes() []byte {
	b := []byte(magic)
	for _, m := range slices.Concat([]fields{p.global}, p.in, p.out) {
		for _, f := range m {
			b = appendChunk(appendChunk(b, f.key), f.value)
		}
		b = append(b, 0)
	}
	return b
}

// clone may be changed by with and without, and leaves p as it is.
func (p *psbt) clone() *psbt {
	c := *p
	c.in, c.out = slices.Clone(p.in), slices.Clone(p.out)
	return &c
}

// final tells whether an input has all that the network wants of it.
func (m fields) final() bool { return m.has(inFinalScriptSig, inFinalScriptWitness) }

// final tells it of all inputs.
func (p *psbt) final() bool {
	return !slices.ContainsFunc(p.in, func(m fields) bool { return !m.final() })
}
