package ethereum_test

import (
	"bytes"
	"strings"
	"testing"

	"keyward/internal/chain/ethereum"
)

func TestSelectorsAreHashesOfTheirNames(t *testing.T) {
	for _, m := range ethereum.Methods {
		sum := ethereum.Keccak([]byte(m.Name()))
		if !bytes.Equal(sum[:4], m.Selector()) {
			t.Errorf("%s: got selector %x, want %x", m.Name(), m.Selector(), sum[:4])
		}
		inside := m.Name()[strings.IndexByte(m.Name(), '(')+1 : len(m.Name())-1]
		if got := strings.Join(m.Kinds(), ","); got != inside {
			t.Errorf("%s: got parameters %s", m.Name(), got)
		}
	}
}

// Whatever a contract might read in its own way, nobody here claims to know.
func TestLooseCallDataIsBlind(t *testing.T) {
	to, n := addressWord(bob), word("1")
	dirty := "01" + to[2:]
	withData := func(tail ...string) []byte {
		return abi(t, "b88d4fde", append([]string{addressWord(alice), to, n}, tail...)...)
	}
	for name, data := range map[string][]byte{
		"selector alone":         abi(t, "a9059cbb"),
		"argument missing":       abi(t, "a9059cbb", to),
		"one byte short":         abi(t, "a9059cbb", to, n)[:67],
		"one byte more":          abi(t, "a9059cbb", to, n, "00"),
		"one word more":          abi(t, "a9059cbb", to, n, n),
		"dirty address":          abi(t, "a9059cbb", dirty, n),
		"dirty owner":            abi(t, "23b872dd", dirty, to, n),
		"dirty spender":          abi(t, "095ea7b3", dirty, n),
		"bool of 2":              abi(t, "a22cb465", to, word("2")),
		"dirty bool":             abi(t, "a22cb465", to, "01"+n[2:]),
		"offset missing":         withData(),
		"offset into the head":   withData(word("60"), word("")),
		"offset with a gap":      withData(word("a0"), word(""), word("")),
		"offset far":             withData(word("ffffffff"), word("")),
		"offset huge":            withData(strings.Repeat("f", 64), word("")),
		"length missing":         withData(word("80")),
		"length beyond the end":  withData(word("80"), word("21"), word("")),
		"length huge":            withData(word("80"), strings.Repeat("f", 64), word("")),
		"length near 2^31":       withData(word("80"), word("7fffffff"), word("")),
		"padding not zero":       withData(word("80"), word("1"), "00"+strings.Repeat("f", 62)),
		"padding missing":        withData(word("80"), word("1"), "ff"),
		"word after the padding": withData(word("80"), word(""), word("")),
		"unknown selector":       abi(t, "39509351", to, n),
	} {
		in := parse(t, callJSON(data)).Intent()
		if !in.Blind || in.Call.Decoded || in.Call.Name != "" || len(in.Moves)+len(in.Allowances) != 0 {
			t.Errorf("%s: got %q, want it blind", name, in.Sentence)
		}
	}
}
