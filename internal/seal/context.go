package seal

import (
	"crypto/sha256"

	"github.com/fxamacker/cbor/v2"
)

// canonical is RFC 8949, section 4.2.1 (core deterministic encoding).
var canonical = func() cbor.EncMode {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty // a database may return either
	mode, err := options.EncMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return mode
}()

// Context says what sealed bytes are and where they belong. Its encoding is
// the associated data of every seal: bytes moved to another row, key, version
// or installation do not open. docs/formats/sealed.md is the format.
type Context struct {
	Label        Label    `cbor:"1,keyasint"`
	Installation [32]byte `cbor:"2,keyasint"` // set by Root
	Table        string   `cbor:"3,keyasint"`
	ID           string   `cbor:"4,keyasint"` // the row's: a key id, a slot id, a name
	Version      uint64   `cbor:"5,keyasint"` // of the key
	Spec         string   `cbor:"6,keyasint"`
	Usage        string   `cbor:"7,keyasint"`
	Domain       string   `cbor:"8,keyasint"`
	Exportable   bool     `cbor:"9,keyasint"`
	Origin       string   `cbor:"10,keyasint"`
	PublicHash   [32]byte `cbor:"11,keyasint"` // SHA-256 of the public half; of the empty string where there is none
	RootVersion  uint64   `cbor:"12,keyasint"` // set by Root; 0 where the seal is not the root key's
}

// AssociatedData returns the context in canonical CBOR: a map of all twelve
// fields under the integers 1 to 12.
func (c Context) AssociatedData() []byte {
	b, err := canonical.Marshal(c)
	if err != nil {
		panic(err) // strings, integers and bytes always encode
	}
	return b
}

// systemContext is the context of a system key.
func systemContext(k SystemKey) Context {
	return Context{
		Label:      labelOf(k.Name),
		Table:      "system_key",
		ID:         k.Name,
		PublicHash: sha256.Sum256(k.Public),
	}
}
