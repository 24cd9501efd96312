package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"keyward/internal/chain"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

func FuzzRLP(f *testing.F) {
	for _, seed := range []string{
		"", "80", "00", "7f", "8180", "8100", "83646f67", "c0", "c883636174646f67", "b838" + strings.Repeat("61", 56), "b800", "b90000",
		"f838" + strings.Repeat("80", 56), "f800", "c7c0c1c0c3c0c1c0", strings.Repeat("c1", 40), "bfffffffffffffffff", "ff0f000000000000021111", example155,
	} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if ethereum.CheckRLP(b) != nil {
			return
		}
		it, rest, err := ethereum.NextItem(b)
		if err != nil || len(rest) != 0 {
			t.Fatalf("checked, then: %v, %d bytes left", err, len(rest))
		}
		if again := reencode(t, it); !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, whose canonical form is %x", b, again)
		}
	})
}

// FuzzUnsigned gives arbitrary bytes to the decoder as a client would.
func FuzzUnsigned(f *testing.F) {
	transfer := abi(f, "a9059cbb", addressWord(bob), word("1"))
	for _, seed := range [][]byte{
		nil, []byte("hello"), []byte("{"), []byte(`{"types":{},"domain":{}}`), txJSON(), txJSON("from", `"`+alice+`"`), callJSON(transfer),
		txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x1"`, "accessList", `[{"address":"`+alice+`","storageKeys":[]}]`),
		[]byte(example155), unhex(f, example155), rlp2(f, nil, nil, ""), rlp2(f, unhex(f, token), transfer, "f838f794"+strings.ToLower(token[2:])+"e1a0"+word("5")),
		blobJSON(), blobRLP(f), grantJSON(f, bob, 1), grantRLP(f, testSigner, testSigner), authorizationOf(bob), []byte(mail),
		assembled(f, txJSON()), {1, 0xc0}, {3, 0xc0}, {4, 0xc0}, []byte(strings.Repeat("ab", 32)), []byte("\u202e\u200b"),
	} {
		f.Add(seed)
	}
	public, d := testSigner.Public(), ethereum.Decoder{}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := chain.Parse(d, b, chain.Ask{Public: public})
		if err != nil {
			if !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
			return
		}
		effects := p.Intent().Effects()
		if len(effects) == 0 || len(p.Tasks()) != 1 {
			t.Fatalf("got %d effects, %d digests", len(effects), len(p.Tasks()))
		}
		// Any signature in range will do: recovery is not what is tested here.
		sig := key.Recoverable{R: [32]byte{31: 1}, S: [32]byte{31: 1}}
		out, err := p.Assemble([]key.Recoverable{sig})
		if err != nil {
			t.Fatalf("accepted, but not assembled: %v", err)
		}
		if p.Type() != chain.TypeTx {
			return
		}
		s, err := ethereum.DecodeSigned(out)
		if err != nil {
			t.Fatal(err)
		}
		if digest := s.Digest(); !bytes.Equal(digest[:], p.Tasks()[0].Digest) {
			t.Fatalf("judged digest %x, signed digest %x", p.Tasks()[0].Digest, digest)
		}
	})
}

func FuzzSigned(f *testing.F) {
	for _, payload := range [][]byte{
		txJSON(), unhex(f, example155), unhex(f, "e9"+strings.TrimSuffix(example155[2:], "018080")), rlp2(f, nil, nil, "f838f794"+strings.ToLower(token[2:])+"e1a0"+word("5")),
		txJSON("maxFeePerGas", "", "maxPriorityFeePerGas", "", "gasPrice", `"0x1"`, "type", `"0x1"`), txJSON("to", "", "data", `"0x60"`),
		blobRLP(f), blobJSON("maxFeePerBlobGas", `"0x0"`), grantRLP(f, testSigner), grantJSON(f, bob, 0, "gas", `"0x1"`),
	} {
		f.Add(assembled(f, payload))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ethereum.DecodeSigned(raw)
		if err != nil {
			if !errors.Is(err, chain.ErrPayload) {
				t.Fatalf("error %q does not wrap ErrPayload", err)
			}
			return
		}
		if again := s.Reencode(); !bytes.Equal(again, raw) {
			t.Fatalf("accepted %x, whose canonical form is %x", raw, again)
		}
		_, _ = s.Sender()
		_ = s.Check(1)
	})
}

