package bitcoin

import (
	"bytes"
	"crypto/sha256"
	"slices"
)

// Opcodes of the scripts that are read or written here.
const (
	op0             = 0x00
	opPushData1     = 0x4c
	opPushData2     = 0x4d
	op1             = 0x51
	op16            = 0x60
	opReturn        = 0x6a
	opDup           = 0x76
	opEqual         = 0x87
	opEqualVerify   = 0x88
	opHash160       = 0xa9
	opCheckSig      = 0xac
	opCheckMultisig = 0xae
)

func payKeyHash(hash []byte) []byte {
	return slices.Concat([]byte{opDup, opHash160, 20}, hash, []byte{opEqualVerify, opCheckSig})
}

func isPayKeyHash(s []byte) ([]byte, bool) {
	ok := len(s) == 25 && bytes.HasPrefix(s, []byte{opDup, opHash160, 20}) && bytes.HasSuffix(s, []byte{opEqualVerify, opCheckSig})
	if !ok {
		return nil, false
	}
	return s[3:23], true
}

func payScriptHash(hash []byte) []byte {
	return slices.Concat([]byte{opHash160, 20}, hash, []byte{opEqual})
}

func isPayScriptHash(s []byte) ([]byte, bool) {
	if len(s) != 23 || s[0] != opHash160 || s[1] != 20 || s[22] != opEqual {
		return nil, false
	}
	return s[2:22], true
}

// payWitness is the script of a witness version and program (BIP-141).
func payWitness(version byte, program []byte) []byte {
	op := byte(op0)
	if version > 0 {
		op = op1 + version - 1
	}
	return slices.Concat([]byte{op, byte(len(program))}, program)
}

func isWitness(s []byte) (version byte, program []byte, ok bool) {
	if len(s) < 4 || len(s) > 42 || int(s[1]) != len(s)-2 {
		return 0, nil, false
	}
	switch {
	case s[0] == op0:
		return 0, s[2:], true
	case s[0] >= op1 && s[0] <= op16:
		return s[0] - op1 + 1, s[2:], true
	}
	return 0, nil, false
}

// isData finds outputs that nobody can ever spend.
func isData(s []byte) bool { return len(s) > 0 && s[0] == opReturn }

func witnessScriptHash(script []byte) []byte {
	sum := sha256.Sum256(script)
	return payWitness(0, sum[:])
}

// multisig is m of n public keys, in the order in which their signatures stand.
type multisig struct {
	m    int
	keys [][]byte
}

// isMultisig reads OP_m key… OP_n OP_CHECKMULTISIG with 1 to 16 keys of 33 or 65
// bytes, and nothing else.
func isMultisig(s []byte) (multisig, bool) {
	if len(s) < 3 || s[len(s)-1] != opCheckMultisig {
		return multisig{}, false
	}
	m, n := int(s[0])-op1+1, int(s[len(s)-2])-op1+1
	rest := s[1 : len(s)-2]
	var keys [][]byte
	for len(rest) > 0 {
		size := int(rest[0])
		if size != 33 && size != 65 || len(rest) <= size {
			return multisig{}, false
		}
		keys = append(keys, rest[1:1+size])
		rest = rest[1+size:]
	}
	if m < 1 || m > n || n > 16 || n != len(keys) {
		return multisig{}, false
	}
	return multisig{m, keys}, true
}

// appendPush appends the one minimal push of data that is no number.
func appendPush(s, data []byte) []byte {
	switch n := len(data); {
	case n == 0:
		return append(s, op0)
	case n < opPushData1:
		s = append(s, byte(n))
	case n < 1<<8:
		s = append(s, opPushData1, byte(n))
	default:
		s = append(s, opPushData2, byte(n), byte(n>>8))
	}
	return append(s, data...)
}

// pushes reads a script of nothing but pushes as appendPush writes them.
func pushes(s []byte) (items [][]byte, ok bool) {
	r := &reader{rest: s}
	for len(r.rest) > 0 && r.err == nil {
		size := uint64(r.byte())
		switch size {
		case opPushData1:
			size = uint64(r.byte())
		case opPushData2:
			low := uint64(r.byte())
			size = low | uint64(r.byte())<<8
		default:
			if size > opPushData1 {
				return nil, false
			}
		}
		items = append(items, r.take(size))
	}
	var again []byte
	for _, item := range items {
		again = appendPush(again, item)
	}
	return items, r.err == nil && bytes.Equal(again, s)
}
