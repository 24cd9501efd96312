package bitcoin

import (
	"bytes"
	"fmt"
	"slices"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// keyring tells our keys from others'. It believes no path that was not gone.
type keyring struct {
	self []byte // the point of the key that was asked; nil where none is named
	at   key.Path
	own  chain.Own

	gone int    // of maxGone
	tap  []byte // the x of self's own output key; see output
}

// maxGone bounds how many derivations of one payload are gone after: each costs
// two multiplications on the curve for its last step, and as many for each step
// more than the two that wallets take, which nobody else has asked for before.
const maxGone = 10_000

// ownKey is a public key that was proved to be ours.
type ownKey struct {
	point []byte   // SEC 1, compressed
	below key.Path // the way to it from the key that was asked
	full  key.Path // the same from the master key, where that is known
}

func keyringOf(ask chain.Ask) (*keyring, error) {
	k := &keyring{own: ask.Own, at: ask.Path}
	if len(ask.Public) == 0 {
		return k, nil
	}
	var err error
	k.self, err = pointOf(ask.Public)
	return k, err
}

// empty is true when somebody only reads: then nothing is ours.
func (k *keyring) empty() bool { return k.self == nil && k.own == nil }

// prove goes the way that a record names for a key, of 33 bytes or of 32 (x
// alone). It is ours when the way leads to that key; nothing is said when the way
// does not lead through the account; and where it leads to another key, somebody
// lies.
func (k *keyring) prove(named, record []byte) (found ownKey, ours bool, err error) {
	master, path := parseOrigin(record)
	if k.own == nil || len(path) > key.MaxDepth {
		return ownKey{}, false, nil
	}
	point, below, ok := k.own.Point(master, path)
	if !ok {
		return ownKey{}, false, nil
	}
	const usual = 2 // chain and index
	if k.gone += 1 + max(0, len(below)-usual); k.gone > maxGone {
		return ownKey{}, false, fmt.Errorf("more than %d derivations: split the transaction", maxGone)
	}
	if len(point) != 33 || !bytes.Equal(point, named) && !bytes.Equal(point[1:], named) {
		return ownKey{}, false, fmt.Errorf("it names key %x at our path %s, where there is another key", named, path)
	}
	return ownKey{point, below, path}, true, nil
}

// proved returns our keys among the derivations of a map: those of BIP-174 and,
// of Taproot, those that are in no leaf. others is true when a derivation names
// a key that is not ours, or one in a leaf.
func (k *keyring) proved(m fields, derivation, tapDerivation uint64) (keys []ownKey, others bool, err error) {
	for _, f := range m {
		named, record, leaves := f.data(), f.value, 0
		switch f.kind {
		case derivation:
		case tapDerivation:
			if leaves, record, err = splitTapOrigin(f.value); err != nil {
				return nil, false, err
			}
		default:
			continue
		}
		found, ours, err := k.prove(named, record)
		if err != nil {
			return nil, false, err
		}
		others = others || !ours || leaves > 0
		if ours && leaves == 0 {
			keys = append(keys, found)
		}
	}
	return keys, others, nil
}

// withSelf adds the key that was asked.
func (k *keyring) withSelf(keys []ownKey) []ownKey {
	known := func(o ownKey) bool { return bytes.Equal(o.point, k.self) }
	if k.self == nil || slices.ContainsFunc(keys, known) {
		return keys
	}
	return append(keys, ownKey{point: k.self, full: k.at})
}

// output is the x of the Taproot output key of a compressed point. That of the key
// that was asked, without scripts, is computed once for all inputs and outputs.
func (k *keyring) output(point, root []byte) ([]byte, error) {
	if root != nil || !bytes.Equal(point, k.self) {
		return outputKey(point[1:], root)
	}
	var err error
	if k.tap == nil {
		k.tap, err = outputKey(point[1:], nil)
	}
	return k.tap, err
}

// typeOf tells by which type a script is the one of a compressed point.
func (k *keyring) typeOf(script, point []byte) (AddressType, bool) {
	if version, program, ok := isWitness(script); ok && version == 1 {
		x, err := k.output(point, nil)
		return P2TR, err == nil && bytes.Equal(program, x)
	}
	return typeOfKey(script, point)
}
