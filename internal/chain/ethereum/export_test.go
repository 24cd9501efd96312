package ethereum

import (
	"math/big"

	"keyward/internal/key"
)

// What the tests of package ethereum_test see beside the exported names.

type (
	Item   = item
	Value  = value
	Method = method
)

var (
	NextItem    = nextItem
	CheckRLP    = checkRLP
	AppendBytes = appendBytes
	AppendList  = appendList
	AppendBig   = appendBig
	Keccak      = keccak
	Methods     = methods
	DecodeArgs  = decodeArgs
	Resembles   = resemblesTx
)

func (i item) IsList() bool   { return i.list }
func (i item) Body() []byte   { return i.body }
func (m method) Name() string { return m.name }

func (m method) Params() []param { return m.params }

func (m method) Selector() []byte { return m.selector[:] }
func (m method) Kinds() (all []string) {
	for _, p := range m.params {
		all = append(all, p.kind)
	}
	return all
}

// EncodeArgs is the ABI's one strict encoding of args, the way back of decodeArgs.
func (m method) EncodeArgs(args []value) []byte {
	var head, tail []byte
	for i, p := range m.params {
		w := make([]byte, word)
		switch p.kind {
		case "address":
			copy(w[12:], args[i].address[:])
		case "bool":
			if args[i].flag {
				w[31] = 1
			}
		case "uint256[]":
			new(big.Int).SetInt64(int64(len(m.params)*word + len(tail))).FillBytes(w)
			tail = append(tail, new(big.Int).SetInt64(int64(len(args[i].numbers))).FillBytes(make([]byte, word))...)
			for _, n := range args[i].numbers {
				tail = append(tail, n.FillBytes(make([]byte, word))...)
			}
		case "bytes":
			new(big.Int).SetInt64(int64(len(m.params)*word + len(tail))).FillBytes(w)
			n := make([]byte, word)
			new(big.Int).SetInt64(int64(len(args[i].data))).FillBytes(n)
			tail = append(append(tail, n...), args[i].data...)
			for len(tail)%word != 0 {
				tail = append(tail, 0)
			}
		default:
			args[i].number.FillBytes(w)
		}
		head = append(head, w...)
	}
	return append(head, tail...)
}

// Reencode encodes a decoded transaction afresh from its fields.
func (s *Signed) Reencode() []byte {
	sig := s.sig
	raw, err := s.tx.envelope().assemble([]key.Recoverable{sig})
	if err != nil {
		panic(err)
	}
	return raw
}
