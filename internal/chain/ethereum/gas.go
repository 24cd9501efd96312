package ethereum

import "bytes"

// Prices of gas at the newest fork.
const (
	gasTx         = 21000
	gasCreate     = 32000 // EIP-2
	gasZeroByte   = 4
	gasByte       = 16   // EIP-2028
	gasAddress    = 2400 // EIP-2930
	gasStorageKey = 1900 // EIP-2930
	gasCodeWord   = 2    // EIP-3860, for each 32 bytes of code that creates
	gasFloorToken = 10   // EIP-7623: a zero byte is one token, another four
	maxInitCode   = 49152
)

// intrinsicGas is what a transaction costs before its first instruction (Yellow
// Paper, section 6.2, with EIP-2028, 2930, 3860 and 7702).
func (t *tx) intrinsicGas() uint64 {
	zeros := uint64(bytes.Count(t.data, []byte{0}))
	others := uint64(len(t.data)) - zeros
	gas := gasTx + zeros*gasZeroByte + others*gasByte +
		uint64(t.access.addresses)*gasAddress + uint64(t.access.keys)*gasStorageKey + uint64(len(t.grants))*gasGrant
	if t.to == nil {
		gas += gasCreate + (uint64(len(t.data))+31)/32*gasCodeWord
	}
	return gas
}

// floorGas is the least that a transaction with so much data pays (EIP-7623).
func (t *tx) floorGas() uint64 {
	zeros := uint64(bytes.Count(t.data, []byte{0}))
	others := uint64(len(t.data)) - zeros
	return gasTx + (zeros+4*others)*gasFloorToken
}

// leastGas is the smallest gas limit with which a node takes the transaction.
func (t *tx) leastGas() uint64 { return max(t.intrinsicGas(), t.floorGas()) }
