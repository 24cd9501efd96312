package ethereum_test

import (
	"strings"
	"testing"

	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
)

// The addresses printed in EIP-55, section "Test Cases".
var checksummed = []string{
	"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
	"0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
	"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
	"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
}

func TestAddressChecksums(t *testing.T) {
	for _, s := range checksummed {
		for _, spelling := range []string{s, strings.ToLower(s), "0x" + strings.ToUpper(s[2:])} {
			a, err := ethereum.ParseAddress(spelling)
			if err != nil || a.String() != s {
				t.Errorf("%s: got %s, %v, want %s", spelling, a, err, s)
			}
		}
	}
}

func TestWrongAddressesAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "0x", alice[2:], alice[:41], alice + "0", "0X" + alice[2:], "0x" + strings.Repeat("g", 40), " " + alice,
		strings.Replace(alice, "C5", "c5", 1), "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	} {
		if a, err := ethereum.ParseAddress(s); err == nil {
			t.Errorf("%q: accepted as %s", s, a)
		}
	}
	_, err := ethereum.ParseAddress("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	if err == nil || !strings.Contains(err.Error(), "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed has a wrong checksum") {
		t.Errorf("got %v, want an error that names the address and its checksum", err)
	}
}

func TestAddressNeedsASecp256k1Key(t *testing.T) {
	good := testSigner.Public()
	for name, pub := range map[string]key.Public{
		"none": nil, "short": good[:len(good)-1], "long": append(append(key.Public{}, good...), 0), "other": make(key.Public, len(good)),
	} {
		if a, err := ethereum.AddressOf(pub); err == nil {
			t.Errorf("%s: got %s", name, a)
		}
	}
}
