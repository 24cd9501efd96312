package ethereum

import (
	"bytes"
	"fmt"
	"math/big"

	"keyward/internal/chain"
)

// param is one parameter of a contract's function: its name in the standard and
// its type in the ABI.
type param struct{ name, kind string }

// method is a function of a contract whose effects are known.
type method struct {
	selector [4]byte // the first bytes of keccak(name)
	name     string
	params   []param
	mean     func(r *reading, v []value)
}

// methods are the functions of ERC-20, ERC-721 and ERC-1155 that move tokens or
// give power over them. A call of anything else is blind.
var methods = []method{
	{[4]byte{0xa9, 0x05, 0x9c, 0xbb}, "transfer(address,uint256)",
		[]param{{"to", "address"}, {"amount", "uint256"}}, (*reading).transfer},
	{[4]byte{0x23, 0xb8, 0x72, 0xdd}, "transferFrom(address,address,uint256)",
		[]param{{"from", "address"}, {"to", "address"}, {"amountOrTokenId", "uint256"}}, (*reading).transferFrom},
	{[4]byte{0x09, 0x5e, 0xa7, 0xb3}, "approve(address,uint256)",
		[]param{{"spender", "address"}, {"amountOrTokenId", "uint256"}}, (*reading).approve},
	{[4]byte{0x42, 0x84, 0x2e, 0x0e}, "safeTransferFrom(address,address,uint256)",
		[]param{{"from", "address"}, {"to", "address"}, {"tokenId", "uint256"}}, (*reading).safeTransferFrom},
	{[4]byte{0xb8, 0x8d, 0x4f, 0xde}, "safeTransferFrom(address,address,uint256,bytes)",
		[]param{{"from", "address"}, {"to", "address"}, {"tokenId", "uint256"}, {"data", "bytes"}}, (*reading).safeTransferFrom},
	{[4]byte{0xa2, 0x2c, 0xb4, 0x65}, "setApprovalForAll(address,bool)",
		[]param{{"operator", "address"}, {"approved", "bool"}}, (*reading).setApprovalForAll},
	{[4]byte{0xf2, 0x42, 0x43, 0x2a}, "safeTransferFrom(address,address,uint256,uint256,bytes)",
		[]param{{"from", "address"}, {"to", "address"}, {"tokenId", "uint256"}, {"amount", "uint256"}, {"data", "bytes"}}, (*reading).safeTransferAmount},
	{[4]byte{0x2e, 0xb2, 0xc2, 0xd6}, "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
		[]param{{"from", "address"}, {"to", "address"}, {"tokenIds", "uint256[]"}, {"amounts", "uint256[]"}, {"data", "bytes"}}, (*reading).safeBatchTransfer},
}

// value is one decoded argument, and how it is printed.
type value struct {
	text    string
	address Address
	number  *big.Int
	numbers []*big.Int
	flag    bool
	data    []byte
}

func (v value) print(kind string) string {
	switch kind {
	case "address":
		return v.address.String()
	case "bool":
		if v.flag {
			return "true"
		}
		return "false"
	case "bytes":
		return hexBytes(v.data)
	case "uint256[]":
		return fmt.Sprint(v.numbers)
	}
	return v.number.String()
}

const word = 32

// decodeArgs reads call data after the selector, in the one encoding that the
// ABI specification calls strict: padding is zero, tails follow in order without
// gaps, nothing is left over. Contracts read looser forms too, each in its own
// way; what we cannot read like all of them is blind.
func decodeArgs(params []param, data []byte) ([]value, bool) {
	head := len(params) * word
	if len(data) < head {
		return nil, false
	}
	tail := data[head:]
	args := make([]value, len(params))
	for i, p := range params {
		w := data[i*word : (i+1)*word]
		switch p.kind {
		case "address":
			if !allZero(w[:12]) {
				return nil, false
			}
			args[i].address = Address(w[12:])
		case "bool":
			if !allZero(w[:31]) || w[31] > 1 {
				return nil, false
			}
			args[i].flag = w[31] == 1
		case "bytes":
			offset, ok := smallWord(w)
			if !ok || offset != len(data)-len(tail) {
				return nil, false
			}
			if args[i].data, tail, ok = splitBytes(tail); !ok {
				return nil, false
			}
		case "uint256[]":
			offset, ok := smallWord(w)
			if !ok || offset != len(data)-len(tail) {
				return nil, false
			}
			if args[i].numbers, tail, ok = splitNumbers(tail); !ok {
				return nil, false
			}
		default:
			args[i].number = new(big.Int).SetBytes(w)
		}
	}
	return args, len(tail) == 0
}

// splitBytes takes one `bytes` value off the tail: length, content, zeros up to
// the next word.
func splitBytes(tail []byte) (content, rest []byte, ok bool) {
	if len(tail) < word {
		return nil, nil, false
	}
	n, ok := smallWord(tail[:word])
	padded := (n + word - 1) / word * word
	if !ok || len(tail)-word < padded {
		return nil, nil, false
	}
	tail = tail[word:]
	return tail[:n], tail[padded:], allZero(tail[n:padded])
}

// splitNumbers takes one `uint256[]` value off the tail: count, numbers.
func splitNumbers(tail []byte) (all []*big.Int, rest []byte, ok bool) {
	if len(tail) < word {
		return nil, nil, false
	}
	n, ok := smallWord(tail[:word])
	if tail = tail[word:]; !ok || len(tail)/word < n {
		return nil, nil, false
	}
	for range n {
		all, tail = append(all, new(big.Int).SetBytes(tail[:word])), tail[word:]
	}
	return all, tail, true
}

// smallWord reads a length or offset; none is beyond a payload's size.
func smallWord(w []byte) (int, bool) {
	if !allZero(w[:word-4]) {
		return 0, false
	}
	n := int(w[28])<<24 | int(w[29])<<16 | int(w[30])<<8 | int(w[31])
	return n, n <= chain.MaxPayload
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// readCall decodes the transaction's data into effects, or leaves it blind.
func (r *reading) readCall() {
	t := r.tx
	call := &chain.Call{To: r.to, Size: len(t.data)}
	r.in.Call = call
	if len(t.data) < 4 {
		return
	}
	call.Selector = hexBytes(t.data[:4])
	for _, m := range methods {
		if !bytes.Equal(m.selector[:], t.data[:4]) {
			continue
		}
		args, ok := decodeArgs(m.params, t.data[4:])
		if !ok {
			return
		}
		call.Name, call.Decoded, call.Args = m.name, true, make([]chain.Arg, len(args))
		for i, p := range m.params {
			args[i].text = args[i].print(p.kind)
			call.Args[i] = chain.Arg{Name: p.name, Type: p.kind, Value: args[i].text}
		}
		m.mean(r, args)
		return
	}
}
