package software

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/key"
	"keyward/internal/secret"
	"keyward/internal/seed"
)

// The material of a seed (docs/formats/material.md).
const (
	seedFormat = 1
	seedHead   = 3   // version, language, size of the entropy
	seedBlock  = 128 // it is padded to a multiple, so that its length tells neither words nor passphrase
	seedBits   = 256 // where the caller does not say
	seedMethod = "BIP-39; BIP-32, master key generation"
)

var errSeed = errors.New("not the material of a seed")

func marshalSeed(m seed.Mnemonic) secret.Bytes {
	n := seedHead + m.Entropy.Len() + 2 + m.Passphrase.Len()
	material := secret.New((n + seedBlock - 1) / seedBlock * seedBlock)
	b := material.View()
	b[0], b[1], b[2] = seedFormat, m.Language.Number(), byte(m.Entropy.Len())
	b = b[seedHead:]
	b = b[copy(b, m.Entropy.View()):]
	binary.BigEndian.PutUint16(b, uint16(m.Passphrase.Len()))
	copy(b[2:], m.Passphrase.View())
	return material
}

// parseSeed returns copies.
func parseSeed(material secret.Bytes) (m seed.Mnemonic, err error) {
	b := material.View()
	if len(b) < seedBlock || b[0] != seedFormat {
		return m, errSeed
	}
	var known bool
	if m.Language, known = seed.Numbered(b[1]); !known {
		return m, fmt.Errorf("%w: unknown language %d", errSeed, b[1])
	}
	entropy, rest := b[seedHead:seedHead+min(b[2], 64)], b[seedHead+min(b[2], 64):]
	passphrase := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; passphrase > len(rest) {
		return m, errSeed
	}
	m.Entropy, m.Passphrase = secret.New(len(entropy)), secret.New(passphrase)
	copy(m.Entropy.View(), entropy)
	copy(m.Passphrase.View(), rest)
	again := secret.Bytes{}
	if err = m.Check(); err == nil {
		again = marshalSeed(m)
		defer again.Destroy()
		if !again.Equal(material) {
			err = errSeed
		}
	}
	if err != nil {
		m.Destroy()
		return seed.Mnemonic{}, err
	}
	return m, nil
}

// GenerateSeed is Generate for a seed of 128, 160, 192, 224 or 256 bits of
// entropy: 12 to 24 words.
func (k *Keystore) GenerateSeed(ctx context.Context, about key.Key, version key.Version, bits int) (Birth, error) {
	return k.bear(ctx, about, version, origin{key.Generated, sources(), seedMethod, generateSeed(bits)})
}

// ImportSeed is Generate for a seed that exists already, of origin key.Imported.
// It lends m.
func (k *Keystore) ImportSeed(ctx context.Context, about key.Key, version key.Version, m seed.Mnemonic) (Birth, error) {
	if err := m.Check(); err != nil {
		return Birth{}, err
	}
	return k.bear(ctx, about, version, origin{key.Imported, []string{"imported as words"}, seedMethod, bornOf(m)})
}

// Words are those of a seed's Birth, to be shown once, before it is committed:
// nothing shows them later. They do not say the passphrase. Destroy them.
func (k *Keystore) Words(b Birth) (secret.Bytes, error) {
	if err := k.enter(); err != nil {
		return secret.Bytes{}, err
	}
	defer k.leave()
	if b.row == nil {
		return secret.Bytes{}, errSeed
	}
	row, err := parseRow(b.row)
	if err != nil {
		return secret.Bytes{}, err
	}
	if row.Spec != key.HDSeed {
		return secret.Bytes{}, fmt.Errorf("a key of spec %s has no words", row.Spec)
	}
	material, err := k.opt.Root.Unwrap(row.context(row.ref), row.root, row.wrapped, row.sealed)
	if err != nil {
		return secret.Bytes{}, known(row.ref, err)
	}
	defer material.Destroy()
	m, err := parseSeed(material)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer m.Destroy()
	return m.Words(), nil
}

func generateSeed(bits int) generator {
	return func(s key.Spec) (secret.Bytes, key.Public, error) {
		m, err := seed.New(seed.English, bits, rand.Reader)
		if err != nil {
			return secret.Bytes{}, nil, err
		}
		defer m.Destroy()
		return bornOf(m)(s)
	}
}

// bornOf generates what is there already.
func bornOf(m seed.Mnemonic) generator {
	return func(s key.Spec) (material secret.Bytes, public key.Public, err error) {
		if s != key.HDSeed {
			return secret.Bytes{}, nil, fmt.Errorf("a key of spec %s is not made of words", s)
		}
		stretched := m.Seed()
		defer stretched.Destroy()
		master, err := seed.Master(stretched)
		if err != nil {
			return secret.Bytes{}, nil, err
		}
		defer master.Destroy()
		if public, err = publicOf(master.Point()); err != nil {
			return secret.Bytes{}, nil, err
		}
		return marshalSeed(m), public, nil
	}
}

func publicOf(point [seed.PointSize]byte) (key.Public, error) {
	parsed, err := secp256k1.ParsePubKey(point[:])
	if err != nil {
		return nil, err
	}
	return key.MarshalSecp256k1([65]byte(parsed.SerializeUncompressed()))
}
