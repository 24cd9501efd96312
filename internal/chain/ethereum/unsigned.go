package ethereum

import (
	"errors"
	"fmt"

	"keyward/internal/chain"
)

var errSigned = fmt.Errorf("%w: only an unsigned transaction can be signed; `decode` shows what this one does", chain.ErrSigned)

// parseRLP reads the unsigned form of a transaction, what is hashed to be signed:
// the type's own fields, or for type 0 those of EIP-155.
func parseRLP(raw []byte) (*tx, error) {
	kind, content, count, err := openEnvelope(raw)
	if err != nil {
		return nil, err
	}
	f := &fields{rest: content}
	t := &tx{kind: kind}
	switch {
	case count == itemsOf(kind):
		t.read(f)
	case count == itemsOf(kind)+signatureItems && kind != legacyTx:
		return nil, errSigned
	case count == itemsOf(legacyTx)+signatureItems && kind == legacyTx:
		t.read(f)
		t.chainID = f.uint64("chainId")
		r, s := f.bytes("r"), f.bytes("s")
		if f.err == nil && (len(r) != 0 || len(s) != 0) {
			return nil, errSigned
		}
		if f.err == nil && t.chainID == 0 {
			return nil, errors.New("chainId: 0 is no chain (EIP-155)")
		}
	default:
		return nil, fmt.Errorf("transaction of type %d: %d items, an unsigned one has %d", kind, count, itemsOf(kind))
	}
	return t, f.end()
}

func itemsOf(kind byte) int { return forms[kind].items }

// openEnvelope splits off the type of EIP-2718 and counts the list's items.
func openEnvelope(raw []byte) (kind byte, content []byte, count int, err error) {
	switch {
	case len(raw) == 0:
		return 0, nil, 0, errors.New("transaction: empty")
	case raw[0] != legacyTx && int(raw[0]) < len(forms):
		kind, raw = raw[0], raw[1:]
	case raw[0] < rlpEmpty:
		return 0, nil, 0, typeError(raw[0])
	}
	if content, err = onlyList(raw); err != nil {
		return 0, nil, 0, fmt.Errorf("transaction: %w", err)
	}
	if count, err = countItems(content); err != nil {
		return 0, nil, 0, fmt.Errorf("transaction: %w", err)
	}
	if kind == blobTx && count > 0 && content[0] >= rlpList {
		return 0, nil, 0, errSidecar
	}
	return kind, content, count, nil
}

// read takes the fields that are signed, in the order of tx.fields; the errors
// stay in f.
func (t *tx) read(f *fields) {
	form := t.form()
	if form.named {
		if t.chainID = f.uint64("chainId"); t.chainID == 0 {
			f.fail("chainId", errors.New("0 is no chain"))
		}
	}
	price := "gasPrice"
	t.nonce = f.uint64("nonce")
	if form.dynamic {
		t.tip = f.big("maxPriorityFeePerGas")
		price = "maxFeePerGas"
	}
	t.price = f.big(price)
	t.gas = f.uint64("gas")
	t.to = f.address("to")
	t.value = f.big("value")
	t.data = f.bytes("data")
	if form.named {
		t.access = readAccessList(f)
	}
	switch t.kind {
	case blobTx:
		t.blobPrice = f.big("maxFeePerBlobGas")
		t.blobs = readBlobHashes(f)
	case setCodeTx:
		t.grants = readGrants(f)
	}
}

// readAccessList checks the form of EIP-2930: pairs of an address and its
// storage keys.
func readAccessList(f *fields) accessList {
	list := accessList{content: f.next("accessList", true)}
	for rest := list.content; f.err == nil && len(rest) > 0; {
		pair, after, err := nextItem(rest)
		if err == nil && !pair.list {
			err = errors.New("want a list of pairs")
		}
		if err != nil {
			f.fail("accessList", err)
			break
		}
		rest = after
		inner := &fields{rest: pair.body}
		if inner.address("accessList.address") == nil {
			inner.fail("accessList.address", errors.New("missing"))
		}
		keys := &fields{rest: inner.next("accessList.storageKeys", true)}
		for keys.err == nil && len(keys.rest) > 0 {
			if key := keys.bytes("accessList.storageKeys"); keys.err == nil && len(key) != 32 {
				keys.fail("accessList.storageKeys", fmt.Errorf("key of %d bytes, want 32", len(key)))
			}
			list.keys++
		}
		list.addresses++
		if err := inner.end(); err != nil {
			f.fail("accessList", err)
		} else if keys.err != nil {
			f.err = keys.err
		}
	}
	return list
}
