// Package bitcoin says what a Bitcoin payload means: partially signed
// transactions (BIP-174, BIP-371) and signed messages (BIP-322 and the older
// form). It reads strictly, believes no amount and no path that it has not
// proved, computes the digests that are signed, and puts the signatures where
// they belong. It holds no keys, signs nothing and asks no node.
package bitcoin

// form writes bytes down as the payload was; what comes of it is written the same.
type form func([]byte) []byte

func rawForm(b []byte) []byte { return b }
