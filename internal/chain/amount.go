package chain

import (
	"math/big"
	"strings"
)

// FormatUnits writes n base units as a decimal number of whole ones, exactly:
// no rounding, no exponent, no zeros at the end. Decimals of 0 or less leave n
// as it is.
func FormatUnits(n *big.Int, decimals int) string {
	if decimals <= 0 {
		return n.String()
	}
	sign, digits := "", n.String()
	if n.Sign() < 0 {
		sign, digits = "-", digits[1:]
	}
	if missing := decimals + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - decimals
	if fraction := strings.TrimRight(digits[point:], "0"); fraction != "" {
		return sign + digits[:point] + "." + fraction
	}
	return sign + digits[:point]
}

// Format writes n base units for people: "1.5 ETH", and where the asset's
// decimals are unknown "1500000 base units of eip155:1/erc20:0x…".
func (a Asset) Format(n *big.Int) string {
	switch {
	case a.Decimals < 0 && a.Symbol == "":
		return n.String() + " base units of " + a.ID
	case a.Decimals < 0:
		return n.String() + " base units of " + a.Symbol
	case a.Symbol == "":
		return FormatUnits(n, a.Decimals) + " of " + a.ID
	}
	return FormatUnits(n, a.Decimals) + " " + a.Symbol
}
