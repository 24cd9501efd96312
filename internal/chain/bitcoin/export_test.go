package bitcoin

// What the tests of package bitcoin_test see beside the exported names.

var (
	ScriptOf = scriptOf
	Networks = networks
)

// Reencode reads a PSBT and writes it again, in binary.
func Reencode(payload []byte) ([]byte, error) {
	p, err := parsePSBT(payload)
	if err != nil {
		return nil, err
	}
	return p.bytes(), nil
}
