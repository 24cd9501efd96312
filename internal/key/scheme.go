package key

// Scheme is how a chain wants a digest signed on secp256k1.
type Scheme uint8

// The schemes of today.
const (
	ECDSA   Scheme = iota // nonces by RFC 6979, low s
	Schnorr               // BIP-340
	Taproot               // BIP-340 by the output key of BIP-341: the key tweaked by a Merkle root, or by none
)
