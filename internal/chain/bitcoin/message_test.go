package bitcoin_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/chaintest"
	"keyward/internal/key"
	"keyward/internal/keystore"
)

type messageVector struct {
	Message     string
	PrivateKeys []string `json:"private_keys"`
	Address     string
	Type        string
	Signatures  []string `json:"bip322_signatures"`
	LockTime    uint32   `json:"lock_time"`
	Sequence    uint32
	Description string
	Signature   string
}

type messageVectors struct {
	TxHashes []struct {
		Message, Address string
		MessageHash      string `json:"message_hash"`
		ToSpend          string `json:"to_spend_tx_hash"`
		ToSign           string `json:"to_sign_tx_hash"`
	} `json:"tx_hashes"`
	Simple, Full, Error []messageVector
	Funds               []messageVector `json:"proof_of_funds"`
}

func TestGenericMessageVectors(t *testing.T) {
	valid, wrong, signed := 0, 0, 0
	for _, name := range []string{"basic-test-vectors.json", "generated-test-vectors.json"} {
		var v messageVectors
		readJSON(t, "bips/bip-0322/"+name, &v)
		for _, c := range v.TxHashes {
			script, err := bitcoin.ParseAddress(c.Address, bitcoin.Main)
			if err != nil {
				t.Fatal(err)
			}
			spend, sign := bitcoin.IDs([]byte(c.Message), script)
			if hash := hex.EncodeToString(bitcoin.MessageHash([]byte(c.Message))); hash != c.MessageHash || spend != c.ToSpend || sign != c.ToSign {
				t.Errorf("%q: got %s, %s, %s", c.Message, hash, spend, sign)
			}
		}
		for _, c := range slices.Concat(v.Simple, v.Full) {
			for _, sig := range c.Signatures {
				lock, err := bitcoin.VerifyMessage(c.Address, []byte(c.Message), sig, bitcoin.Main)
				if err != nil || lock != (bitcoin.Lock{Time: c.LockTime, Age: c.Sequence}) {
					t.Errorf("%s %q: got %+v, %v", c.Type, c.Message, lock, err)
				}
				valid++
			}
			if !strings.Contains(c.Type, "multisig") && !strings.Contains(c.Type, "lock") && signsAgain(t, c) {
				signed++
			}
		}
		for _, c := range v.Error {
			if _, err := bitcoin.VerifyMessage(c.Address, []byte(c.Message), c.Signature, bitcoin.Main); !errors.Is(err, chain.ErrPayload) {
				t.Errorf("%s: got %v", c.Description, err)
			}
			wrong++
		}
		for _, c := range v.Funds {
			if _, err := bitcoin.VerifyMessage(c.Address, []byte(c.Message), c.Signatures[0], bitcoin.Main); err == nil || !strings.Contains(err.Error(), "proof of funds") {
				t.Errorf("proof of funds: got %v", err)
			}
		}
	}
	if valid < 20 || wrong < 36 || signed < 8 {
		t.Errorf("verified %d, refused %d, signed %d", valid, wrong, signed)
	}
}

// at is a path whose purpose chooses the type of a vector's address.
func at(typ string) key.Path {
	purpose := map[string]uint32{"p2pkh": 44, "p2sh-p2wpkh": 49, "p2wpkh": 84, "p2tr": 86}[typ]
	return key.Path{purpose + key.Hardened, key.Hardened, key.Hardened, 0, 0}
}