func FuzzCall(f *testing.F) {
	for i, words := range [][]string{
		{addressWord(bob), word("1")},
		{addressWord(alice), addressWord(bob), word("2a")},
		{addressWord(bob), strings.Repeat("f", 64)},
		{addressWord(alice), addressWord(bob), word("2a")},
		{addressWord(alice), addressWord(bob), word("2a"), word("80"), word("2"), "beef" + strings.Repeat("0", 60)},
		{addressWord(bob), word("1")},
		{addressWord(alice), addressWord(bob), word("2a"), word("3"), word("a0"), word("")},
		{addressWord(alice), addressWord(bob), word("a0"), word("e0"), word("120"), word("1"), word("2a"), word("1"), word("3"), word("")},
	} {
		f.Add(uint8(i), unhex(f, strings.Join(words, "")))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := ethereum.Methods[int(which)%len(ethereum.Methods)]
		args, ok := ethereum.DecodeArgs(m.Params(), data)
		if ok && !bytes.Equal(m.EncodeArgs(args), data) {
			t.Fatalf("%s: accepted %x, whose strict form is %x", m.Name(), data, m.EncodeArgs(args))
		}
		call := callJSON(append(append([]byte{}, m.Selector()...), data...))
		if in := parse(t, call).Intent(); in.Call.Name != "" != ok {
			t.Fatalf("%s %s: decoded %v, intent %q", m.Name(), hex.EncodeToString(data), ok, in.Sentence)
		}
	})
}

// FuzzTyped: what is accepted as typed data is accepted again in other white
// space, with the same digest, and its effects can be judged.
func FuzzTyped(f *testing.F) {
	for _, seed := range [][]byte{
		[]byte(mail), permitJSON(alice, "5"), permitJSON(alice, `"0x`+strings.Repeat("f", 64)+`"`), []byte(`{"types":{},"primaryType":"","domain":{},"message":{}}`),
		atomJSON("uint256[2][]", "[[1,2],[3,4]]"), atomJSON("bytes3", `"0x010203"`), atomJSON("int8", "-128"), atomJSON("X[]", `[{"v":[]}]`),
		typedJSON(permit2, "PermitBatch", `"PermitBatch":[{"name":"details","type":"PermitDetails[]"},{"name":"spender","type":"address"},{"name":"sigDeadline","type":"uint256"}],`+detailDecl,
			`{"details":[{"token":"`+token+`","amount":5,"expiration":1,"nonce":0}],"spender":"`+bob+`","sigDeadline":1}`),
		typedJSON(token, "ReceiveWithAuthorization", authorizedDecl("ReceiveWithAuthorization"), `{"from":"`+alice+`","to":"`+bob+`","value":"7","validAfter":0,"validBefore":1,"nonce":"0x`+word("1")+`"}`),
	} {
		f.Add(seed)
	}
	d := ethereum.Decoder{}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := chain.Parse(d, b, chain.Ask{Type: chain.TypeTyped, Public: testSigner.Public()})
		if err != nil {
			if !errors.Is(err, chain.ErrPayload) || len(err.Error()) > 600 {
				t.Fatalf("error %q", err)
			}
			return
		}
		in := p.Intent()
		if len(in.Effects()) == 0 || in.Sentence == "" || in.Blind == in.Call.Decoded {
			t.Fatalf("got %+v", in)
		}
		spaced := jsontext.Value(bytes.Clone(b))
		if err := spaced.Indent(); err != nil {
			t.Fatal(err)
		}
		again, err := chain.Parse(d, spaced, chain.Ask{Public: testSigner.Public()})
		if err != nil || !bytes.Equal(again.Tasks()[0].Digest, p.Tasks()[0].Digest) || again.Intent().Sentence != in.Sentence {
			t.Fatalf("in other white space: %v", err)
		}
	})
}
