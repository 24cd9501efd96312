package bitcoin_test

import (
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/chaintest"
	"keyward/internal/key"
)

var (
	btc        = chain.Asset{ID: "bip122:000000000019d6689c085ae165831e93/slip44:0", Symbol: "BTC", Decimals: 8}
	testSigner = chaintest.NewSigner("keyward/chaintest")
)

func coinOn(id string) chain.Asset {
	if id == bitcoin.Main.Chain {
		return btc
	}
	return chain.Asset{ID: id + "/slip44:1", Symbol: "tBTC", Decimals: 8}
}

func effects(id string, fee int64, moves ...any) (all []chain.Effect) {
	for i := 0; i < len(moves); i += 2 {
		all = append(all, chain.Effect{
			Verb: key.SignTransaction, What: chain.EffectMove, Asset: coinOn(id), Amount: big.NewInt(int64(moves[i].(int))), To: moves[i+1].(string), Chain: id,
		})
	}
	return append(all, chain.Effect{Verb: key.SignTransaction, What: chain.EffectFee, Asset: coinOn(id), Amount: big.NewInt(fee), Chain: id})
}

// ofKey is a payment of one key that stands alone, in each of its types.
func ofKey(t testing.TB, typ bitcoin.AddressType, point []byte) *draft {
	t.Helper()
	mine := script(t, point, typ)
	var more []pair
	if typ == bitcoin.P2SHP2WPKH {
		more = []pair{{4, nil, script(t, point, bitcoin.P2WPKH)}}
	}
	return newDraft().spend(100_000, mine, more...).pay(30_000, stranger("shop")).pay(69_000, mine)
}

func TestEveryPayloadIsSplitIntoEffects(t *testing.T) {
	signer := testSigner
	point, err := signer.Public().Secp256k1()
	if err != nil {
		t.Fatal(err)
	}
	compressed := append([]byte{2 + point[64]&1}, point[1:33]...)
	shop, _ := bitcoin.FormatAddress(stranger("shop"), bitcoin.Main)
	regtest := network(t, "regtest")
	testShop, _ := bitcoin.FormatAddress(stranger("shop"), regtest)
	message := []chain.Effect{{Verb: key.SignMessage, What: chain.EffectMessage}}
	w := newTree(t, "foreign", "m/84h/0h/0h")

	var cases []chaintest.Case
	for _, typ := range []bitcoin.AddressType{bitcoin.P2PKH, bitcoin.P2SHP2WPKH, bitcoin.P2WPKH, bitcoin.P2TR} {
		cases = append(cases, chaintest.Case{
			Name: "PSBT of " + string(typ), Payload: ofKey(t, typ, compressed).bytes(), Type: chain.TypePSBT, Effects: effects(bitcoin.Main.Chain, 1000, 30_000, shop),
		})
	}
	cases = append(cases, []chaintest.Case{
		{
			Name: "PSBT in base64", Payload: ofKey(t, bitcoin.P2WPKH, compressed).base64(), Type: chain.TypePSBT,
			Effects: effects(bitcoin.Main.Chain, 1000, 30_000, shop), Ask: chain.Ask{Type: chain.TypePSBT, Network: "main"},
		}, {
			Name: "PSBT in hex for regtest", Payload: []byte(hex.EncodeToString(ofKey(t, bitcoin.P2WPKH, compressed).bytes())), Type: chain.TypePSBT,
			Effects: effects(regtest.Chain, 1000, 30_000, testShop), Ask: chain.Ask{Network: regtest.Chain},
		}, {
			Name: "two inputs, data and a script", Type: chain.TypePSBT,
			Payload: ofKey(t, bitcoin.P2WPKH, compressed).spend(5000, script(t, compressed, bitcoin.P2TR)).pay(0, []byte{0x6a, 1, 7}).pay(600, []byte{0x51}).bytes(),
			Effects: effects(bitcoin.Main.Chain, 5400, 30_000, shop, 0, "data:0107", 600, "script:51"),
		}, {
			Name: "message for segwit", Payload: []byte("hello"), Type: chain.TypeMsg, Effects: message, Canonical: true,
		}, {
			Name: "message for a P2PKH key", Payload: []byte("hello"), Type: chain.TypeMsg, Effects: message, Canonical: true, Ask: chain.Ask{Path: at("p2pkh")},
		}, {
			Name: "message for a nested key", Payload: []byte("hello"), Type: chain.TypeMsg, Effects: message, Canonical: true, Ask: chain.Ask{Path: at("p2sh-p2wpkh")},
		}, {
			Name: "message for Taproot", Payload: []byte("hi"), Type: chain.TypeMsg, Effects: message, Canonical: true, Ask: chain.Ask{Path: at("p2tr"), Type: chain.TypeMsg},
		}, {
			Name: "PSBT asked to be a message", Payload: ofKey(t, bitcoin.P2WPKH, compressed).base64(), Type: chain.TypeMsg, Effects: message, Canonical: true, Ask: chain.Ask{Type: chain.TypeMsg},
		}, {
			Name: "digest is blind", Payload: []byte(strings.Repeat("\xab", 32)), Ask: chain.Ask{Type: chain.Digest}, Type: chain.Digest, Blind: true,
			Effects: []chain.Effect{{Verb: key.SignBlind, What: chain.EffectMessage}}, Canonical: true,
		},
		{Name: "short digest", Payload: make([]byte, 31), Ask: chain.Ask{Type: chain.Digest}, Refused: "digest of 31 bytes"},
		{Name: "digest with a network", Payload: make([]byte, 32), Ask: chain.Ask{Type: chain.Digest, Network: "main"}, Refused: "belongs to no chain"},
		{Name: "unsigned transaction", Payload: []byte(hex.EncodeToString(raw(previous(0, 1, []byte{0x51}))[:5]) + "00"), Ask: chain.Ask{Type: chain.TypeTx}, Refused: "transaction"},
		{Name: "another's coin", Payload: payment(t, w).bytes(), Refused: "there is nothing to sign: input 0: no key of it is proved to be ours"},
		{Name: "unknown network", Payload: ofKey(t, bitcoin.P2WPKH, compressed).bytes(), Ask: chain.Ask{Network: "moon"}, Refused: "use main, testnet4"},
		{Name: "another type", Payload: []byte("{}"), Ask: chain.Ask{Type: chain.TypeTyped}, Refused: "use psbt or message"},
		{Name: "foreign key", Payload: []byte("hello"), Ask: chain.Ask{Public: key.Public("no key")}, Refused: "secp256k1"},
		{Name: "half a PSBT", Payload: []byte("cHNidP8BAHECAAAA"), Refused: "PSBT"},
	}...)
	chaintest.Run(t, bitcoin.Decoder{}, cases)
}

func TestTransactionsAreNoMessages(t *testing.T) {
	tx := previous(0, 1000, stranger("x"))
	tx.TxIn[0].SignatureScript = nil
	for name, payload := range map[string][]byte{"raw": raw(tx), "hex": []byte(hex.EncodeToString(raw(tx)) + "\n")} {
		for _, typ := range []chain.Type{chain.Auto, chain.TypeTx} {
			_, err := chain.Parse(bitcoin.Decoder{}, payload, chain.Ask{Type: typ, Public: testSigner.Public()})
			if err == nil || !strings.Contains(err.Error(), "give a PSBT") {
				t.Errorf("%s as %q: got %v", name, typ, err)
			}
		}
		if _, err := (bitcoin.Decoder{}).Inspect(payload); err == nil {
			t.Errorf("%s: inspected what is not signed", name)
		}
	}
}
