package ethereum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/chaintest"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

// blobJSON is txJSON with two blobs, at 3 wei a unit of blob gas.
func blobJSON(changes ...string) []byte {
	hashes := `["0x01` + word("1")[2:] + `","0x01` + word("2")[2:] + `"]`
	return txJSON(append([]string{"maxFeePerBlobGas", `"0x3"`, "blobVersionedHashes", hashes}, changes...)...)
}

// blobRLP is the same, as it is hashed.
func blobRLP(t testing.TB) []byte {
	return append([]byte{3}, ethereum.AppendList(nil, append(rlp2Content(t), unhex(t, "03"+"f842a001"+word("1")[2:]+"a001"+word("2")[2:])...))...)
}

// rlp2Content is the content of rlp2's list.
func rlp2Content(t testing.TB) []byte {
	it, _, err := ethereum.NextItem(rlp2(t, nil, nil, "")[1:])
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(it.Body())
}

// authorizationOf is what EIP-7702 has an account sign: chain 1, nonce 8.
func authorizationOf(delegate string) []byte {
	address, err := hex.DecodeString(delegate[2:])
	if err != nil {
		panic(err)
	}
	return append([]byte{5}, ethereum.AppendList(nil, append(ethereum.AppendBytes([]byte{1}, address), 8))...)
}

// tupleOf is such an authorization with its signature.
func tupleOf(t testing.TB, signer chaintest.Signer, delegate string, chainID byte) (rlp []byte, json string) {
	t.Helper()
	signed := ethereum.AppendBytes(ethereum.AppendBig(nil, big.NewInt(int64(chainID))), unhex(t, delegate))
	signed = append(signed, 8)
	digest := ethereum.Keccak([]byte{5}, ethereum.AppendList(nil, signed))
	sig := signer.Sign(digest[:])
	r, s := new(big.Int).SetBytes(sig.R[:]), new(big.Int).SetBytes(sig.S[:])
	content := ethereum.AppendBig(signed, big.NewInt(int64(sig.V)))
	content = ethereum.AppendBig(ethereum.AppendBig(content, r), s)
	return ethereum.AppendList(nil, content), fmt.Sprintf(`{"chainId":"0x%x","address":"%s","nonce":"0x8","yParity":"0x%x","r":"0x%x","s":"0x%064x"}`, chainID, delegate, sig.V, r, s)
}

// grantJSON is txJSON with an authorization by the test's own key.
func grantJSON(t testing.TB, delegate string, chainID byte, changes ...string) []byte {
	_, tuple := tupleOf(t, testSigner, delegate, chainID)
	return txJSON(append([]string{"authorizationList", "[" + tuple + "]"}, changes...)...)
}

func grantRLP(t testing.TB, signers ...chaintest.Signer) []byte {
	var list []byte
	for _, s := range signers {
		tuple, _ := tupleOf(t, s, bob, 1)
		list = append(list, tuple...)
	}
	return append([]byte{4}, ethereum.AppendList(nil, append(rlp2Content(t), ethereum.AppendList(nil, list)...))...)
}

