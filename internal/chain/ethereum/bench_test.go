package ethereum_test

import (
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

func benchmarkParse(b *testing.B, payload []byte) {
	ask := chain.Ask{Public: testSigner.Public()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := chain.Parse(ethereum.Decoder{}, payload, ask); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJSON(b *testing.B)    { benchmarkParse(b, txJSON()) }
func BenchmarkParseRLP(b *testing.B)     { benchmarkParse(b, rlp2(b, nil, nil, "")) }
func BenchmarkParseMessage(b *testing.B) { benchmarkParse(b, []byte("hello")) }

func BenchmarkParseToken(b *testing.B) {
	benchmarkParse(b, callJSON(abi(b, "a9059cbb", addressWord(bob), word("1"))))
}

func BenchmarkAssemble(b *testing.B) {
	p := parse(b, txJSON())
	sigs := []key.Recoverable{testSigner.Sign(p.Tasks()[0].Digest)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Assemble(sigs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecover(b *testing.B) {
	digest := make([]byte, 32)
	sig := testSigner.Sign(digest)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ethereum.Recover(digest, sig); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddress(b *testing.B) {
	a, err := ethereum.AddressOf(testSigner.Public())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_ = a.String()
	}
}
