package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	//lint:ignore SA1019 BIP-32 names keys by it
	"golang.org/x/crypto/ripemd160"

	"keyward/internal/key"
)

// PointSize is the length of a compressed point, in bytes.
const PointSize = 33

// Public is an extended public key of BIP-32: what may be known of a node. Who
// knows it knows every key below it that is not hardened, and with one private
// key from there also the node's own.
type Public struct {
	Key    [PointSize]byte // SEC 1, compressed
	Chain  [32]byte        // chain code
	Depth  byte
	Parent [4]byte // fingerprint; zero for a master key
	Number uint32  // which child of its parent it is
}

// Version is the prefix of an extended public key as text; it says the network.
type Version [4]byte

// The versions of BIP-32.
var (
	XPub = Version{0x04, 0x88, 0xb2, 0x1e}
	TPub = Version{0x04, 0x35, 0x87, 0xcf}

	xprv = Version{0x04, 0x88, 0xad, 0xe4}
	tprv = Version{0x04, 0x35, 0x83, 0x94}
)

const (
	extendedSize = 78
	maxExtended  = 112 // characters
)

// ErrPublic is wrapped by everything that is wrong with the text of an extended
// public key. No error repeats the text, which could be a private key.
var ErrPublic = errors.New("not an extended public key")

// SPKI is the public key as the rest of keyward has it.
func (p Public) SPKI() (key.Public, error) {
	parsed, err := p.parse()
	if err != nil {
		return nil, err
	}
	return key.MarshalSecp256k1([65]byte(parsed.SerializeUncompressed()))
}

// Fingerprint names the key: the beginning of its HASH160.
func (p Public) Fingerprint() [4]byte { return fingerprint(&p.Key) }

func fingerprint(point *[PointSize]byte) [4]byte {
	sum := sha256.Sum256(point[:])
	h := ripemd160.New()
	h.Write(sum[:])
	return [4]byte(h.Sum(nil))
}

// Text is the serialisation of BIP-32.
func (p Public) Text(v Version) string {
	b := make([]byte, 0, extendedSize+4)
	b = append(append(b, v[:]...), p.Depth)
	b = binary.BigEndian.AppendUint32(append(b, p.Parent[:]...), p.Number)
	b = append(append(b, p.Chain[:]...), p.Key[:]...)
	return base58Check(b)
}

// ParsePublic reads an xpub or tpub strictly.
func ParsePublic(s string) (Public, Version, error) {
	refuse := func(why string) (Public, Version, error) {
		return Public{}, Version{}, fmt.Errorf("%w: %s", ErrPublic, why)
	}
	if len(s) > maxExtended {
		return refuse("it is too long")
	}
	b, err := parseBase58Check(s)
	switch {
	case err != nil:
		return refuse(err.Error())
	case len(b) != extendedSize:
		return refuse(fmt.Sprintf("%d bytes, want %d", len(b), extendedSize))
	}
	v := Version(b[:4])
	p := Public{
		Depth: b[4], Parent: [4]byte(b[5:9]), Number: binary.BigEndian.Uint32(b[9:13]), Chain: [32]byte(b[13:45]), Key: [PointSize]byte(b[45:]),
	}
	switch {
	case v == xprv || v == tprv:
		return refuse("it is a PRIVATE key: whoever has seen it can spend")
	case v != XPub && v != TPub:
		return refuse("it begins neither with xpub nor with tpub")
	}
	if err := p.check(); err != nil {
		return refuse(err.Error())
	}
	return p, v, nil
}

func (p Public) check() error {
	if p.Depth == 0 && (p.Parent != [4]byte{} || p.Number != 0) {
		return errors.New("a master key that has a parent or a number")
	}
	_, err := p.parse()
	return err
}

// parse finds y, which takes longer than anything else here but a
// multiplication.
func (p Public) parse() (*secp256k1.PublicKey, error) {
	parsed, err := secp256k1.ParsePubKey(p.Key[:])
	if err != nil {
		return nil, errors.New("the point is not on the curve")
	}
	return parsed, nil
}

// Child is CKDpub, for a number that is not hardened.
func (p Public) Child(number uint32) (Public, error) {
	parsed, err := p.parse()
	if err != nil {
		return Public{}, err
	}
	return p.child(parsed, number)
}

func (p Public) child(parsed *secp256k1.PublicKey, number uint32) (Public, error) {
	switch {
	case number >= key.Hardened:
		return Public{}, fmt.Errorf("%w: only the private half derives hardened keys", ErrChild)
	case p.Depth == math.MaxUint8:
		return Public{}, fmt.Errorf("%w: it is deeper than 255 steps", ErrChild)
	}
	var data [PointSize + 4]byte
	copy(data[:], p.Key[:])
	left, right := step(&p.Chain, &data, number)
	var k secp256k1.ModNScalar
	if k.SetBytes(&left) != 0 {
		return Public{}, ErrChild
	}
	var add, parent, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&k, &add)
	parsed.AsJacobian(&parent)
	secp256k1.AddNonConst(&add, &parent, &sum)
	if sum.Z.IsZero() {
		return Public{}, ErrChild
	}
	return Public{Key: compress(&sum), Chain: right, Depth: p.Depth + 1, Parent: p.Fingerprint(), Number: number}, nil
}

// step is the HMAC that both derivations share.
func step(chain *[32]byte, data *[PointSize + 4]byte, number uint32) (left, right [32]byte) {
	binary.BigEndian.PutUint32(data[PointSize:], number)
	var m mac512
	m.key(chain[:])
	sum := m.sum(data[:])
	return [32]byte(sum[:32]), [32]byte(sum[32:])
}

// compress makes p affine and encodes it: SEC 1, section 2.3.3.
func compress(p *secp256k1.JacobianPoint) (point [PointSize]byte) {
	p.ToAffine()
	point[0] = 2
	if p.Y.IsOdd() {
		point[0] = 3
	}
	p.X.PutBytes((*[32]byte)(point[1:]))
	return point
}
