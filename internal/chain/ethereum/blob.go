package ethereum

import (
	"errors"
	"fmt"
)

// Constants of EIP-4844 and, for the number of blobs, EIP-7594.
const (
	gasPerBlob = 131072
	versionKZG = 0x01
	maxBlobs   = 6
)

// errSidecar: blobs are public data of a megabyte that no signature covers but
// by their hashes; whoever sends the transaction adds them.
var errSidecar = errors.New("transaction: this is the form for the network, with the blobs themselves: give the transaction alone, with blobVersionedHashes; whoever sends it adds the blobs")

// blobHashes are the versioned hashes of a transaction's blobs, kept encoded:
// they have a price, but no meaning to judge.
type blobHashes struct {
	content []byte // the RLP list's content, canonical
	count   int
}

func (b *blobHashes) gas() uint64 { return gasPerBlob * uint64(b.count) }

func (b *blobHashes) add(hash []byte) error {
	switch {
	case len(hash) != 32:
		return fmt.Errorf("hash of %d bytes, want 32", len(hash))
	case hash[0] != versionKZG:
		return fmt.Errorf("hash of version %#x, want 0x1 (EIP-4844)", hash[0])
	}
	b.content = appendBytes(b.content, hash)
	b.count++
	return nil
}

func readBlobHashes(f *fields) (b blobHashes) {
	const name = "blobVersionedHashes"
	list := &fields{rest: f.next(name, true)}
	for f.err == nil && len(list.rest) > 0 {
		hash := list.bytes(name)
		if list.err != nil {
			f.err = list.err
		} else if err := b.add(hash); err != nil {
			f.fail(name, err)
		}
	}
	return b
}