func TestBlobsAndAuthorizationsAreSplitIntoEffects(t *testing.T) {
	send, fee := move(t, ether, "1500000000000000000", alice), fee2(t, "420000000000000")
	blobFee := fee2(t, "420000000786432") // and 2 blobs of 131072 gas at 3 wei
	stranger := chaintest.NewSigner("a stranger")
	zero := "0x" + strings.Repeat("0", 40)
	multi := chain.Asset{ID: "eip155:1/erc1155:" + strings.ToLower(token)}
	batch := func(ids, amounts []string, data ...string) []byte {
		words := []string{addressWord(alice), addressWord(bob), word("a0"), word(fmt.Sprintf("%x", 0xc0+32*len(ids))), word(fmt.Sprintf("%x", 0xe0+32*len(ids)+32*len(amounts)))}
		for _, list := range [][]string{ids, amounts} {
			words = append(words, word(fmt.Sprint(len(list))))
			for _, n := range list {
				words = append(words, word(n))
			}
		}
		return callJSON(abi(t, "2eb2c2d6", append(words, data...)...))
	}
	callFee := fee2(t, "4000000000000000")
	chaintest.Run(t, ethereum.Decoder{}, []chaintest.Case{
		{Name: "blobs as JSON", Payload: blobJSON(), Type: chain.TypeTx, Effects: []chain.Effect{send, blobFee}},
		{Name: "blobs as RLP", Payload: blobRLP(t), Type: chain.TypeTx, Canonical: true, Effects: []chain.Effect{send, blobFee}},
		{
			Name: "own authorization as JSON", Payload: grantJSON(t, bob, 1), Type: chain.TypeTx,
			Effects: []chain.Effect{send, fee, allowance(ether, nil, bob)},
		}, {
			Name: "own authorization on every chain", Payload: grantJSON(t, bob, 0), Type: chain.TypeTx,
			Effects: []chain.Effect{send, fee, allowance(ether, nil, bob)},
		}, {
			Name: "own authorization on another chain", Payload: grantJSON(t, bob, 10), Type: chain.TypeTx,
			Effects: []chain.Effect{send, fee, allowance(ether, nil, bob)},
		}, {
			Name: "own authorization taken back", Payload: grantJSON(t, zero, 1), Type: chain.TypeTx,
			Effects: []chain.Effect{send, fee, allowance(ether, big.NewInt(0), zero)},
		}, {
			Name: "own authorization as RLP", Payload: grantRLP(t, testSigner), Type: chain.TypeTx, Canonical: true,
			Effects: []chain.Effect{send, fee, allowance(ether, nil, bob)},
		}, {
			Name: "authorization of another", Payload: grantRLP(t, stranger), Type: chain.TypeTx, Canonical: true,
			Effects: []chain.Effect{send, fee},
		}, {
			Name: "authorizations of both", Payload: grantRLP(t, stranger, testSigner), Type: chain.TypeTx, Canonical: true,
			Effects: []chain.Effect{send, fee, allowance(ether, nil, bob)},
		}, {
			Name: "authorization asked for as a digest is blind", Payload: bytes.Repeat([]byte{5}, 32), Ask: chain.Ask{Type: chain.Digest},
			Type: chain.Digest, Blind: true, Canonical: true, Effects: []chain.Effect{{Verb: key.SignBlind, What: chain.EffectMessage}},
		},
		{Name: "authorization", Payload: authorizationOf(bob), Refused: "which hands an account to a contract"},
		{
			Name: "ERC-1155 safeTransferFrom", Type: chain.TypeTx,
			Payload: callJSON(abi(t, "f242432a", addressWord(alice), addressWord(bob), word("2a"), word("3"), word("a0"), word(""))),
			Effects: []chain.Effect{move(t, multi, "3", bob), callFee},
		}, {
			Name: "ERC-1155 safeTransferFrom with data is blind too", Type: chain.TypeTx, Blind: true,
			Payload: callJSON(abi(t, "f242432a", addressWord(alice), addressWord(bob), word("2a"), word("3"), word("a0"), word("1"), "be"+strings.Repeat("0", 62))),
			Effects: []chain.Effect{move(t, multi, "3", bob), callFee, blindCall(token)},
		}, {
			Name: "ERC-1155 batch", Type: chain.TypeTx, Payload: batch([]string{"1", "2"}, []string{"5", "6"}, word("")),
			Effects: []chain.Effect{move(t, multi, "5", bob), move(t, multi, "6", bob), callFee},
		}, {
			Name: "ERC-1155 batch with data is blind too", Type: chain.TypeTx, Blind: true, Payload: batch([]string{"1"}, []string{"5"}, word("1"), "be"+strings.Repeat("0", 62)),
			Effects: []chain.Effect{move(t, multi, "5", bob), callFee, blindCall(token)},
		}, {
			Name: "ERC-1155 batch of nothing is blind", Type: chain.TypeTx, Blind: true, Payload: batch(nil, nil, word("")),
			Effects: []chain.Effect{callFee, blindCall(token)},
		}, {
			Name: "ERC-1155 batch of unequal lists is blind", Type: chain.TypeTx, Blind: true, Payload: batch([]string{"1", "2"}, []string{"5"}, word("")),
			Effects: []chain.Effect{callFee, blindCall(token)},
		},
	})
}

