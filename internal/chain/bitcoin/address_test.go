package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"keyward/internal/chain/bitcoin"
	"keyward/internal/key"
)

var networkNames = map[string]string{"main": "main", "test": "testnet4", "signet": "signet", "regtest": "regtest"}

func network(t testing.TB, name string) bitcoin.Network {
	t.Helper()
	n, err := bitcoin.ParseNetwork(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAddressVectorsValid(t *testing.T) {
	var file [][3]any
	readJSON(t, "bitcoin-core/key_io_valid.json", &file)
	checked := 0
	for _, row := range file {
		address, want, about := row[0].(string), row[1].(string), row[2].(map[string]any)
		if about["isPrivkey"].(bool) {
			continue
		}
		checked++
		n := network(t, networkNames[about["chain"].(string)])
		script, err := bitcoin.ParseAddress(address, n)
		if err != nil || hex.EncodeToString(script) != want {
			t.Errorf("%s: got %x, %v, want %s", address, script, err, want)
			continue
		}
		if back, ok := bitcoin.FormatAddress(script, n); !ok || back != address {
			t.Errorf("%x: got %s, %v, want %s", script, back, ok, address)
		}
		flipped := strings.ToUpper(address)
		again, err := bitcoin.ParseAddress(flipped, n)
		if flip, _ := about["tryCaseFlip"].(bool); flip && (err != nil || !bytes.Equal(again, script)) {
			t.Errorf("%s: got %x, %v", flipped, again, err)
		} else if !flip && err == nil {
			t.Errorf("%s: accepted", flipped)
		}
		for _, other := range bitcoin.Networks {
			_, err := bitcoin.ParseAddress(address, other)
			if (other.Name == "main") != (n.Name == "main") && err == nil {
				t.Errorf("%s: accepted for %s", address, other.Name)
			}
		}
	}
	if checked < 40 {
		t.Errorf("checked %d addresses, want at least 40", checked)
	}
}

func TestAddressVectorsInvalid(t *testing.T) {
	var file [][1]string
	readJSON(t, "bitcoin-core/key_io_invalid.json", &file)
	for _, row := range file {
		for _, n := range bitcoin.Networks {
			if script, err := bitcoin.ParseAddress(row[0], n); err == nil {
				t.Errorf("%q: accepted for %s as %x", row[0], n.Name, script)
			}
		}
	}
	if len(file) < 70 {
		t.Errorf("got %d vectors, want at least 70", len(file))
	}
}

// The addresses that BIP-49, BIP-84 and BIP-86 print for their first account, and
// of BIP-44 the one that hardware wallets show for the same seed.
func TestAddressesOfKnownKeys(t *testing.T) {
	for _, c := range []struct {
		point   string
		path    string
		network string
		want    string
	}{
		{"0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c", "m/84h/0h/0h/0/0", "main", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"},
		{"03cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115", "m/86h/0h/0h/0/0", "main", "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"},
		{"03a1af804ac108a8a51782198c2d034b28bf90c8803f5a53f76276fa69a4eae77f", "m/49h/1h/0h/0/0", "testnet4", "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2"},
	} {
		path, err := key.ParsePath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		n := network(t, c.network)
		got, ok := bitcoin.FormatAddress(script(t, unhex(t, c.point), bitcoin.TypeAt(path)), n)
		if !ok || got != c.want {
			t.Errorf("%s: got %s, want %s", c.path, got, c.want)
		}
	}
	if got := bitcoin.TypeAt(nil); got != bitcoin.P2WPKH {
		t.Errorf("without a path: got %s", got)
	}
	w := newTree(t, "address", "m/44h/0h/0h")
	for _, typ := range []bitcoin.AddressType{bitcoin.P2PKH, bitcoin.P2SHP2WPKH, bitcoin.P2WPKH, bitcoin.P2TR} {
		got, err := bitcoin.AddressOf(w.public(t), typ, bitcoin.Main)
		want, _ := bitcoin.FormatAddress(script(t, w.point(w.at), typ), bitcoin.Main)
		if err != nil || got != want || got == "" {
			t.Errorf("%s: got %q, %v, want %q", typ, got, err, want)
		}
	}
	if _, err := bitcoin.AddressOf(key.Public("no key"), bitcoin.P2WPKH, bitcoin.Main); err == nil {
		t.Error("no key: has an address")
	}
	if _, err := bitcoin.AddressOf(w.public(t), "p2pk", bitcoin.Main); err == nil {
		t.Error("p2pk: has an address")
	}
}

func TestNetworksAreNamedByTheirGenesis(t *testing.T) {
	for name, p := range map[string]*chaincfg.Params{
		"main": &chaincfg.MainNetParams, "testnet4": &chaincfg.TestNet4Params, "testnet3": &chaincfg.TestNet3Params,
		"signet": &chaincfg.SigNetParams, "regtest": &chaincfg.RegressionNetParams,
	} {
		n := network(t, name)
		if want := "bip122:" + p.GenesisHash.String()[:32]; n.Chain != want {
			t.Errorf("%s: got %s, want %s", name, n.Chain, want)
		}
		if same, err := bitcoin.ParseNetwork(n.Chain); err != nil || same.Name != name {
			t.Errorf("%s: got %s, %v", n.Chain, same.Name, err)
		}
	}
	if _, err := bitcoin.ParseNetwork("litecoin"); err == nil || !strings.Contains(err.Error(), "regtest") {
		t.Errorf("got %v, want an error that lists the networks", err)
	}
}
