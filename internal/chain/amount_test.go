package chain_test

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyward/internal/chain"
)

func TestUnitsAreExact(t *testing.T) {
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	for _, c := range []struct {
		n        string
		decimals int
		want     string
	}{
		{"0", 18, "0"}, {"1", 18, "0.000000000000000001"}, {"1500000000000000000", 18, "1.5"}, {"1000000000000000000", 18, "1"},
		{"10", 18, "0.00000000000000001"}, {"123456789", 6, "123.456789"}, {"100", 2, "1"}, {"101", 2, "1.01"}, {"7", 0, "7"}, {"7", -1, "7"},
		{"-5", 1, "-0.5"}, {"-50", 1, "-5"}, {"-5", 3, "-0.005"},
		{most.String(), 18, "115792089237316195423570985008687907853269984665640564039457.584007913129639935"},
	} {
		n, ok := new(big.Int).SetString(c.n, 10)
		if !ok {
			t.Fatal(c.n)
		}
		if got := chain.FormatUnits(n, c.decimals); got != c.want {
			t.Errorf("%s with %d decimals: got %s, want %s", c.n, c.decimals, got, c.want)
		}
		if n.String() != c.n {
			t.Errorf("%s was changed to %s", c.n, n)
		}
	}
}

func TestUnitsCanBeReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "n"))
		decimals := rapid.IntRange(0, 40).Draw(t, "decimals")
		whole, fraction, _ := strings.Cut(chain.FormatUnits(n, decimals), ".")
		digits := whole + fraction + strings.Repeat("0", decimals-len(fraction))
		back, ok := new(big.Int).SetString(digits, 10)
		if !ok || back.Cmp(n) != 0 {
			t.Fatalf("got %s, want %s", digits, n)
		}
	})
}

func TestAmountsAreNamed(t *testing.T) {
	n := big.NewInt(1500000)
	for _, c := range []struct {
		asset chain.Asset
		want  string
	}{
		{chain.Asset{ID: "eip155:1/erc20:0xa0", Symbol: "USDC", Decimals: 6}, "1.5 USDC"},
		{chain.Asset{ID: "eip155:1/erc20:0xa0", Decimals: 6}, "1.5 of eip155:1/erc20:0xa0"},
		{chain.Asset{ID: "eip155:1/erc20:0xa0", Decimals: -1}, "1500000 base units of eip155:1/erc20:0xa0"},
		{chain.Asset{ID: "eip155:1/erc20:0xa0", Symbol: "USDC", Decimals: -1}, "1500000 base units of USDC"},
	} {
		if got := c.asset.Format(n); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
