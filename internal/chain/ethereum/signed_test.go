package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

func sign(private *secp256k1.PrivateKey, digest []byte) key.Recoverable {
	compact := ecdsa.SignCompact(private, digest, false)
	return key.Recoverable{R: [32]byte(compact[1:33]), S: [32]byte(compact[33:]), V: compact[0] - 27}
}

// The example printed in EIP-155.
func TestExampleOfEIP155(t *testing.T) {
	private := secp256k1.PrivKeyFromBytes(bytes.Repeat([]byte{0x46}, 32))
	p, err := chain.Parse(ethereum.Decoder{}, []byte(example155), chain.Ask{Public: publicOf(t, private)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(p.Tasks()[0].Digest), "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"; got != want {
		t.Errorf("got digest %s, want %s", got, want)
	}
	out, err := p.Assemble([]key.Recoverable{sign(private, p.Tasks()[0].Digest)})
	if err != nil {
		t.Fatal(err)
	}
	want := "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025" +
		"a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276" +
		"a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
	if got := hex.EncodeToString(out); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The example of web3.js, eth.accounts.sign.
func TestExampleOfPersonalMessage(t *testing.T) {
	private := secp256k1.PrivKeyFromBytes(unhex(t, "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"))
	p, err := chain.Parse(ethereum.Decoder{}, []byte("Some data"), chain.Ask{Public: publicOf(t, private)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(p.Tasks()[0].Digest), "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"; got != want {
		t.Errorf("got digest %s, want %s", got, want)
	}
	out, err := p.Assemble([]key.Recoverable{sign(private, p.Tasks()[0].Digest)})
	want := "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
	if got := hex.EncodeToString(out); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if p.Intent().Text != "Some data" {
		t.Errorf("got text %q", p.Intent().Text)
	}
}

func TestSenderIsRecovered(t *testing.T) {
	payloads := map[string][]byte{
		"type 0":           unhex(t, example155),
		"type 0, no chain": unhex(t, "e9"+strings.TrimSuffix(example155[2:], "018080")),
		"type 1":           txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x1"`, "type", `"0x1"`),
		"type 2":           rlp2(t, nil, nil, ""),
	}
	for _, nonce := range "123456789abcdef" { // both recovery ids come up
		payloads["nonce "+string(nonce)] = txJSON("nonce", `"0x`+string(nonce)+`"`)
	}
	for name, payload := range payloads {
		s, err := ethereum.DecodeSigned(assembled(t, payload))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if pub, err := s.Sender(); err != nil || !bytes.Equal(pub, testSigner.Public()) {
			t.Errorf("%s: got sender %x, %v", name, pub, err)
		}
	}
}

func TestAssembleRefusesWhatIsNoSignature(t *testing.T) {
	for name, payload := range map[string][]byte{"transaction": txJSON(), "message": []byte("hello")} {
		p := parse(t, payload)
		good := testSigner.Sign(p.Tasks()[0].Digest)
		bad := good
		bad.V = 2
		if _, err := p.Assemble([]key.Recoverable{bad}); err == nil {
			t.Errorf("%s: assembled with recovery id 2", name)
		}
	}
}

func TestExtractKnowsItsOwn(t *testing.T) {
	p := parse(t, txJSON())
	for name, other := range map[string][]byte{
		"another nonce":     assembled(t, txJSON("nonce", `"0x8"`)),
		"another recipient": assembled(t, txJSON("to", `"`+bob+`"`)),
		"another chain":     assembled(t, txJSON("chainId", `"0x5"`)),
		"unsigned":          rlp2(t, nil, nil, ""),
		"nothing":           nil,
	} {
		if _, err := p.Extract(other); err == nil {
			t.Errorf("%s: extracted", name)
		}
	}
	message := parse(t, []byte("hello"))
	out := assembled(t, []byte("hello"))
	for name, wrong := range map[string][]byte{"short": out[:64], "long": append(bytes.Clone(out), 0), "v of 29": append(bytes.Clone(out[:64]), 29), "v of 26": append(bytes.Clone(out[:64]), 26)} {
		if _, err := message.Extract(wrong); err == nil {
			t.Errorf("message signature %s: extracted", name)
		}
	}
	plain := append(bytes.Clone(out[:64]), out[64]-27)
	if sigs, err := message.Extract(plain); err != nil || sigs[0].V != out[64]-27 {
		t.Errorf("recovery id 0 or 1: got %v, %v", sigs, err)
	}
}

func TestInspectShowsASignedTransaction(t *testing.T) {
	raw := assembled(t, txJSON())
	for name, payload := range map[string][]byte{"raw": raw, "hex": []byte("0x" + hex.EncodeToString(raw) + "\n")} {
		found, err := ethereum.Decoder{}.Inspect(payload)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sum := ethereum.Keccak(raw)
		if found.Hash != "0x"+hex.EncodeToString(sum[:]) || found.Intent.From == "" || !strings.HasPrefix(found.Intent.Sentence, "Send 1.5 ETH") {
			t.Errorf("%s: got %+v", name, found)
		}
	}
	for name, payload := range map[string][]byte{"unsigned": rlp2(t, nil, nil, ""), "JSON": txJSON(), "text": []byte("hello"), "nothing": nil} {
		if _, err := (ethereum.Decoder{}).Inspect(payload); err == nil {
			t.Errorf("%s: inspected", name)
		}
	}
}

func TestRecoverRefusesWhatIsNoSignature(t *testing.T) {
	digest := make([]byte, 32)
	good := testSigner.Sign(digest)
	if pub, err := ethereum.Recover(digest, good); err != nil || !bytes.Equal(pub, testSigner.Public()) {
		t.Errorf("got %x, %v", pub, err)
	}
	if _, err := ethereum.Recover(digest[:31], good); err == nil {
		t.Error("recovered from 31 bytes")
	}
	if _, err := ethereum.Recover(digest, key.Recoverable{}); err == nil {
		t.Error("recovered from zeros")
	}
}

func TestCheckIsWhatANodeAsks(t *testing.T) {
	for name, c := range map[string]struct {
		payload []byte
		chain   uint64
		want    string
	}{
		"fine":          {txJSON(), 1, ""},
		"other chain":   {txJSON(), 10, "chainId: 1, this chain has 10"},
		"too little":    {txJSON("gas", `"0x5207"`), 1, "gas: 20999 is too little, at least 21000"},
		"data floor":    {txJSON("data", `"0x`+strings.Repeat("01", 100)+`"`, "gas", `"0x6000"`), 1, "at least 25000"}, // EIP-7623
		"too much code": {txJSON("to", "", "data", `"0x`+strings.Repeat("01", 49153)+`"`, "gas", `"0xf42400"`), 1, "EIP-3860"},
	} {
		s, err := ethereum.DecodeSigned(assembled(t, c.payload))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Check(c.chain)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
