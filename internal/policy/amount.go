package policy

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/internal/chain"
)

// asset is something that amounts are counted in.
type asset struct {
	name     string
	id       string // see assetID
	chain    string // CAIP-2
	native   bool
	decimals int
	built    bool // not declared by the author
	used     bool
	line     *yaml.Node
}

func (a *asset) format(n *big.Int) string { return chain.FormatUnits(n, a.decimals) + " " + a.name }

const maxDecimals = 36

// builtin assets need no declaration; of two names for one, messages use the
// last. Further ones are declared, so that nobody has to trust a table of ours
// for the decimals of a token.
func builtin() []*asset {
	return []*asset{
		{name: "ETH", id: nativeID("eip155:1"), chain: "eip155:1", native: true, decimals: 18, built: true},
		{name: "sat", id: nativeID(bitcoinMain), chain: bitcoinMain, native: true, decimals: 0, built: true},
		{name: "BTC", id: nativeID(bitcoinMain), chain: bitcoinMain, native: true, decimals: 8, built: true},
	}
}

// assetID is a CAIP-19 id as rules compare it: a chain has one native coin, and
// which SLIP-44 number that has is for package chain to know.
func assetID(caip19 string) string {
	if i := strings.Index(caip19, nativeMark); i >= 0 {
		return caip19[:i+len(nativeMark)]
	}
	return caip19
}

const nativeMark = "/slip44"

// nativeID is the assetID of the coin that a chain's fees are paid in.
func nativeID(chain string) string { return chain + nativeMark }

// tokenID is how package chain calls a fungible token; address in lower case.
func tokenID(chain, address string) string { return chain + "/erc20:" + address }

// parseAmount reads a decimal number of whole units of an asset into base units.
func parseAmount(s string, decimals int) (*big.Int, error) {
	whole, fraction, dot := strings.Cut(s, ".")
	switch {
	case !digits(whole) || dot && !digits(fraction) || len(s) > 120:
		return nil, fmt.Errorf("%q is not a plain decimal number such as \"5\" or \"0.05\"", clip(s))
	case len(whole) > 1 && whole[0] == '0':
		return nil, fmt.Errorf("%q: leading zeros are not allowed", clip(s))
	case len(fraction) > decimals:
		return nil, fmt.Errorf("%q has more than %d decimals", clip(s), decimals)
	}
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10)
	if !ok || n.BitLen() > 256 {
		return nil, fmt.Errorf("%q does not fit into 256 bits", clip(s))
	}
	return n, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// amountNode reads an amount from the text. YAML's floats are refused: a reader
// that goes through binary floating point would see another number.
func amountNode(n *yaml.Node, where string, a *asset) (*big.Int, error) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!int" {
		return nil, problem(n, where, "write the amount in quotes, such as \"0.05\"")
	}
	v, err := parseAmount(n.Value, a.decimals)
	if err != nil {
		return nil, problem(n, where, "amount %v", err)
	}
	return v, nil
}

// Milliseconds of the units that a duration is written in.
const (
	minute = 60_000
	hour   = 60 * minute
	day    = 24 * hour
)

// span reads a duration of whole minutes, hours or days, from one minute to at
// most limit, into ms.
func span(n *yaml.Node, where string, limit int64) (int64, error) {
	units := map[byte]int64{'m': minute, 'h': hour, 'd': day}
	s := n.Value
	if n.Kind == yaml.ScalarNode && len(s) > 1 && len(s) < 8 && units[s[len(s)-1]] != 0 && digits(s[:len(s)-1]) && s[0] != '0' {
		v, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
		if ms := v * units[s[len(s)-1]]; err == nil && ms <= limit {
			return ms, nil
		}
	}
	return 0, problem(n, where, "want a time such as 30m, 24h or 7d, at most %s", formatSpan(limit))
}

func formatSpan(ms int64) string {
	switch {
	case ms%day == 0 && ms > 2*day:
		return strconv.FormatInt(ms/day, 10) + "d"
	case ms%hour == 0:
		return strconv.FormatInt(ms/hour, 10) + "h"
	}
	return strconv.FormatInt(ms/minute, 10) + "m"
}

// interval is the set of amounts of one asset from min to max, both included;
// nil is no bound on that side.
type interval struct {
	asset    *asset
	min, max *big.Int
	rate     int64 // of a fee: the most base units for a virtual byte; 0 is no bound
}

func (v *interval) holds(s sum) bool {
	if s.unbounded {
		return v.max == nil
	}
	n := s.total
	if n == nil {
		n = zero
	}
	return (v.min == nil || v.min.Cmp(n) <= 0) && (v.max == nil || n.Cmp(v.max) <= 0)
}

// zero is never changed.
var zero = new(big.Int)

// within tells whether every amount in v is in o.
func (v *interval) within(o *interval) bool {
	switch {
	case o == nil:
		return true
	case v == nil || v.asset.id != o.asset.id:
		return false
	}
	if o.rate != 0 && (v.rate == 0 || v.rate > o.rate) {
		return false
	}
	return (o.min == nil || v.min != nil && v.min.Cmp(o.min) >= 0) && (o.max == nil || v.max != nil && v.max.Cmp(o.max) <= 0)
}

// meets tells whether some amount may be in both. Intervals of two assets can
// both hold for one payload.
func (v *interval) meets(o *interval) bool {
	if v == nil || o == nil || v.asset.id != o.asset.id {
		return true
	}
	apart := func(max, min *big.Int) bool { return max != nil && min != nil && max.Cmp(min) < 0 }
	return !apart(v.max, o.min) && !apart(o.max, v.min)
}

func (v *interval) String() string {
	if v.rate != 0 {
		bare := *v
		bare.rate = 0
		return bare.String() + " and " + strconv.FormatInt(v.rate, 10) + " sat a virtual byte"
	}
	switch {
	case v.min == nil && v.max == nil:
		return "any amount of " + v.asset.name
	case v.min == nil:
		return "up to " + v.asset.format(v.max)
	case v.max == nil:
		return "from " + v.asset.format(v.min)
	}
	return "from " + chain.FormatUnits(v.min, v.asset.decimals) + " to " + v.asset.format(v.max)
}