// signsAgain signs a vector's message with its key, and has it verified.
func signsAgain(t *testing.T, c messageVector) bool {
	b, _, err := base58.CheckDecode(c.PrivateKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	signer := chaintest.SignerOf(b[:32])
	ask := chain.Ask{Type: chain.TypeMsg, Public: signer.Public(), Path: at(c.Type)}
	p := parse(t, []byte(c.Message), ask)
	if p.Intent().From != c.Address {
		t.Errorf("%s: got address %s, want %s", c.Type, p.Intent().From, c.Address)
	}
	sigs := signAll(p, signer.SignTask)
	out, err := p.Assemble(sigs)
	if err != nil {
		t.Fatalf("%s: %v", c.Type, err)
	}
	if _, err := bitcoin.VerifyMessage(c.Address, []byte(c.Message), string(out), bitcoin.Main); err != nil {
		t.Errorf("%s: %v", c.Type, err)
	}
	if _, err := bitcoin.VerifyMessage(c.Address, []byte(c.Message+" "), string(out), bitcoin.Main); err == nil {
		t.Errorf("%s: another message verifies", c.Type)
	}
	back, err := p.Extract(out)
	if err != nil || back[0] != sigs[0] {
		t.Fatalf("%s: got %x, %v, want %x", c.Type, back, err, sigs)
	}
	if err := keystore.VerifyTask(signer.Public(), p.Tasks()[0], back[0]); err != nil {
		t.Errorf("%s: %v", c.Type, err)
	}
	return true
}

func TestOlderMessageOfAHardwareWallet(t *testing.T) {
	b, err := os.ReadFile(vectors(t, "hardware/trezor-t1-btc-signmessage.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// MessageSignature: field 1 the address, field 2 the signature.
	found := regexp.MustCompile(`<= MessageSignature 40 0a2a([0-9a-f]{84})1241([0-9a-f]{130})`).FindSubmatch(b)
	if found == nil {
		t.Fatal("no signature in the transcript")
	}
	address := string(unhex(t, string(found[1])))
	sig := base64.StdEncoding.EncodeToString(unhex(t, string(found[2])))
	if _, err := bitcoin.VerifyMessage(address, []byte("hello keyward"), sig, bitcoin.Main); err != nil {
		t.Error(err)
	}
	if _, err := bitcoin.VerifyMessage(address, []byte("hello keywarD"), sig, bitcoin.Main); err == nil {
		t.Error("another message verifies")
	}
	for header, want := range map[byte]bool{27: false, 31: true, 35: false, 39: true} {
		raw := unhex(t, string(found[2]))
		raw[0] = header + (raw[0]-27)%4
		_, err := bitcoin.VerifyMessage(address, []byte("hello keyward"), base64.StdEncoding.EncodeToString(raw), bitcoin.Main)
		if (err == nil) != want {
			t.Errorf("header %d: got %v, want %v", raw[0], err, want)
		}
	}
}

func TestMessagesAreForOneAddress(t *testing.T) {
	w := newTree(t, "message", "m/84h/0h/0h")
	if _, err := chain.Parse(bitcoin.Decoder{}, []byte("hello"), w.ask(t)); err == nil || !strings.Contains(err.Error(), "m/84h/0h/0h/0/0") {
		t.Errorf("an account: got %v", err)
	}
	leaf := newTree(t, "message", "m/84h/1h/0h/0/3")
	p := parse(t, []byte("hello"), leaf.ask(t))
	if in := p.Intent(); in.Text != "hello" || !strings.HasPrefix(in.From, "tb1q") || !strings.Contains(in.Sentence, in.From) || in.Chain != "" {
		t.Errorf("got %+v", in)
	}
	if in := parse(t, []byte("hello"), chain.Ask{}).Intent(); in.From != "" || in.Text != "hello" {
		t.Errorf("without a key: got %+v", in)
	}
	if !warned(parse(t, []byte{1, 2}, leaf.ask(t)), "unprintable") {
		t.Error("no warning of what cannot be shown")
	}
}

func TestVerifierTakesOneForm(t *testing.T) {
	signer := chaintest.NewSigner("forms")
	ask := chain.Ask{Type: chain.TypeMsg, Public: signer.Public(), Path: at("p2wpkh")}
	p := parse(t, []byte("hello"), ask)
	out, err := p.Assemble(signAll(p, signer.SignTask))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no prefix": string(out[3:]), "white space inside": string(out[:10]) + "\n" + string(out[10:]), "other prefix": "ful" + string(out[3:]), "cut": string(out[:20]), "empty": "",
	} {
		if _, err := p.Extract([]byte(text)); !errors.Is(err, chain.ErrPayload) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(string(out[3:]))
	if err != nil {
		t.Fatal(err)
	}
	raw[1+1+int(raw[1])-1] = 2 // SIGHASH_NONE in place of ALL
	if _, err := bitcoin.VerifyMessage(p.Intent().From, []byte("hello"), "smp"+base64.StdEncoding.EncodeToString(raw), bitcoin.Main); err == nil {
		t.Error("a signature of another sighash type verifies")
	}
}

func TestScriptsOfMessagesHaveNoSeparator(t *testing.T) {
	for name, c := range map[string]struct {
		script []byte
		want   bool
	}{
		"plain": {[]byte{0x51}, true}, "with OP_CODESEPARATOR": {[]byte{0xab, 0x51}, false}, "with its byte in a push": {[]byte{1, 0xab}, true},
	} {
		witness := append([]byte{1, byte(len(c.script))}, c.script...)
		address, _ := bitcoin.FormatAddress(p2wsh(c.script), bitcoin.Main)
		_, err := bitcoin.VerifyMessage(address, nil, "smp"+base64.StdEncoding.EncodeToString(witness), bitcoin.Main)
		if (err == nil) != c.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