func TestBatchKeepsTokenNumbers(t *testing.T) {
	data := abi(t, "f242432a", addressWord(alice), addressWord(bob), word("2a"), word("3"), word("a0"), word(""))
	m := parse(t, callJSON(data)).Intent().Moves[0]
	if m.TokenID.String() != "42" || m.Amount.String() != "3" || m.From != alice {
		t.Errorf("got move %+v, want 3 of token 42 of alice", m)
	}
}

func TestEveryDelegateIsNamed(t *testing.T) {
	_, broken := tupleOf(t, testSigner, bob, 1)
	broken = broken[:strings.Index(broken, `"s"`)] + `"s":"0x` + strings.Repeat("f", 64) + `"}`
	for name, c := range map[string]struct {
		payload []byte
		want    string
	}{
		"own":           {grantJSON(t, bob, 1), "The code at " + bob + " will act for this account, "},
		"every chain":   {grantJSON(t, bob, 0), "on every chain"},
		"another chain": {grantJSON(t, bob, 10), "on chain eip155:10, not on this one"},
		"taken back":    {grantJSON(t, "0x"+strings.Repeat("0", 40), 1), "takes back"},
		"another's":     {grantRLP(t, chaintest.NewSigner("a stranger")), "The code at " + bob + " will act for 0x"},
		"nobody's":      {txJSON("authorizationList", "["+broken+"]"), "has no valid signature"},
	} {
		var said []string
		for _, w := range parse(t, c.payload).Intent().Warnings {
			if w.Code == "delegation" {
				said = append(said, w.Text)
			}
		}
		if len(said) != 1 || !strings.Contains(said[0], c.want) {
			t.Errorf("%s: got %q, want one warning with %q", name, said, c.want)
		}
	}
}

func TestSignedFormOfNewTypesIsStrict(t *testing.T) {
	blob, grant := assembled(t, blobJSON()), assembled(t, grantJSON(t, bob, 1))
	if blob[0] != 3 || grant[0] != 4 {
		t.Fatalf("got types %d and %d", blob[0], grant[0])
	}
	for _, raw := range [][]byte{blob, grant} {
		s, err := ethereum.DecodeSigned(raw)
		if err != nil || !bytes.Equal(s.Reencode(), raw) {
			t.Fatalf("%x: %v, or encoded again it differs", raw, err)
		}
		if err := s.Check(1); (err == nil) != (raw[0] == 3) {
			t.Errorf("type %d: got %v; an authorization costs 25000 gas more than the limit", raw[0], err)
		}
		for i := range raw { // each bit of it counts
			for bit := range 8 {
				changed := bytes.Clone(raw)
				changed[i] ^= 1 << bit
				if other, err := ethereum.DecodeSigned(changed); err == nil && other.Hash() == s.Hash() {
					t.Fatalf("byte %d, bit %d: another transaction has the same hash", i, bit)
				}
			}
		}
	}
	if s, err := ethereum.DecodeSigned(assembled(t, grantJSON(t, bob, 1, "gas", `"0xb3b0"`))); err != nil || s.Check(1) != nil || s.IntrinsicGas() != 46000 {
		t.Errorf("got %v, want an authorization to cost 25000 gas", err)
	}
	many := `["` + strings.TrimSuffix(strings.Repeat("0x01"+word("1")[2:]+`","`, 7), `","`) + `"]`
	if s, err := ethereum.DecodeSigned(assembled(t, blobJSON("blobVersionedHashes", many))); err != nil || !errors.Is(s.Check(1), chain.ErrPayload) {
		t.Errorf("7 blobs: got %v, want them decoded, and no node to take them", err)
	}
}
