package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/chaintest"
	"keyward/internal/key"
)

func TestLegacySighashVectors(t *testing.T) {
	var file [][]any
	readJSON(t, "bitcoin-core/sighash.json", &file)
	checked := 0
	for i, row := range file {
		if len(row) != 5 {
			continue
		}
		tx, code := unhex(t, row[0].(string)), unhex(t, row[1].(string))
		got, err := bitcoin.LegacySighash(tx, code, int(row[2].(float64)), uint32(int32(row[3].(float64))))
		if err != nil {
			continue // a script that cannot be parsed is never signed here
		}
		slices.Reverse(got)
		if want := row[4].(string); hex.EncodeToString(got) != want {
			t.Errorf("row %d: got %x, want %s", i, got, want)
		}
		if same, err := bitcoin.RoundTrip(tx); !same || err != nil {
			t.Errorf("row %d: the transaction is written otherwise: %v", i, err)
		}
		checked++
	}
	if checked < 400 {
		t.Errorf("checked %d rows, want at least 400", checked)
	}
}

func TestTaprootWalletVectors(t *testing.T) {
	var file struct {
		ScriptPubKey []struct {
			Given        struct{ InternalPubkey string }
			Intermediary struct{ MerkleRoot *string }
			Expected     struct{ ScriptPubKey, BIP350Address string }
		}
		KeyPathSpending []struct {
			Given struct {
				RawUnsignedTx string
				UTXOsSpent    []struct {
					ScriptPubKey string
					AmountSats   int64
				}
			}
			InputSpending []struct {
				Given struct {
					TxinIndex       int
					InternalPrivkey string
					MerkleRoot      *string
					HashType        uint32
				}
				Intermediary struct{ SigHash string }
				Expected     struct{ Witness []string }
			}
		}
	}
	readJSON(t, "bitcoin-core/bip341_wallet_vectors.json", &file)
	root := func(s *string) []byte {
		if s == nil {
			return nil
		}
		return unhex(t, *s)
	}
	for i, c := range file.ScriptPubKey {
		x, err := bitcoin.OutputKey(unhex(t, c.Given.InternalPubkey), root(c.Intermediary.MerkleRoot))
		s := append([]byte{0x51, 32}, x...)
		address, _ := bitcoin.FormatAddress(s, bitcoin.Main)
		if err != nil || hex.EncodeToString(s) != c.Expected.ScriptPubKey || address != c.Expected.BIP350Address {
			t.Errorf("script %d: got %x, %s, %v", i, s, address, err)
		}
	}
	for _, c := range file.KeyPathSpending {
		var values []int64
		var scripts [][]byte
		for _, u := range c.Given.UTXOsSpent {
			values, scripts = append(values, u.AmountSats), append(scripts, unhex(t, u.ScriptPubKey))
		}
		for _, in := range c.InputSpending {
			digest, err := bitcoin.TaprootSighash(unhex(t, c.Given.RawUnsignedTx), values, scripts, in.Given.TxinIndex, in.Given.HashType)
			if err != nil || hex.EncodeToString(digest) != in.Intermediary.SigHash {
				t.Errorf("input %d: got %x, %v, want %s", in.Given.TxinIndex, digest, err, in.Intermediary.SigHash)
			}
			// Also the suite's signer, which stands for a keystore in other tests.
			sig := chaintest.SignerOf(unhex(t, in.Given.InternalPrivkey)).SignTask(chain.Task{Digest: digest, Scheme: key.Taproot, Root: root(in.Given.MerkleRoot)})
			output := scripts[in.Given.TxinIndex][2:]
			if !bitcoin.VerifySchnorr(output, digest, append(sig.R[:], sig.S[:]...)) || !bitcoin.VerifySchnorr(output, digest, unhex(t, in.Expected.Witness[0])[:64]) {
				t.Errorf("input %d: a signature does not verify", in.Given.TxinIndex)
			}
		}
	}
	if len(file.ScriptPubKey) != 7 || len(file.KeyPathSpending[0].InputSpending) != 7 {
		t.Errorf("got %d scripts, %d inputs", len(file.ScriptPubKey), len(file.KeyPathSpending[0].InputSpending))
	}
}

func TestUnusualSighashIsAnEffect(t *testing.T) {
	w := newTree(t, "sighash", "m/84h/0h/0h")
	for kind, name := range map[byte]string{2: "none", 3: "single", 0x81: "all|anyonecanpay", 0x82: "none|anyonecanpay", 0x83: "single|anyonecanpay"} {
		d := payment(t, w)
		d.in[0] = append(d.in[0], pair{3, nil, []byte{kind, 0, 0, 0}})
		p := parse(t, d.bytes(), w.ask(t))
		effects := p.Intent().Effects()
		if last := effects[len(effects)-1]; last.What != chain.EffectSighash || last.To != name || !warned(p, "sighash") {
			t.Errorf("%#x: got %+v", kind, effects)
		}
		if change := p.Intent().Moves[1].Change; change != (kind == 0x81) {
			t.Errorf("%s: got change %v: an output that no signature covers comes back to nobody", name, change)
		}
		out, err := p.Assemble(signAll(p, w.sign(t)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if signed, complete, err := bitcoin.Extract(out); err != nil || !complete || !bytes.Contains(signed, append([]byte{}, kind, 33)) {
			t.Errorf("%s: got %v, %v", name, complete, err)
		}
	}
	for kind, want := range map[byte]string{0: "0x00 does not exist", 4: "0x04 does not exist", 0x80: "0x80 does not exist"} {
		d := payment(t, w)
		d.in[0] = append(d.in[0], pair{3, nil, []byte{kind, 0, 0, 0}})
		if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%#x: got %v, want %q", kind, err, want)
		}
	}
	d := payment(t, w)
	from := w.child(0, 6)
	for range 2 {
		d.spend(1000, script(t, w.point(from), bitcoin.P2WPKH), pair{6, w.point(from), w.origin(from)}, pair{3, nil, []byte{3, 0, 0, 0}})
	}
	if _, err := chain.Parse(bitcoin.Decoder{}, d.bytes(), w.ask(t)); err == nil || !strings.Contains(err.Error(), "there is no output 2") {
		t.Errorf("single without its output: got %v", err)
	}
}
