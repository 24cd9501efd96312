package ethereum

import (
	"errors"
	"fmt"
)

func (q *quantities) accessList(entries []entryJSON) accessList {
	var list accessList
	for _, e := range entries {
		a := q.address("accessList.address", e.Address)
		if a == nil {
			q.fail("accessList.address", errors.New("missing"))
			return list
		}
		keys := make([]byte, 0, 33*len(e.StorageKeys))
		for _, s := range e.StorageKeys {
			b, err := parseBytes(s)
			if err == nil && len(b) != 32 {
				err = fmt.Errorf("key of %d bytes, want 32", len(b))
			}
			if err != nil {
				q.fail("accessList.storageKeys", err)
				return list
			}
			keys = appendBytes(keys, b)
		}
		pair := appendList(appendBytes(nil, a[:]), keys)
		list.content = appendList(list.content, pair)
		list.addresses++
		list.keys += len(e.StorageKeys)
	}
	return list
}

func (q *quantities) blobHashes(hashes *[]string) (b blobHashes) {
	const name = "blobVersionedHashes"
	if hashes == nil {
		q.fail(name, errors.New("missing: add the versioned hash of each blob"))
		return b
	}
	for _, s := range *hashes {
		hash, err := parseBytes(s)
		if err == nil {
			err = b.add(hash)
		}
		if err != nil {
			q.fail(name, err)
			return b
		}
	}
	return b
}

// grants reads authorizations, each with the signature of its authority.
func (q *quantities) grants(entries []grantJSON) []authorization {
	const name, add = "authorizationList", "every authorization is signed by whose account it is, and has chainId, address, nonce, yParity, r and s"
	all := make([]authorization, 0, len(entries))
	for _, e := range entries {
		a := authorization{chainID: q.big(name+".chainId", e.ChainID, add), nonce: q.uint64(name+".nonce", e.Nonce, add)}
		if delegate := q.address(name+".address", e.Address); delegate != nil {
			a.address = *delegate
		} else {
			q.present(name+".address", nil, add)
		}
		parity := q.uint64(name+".yParity", e.YParity, add)
		if parity > 255 {
			q.fail(name+".yParity", errors.New("more than 8 bits"))
		}
		a.yParity = byte(parity)
		a.r, a.s = q.word(name+".r", e.R, add), q.word(name+".s", e.S, add)
		all = append(all, a)
	}
	return all
}

// word reads a number of 256 bits: canonical hex, or all 32 bytes, as those
// write it who signed.
func (q *quantities) word(name string, s *string, add string) (w [32]byte) {
	if s != nil && len(*s) == len("0x")+64 {
		b, err := parseBytes(*s)
		if err != nil {
			q.fail(name, err)
		}
		copy(w[:], b)
		return w
	}
	q.big(name, s, add).FillBytes(w[:])
	return w
}
