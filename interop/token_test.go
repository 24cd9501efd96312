package interop_test

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
)

// transfer is the call data of ERC-20's transfer(address,uint256).
func transfer(to common.Address, amount *big.Int) []byte {
	data := append([]byte{0xa9, 0x05, 0x9c, 0xbb}, common.LeftPadBytes(to.Bytes(), 32)...)
	return append(data, common.LeftPadBytes(amount.Bytes(), 32)...)
}

// token is the least contract of which keyward's reading of an ERC-20 transfer
// can be wrong: it moves an amount between two balances, each kept in the storage
// slot of its address, and fails when there is not enough or for any other call.
var token = []byte{
	0x60, 0x00, 0x35, 0x60, 0xe0, 0x1c, // PUSH 0, CALLDATALOAD, PUSH 224, SHR: the selector
	0x63, 0xa9, 0x05, 0x9c, 0xbb, 0x14, // PUSH transfer, EQ
	0x60, 0x13, 0x57, // PUSH 0x13, JUMPI
	0x5f, 0x5f, 0xfd, // PUSH0, PUSH0, REVERT
	0x00,             // STOP
	0x5b,             // 0x13: JUMPDEST
	0x60, 0x24, 0x35, // PUSH 36, CALLDATALOAD: amount
	0x33, 0x54, // CALLER, SLOAD: amount, balance
	0x81, 0x81, 0x10, // DUP2, DUP2, LT: is balance below amount?
	0x60, 0x0f, 0x57, // PUSH 0x0f, JUMPI: no jump target, so it fails
	0x81, 0x90, 0x03, // DUP2, SWAP1, SUB: amount, balance - amount
	0x33, 0x55, // CALLER, SSTORE: amount
	0x60, 0x04, 0x35, // PUSH 4, CALLDATALOAD: amount, to
	0x80, 0x54, // DUP1, SLOAD: amount, to, balance
	0x82, 0x01, // DUP3, ADD: amount, to, balance + amount
	0x81, 0x55, // DUP2, SSTORE: amount, to
	0x60, 0x01, 0x5f, 0x52, // PUSH 1, PUSH0, MSTORE
	0x60, 0x20, 0x5f, 0xf3, // PUSH 32, PUSH0, RETURN: true
}
