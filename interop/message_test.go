package interop_test

import (
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

type messageQuestion struct {
	Message   hexutil.Bytes `json:"message"`
	Signature string        `json:"signature"`
}

type messageAnswer struct{ From, Hash string }

// TestOthersRecoverTheSignerOfMessages has keyward sign messages (EIP-191) and
// others say whose they are.
func TestOthersRecoverTheSignerOfMessages(t *testing.T) {
	k := serve(t)
	from := k.account("greeter")
	var questions []messageQuestion
	for _, text := range []string{
		"hello", "0", " two\nlines\n", "Grüße, 世界 🔑", strings.Repeat("long ", 2000), "\x00\x01\xfe\xff", "0xdeadbeef",
		`{"statement":"sign in","nonce":"8f3a"}`,
	} {
		signed := ask[struct{ Output string }](k, text, "sign", "--key", "greeter", "--type", "message", "-")
		questions = append(questions, messageQuestion{hexutil.Bytes(text), signed.Output})
		sig := hexutil.MustDecode(signed.Output)
		sig[64] -= 27
		public, err := crypto.SigToPub(accounts.TextHash([]byte(text)), sig)
		if err != nil {
			t.Errorf("%q: go-ethereum: %v", text, err)
			continue
		}
		if got := crypto.PubkeyToAddress(*public).Hex(); got != from {
			t.Errorf("%q: go-ethereum says %s, want %s", text, got, from)
		}
		k.run(text, "verify", "--key", "greeter", "--type", "message", "--signature", "hex:"+signed.Output, "-")
	}
	t.Run("viem", func(t *testing.T) {
		for i, a := range askViem[messageQuestion, messageAnswer](t, questions) {
			if want := hexutil.Encode(accounts.TextHash(questions[i].Message)); a.From != from || a.Hash != want {
				t.Errorf("%q: viem says %s, hash %s; want %s, %s", questions[i].Message, a.From, a.Hash, from, want)
			}
		}
	})
}
