package software

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"

	"keyward/internal/key"
	"keyward/internal/secret"
)

// A generator makes the material of a spec and its public half. All randomness
// is crypto/rand's: the standard library takes no other for these keys, and
// evidence of a birth would be worth nothing if it could be another.
type generator func(key.Spec) (secret.Bytes, key.Public, error)

// generators also names the procedure, for the evidence.
func generators(s key.Spec) (make generator, procedure string) {
	switch s {
	case key.AES256, key.HMAC256, key.HMAC384, key.HMAC512:
		return randomBytes, "NIST SP 800-133r2, section 6.1"
	case key.P256, key.P384, key.P521, key.Secp256k1:
		if s == key.Secp256k1 || s == key.P256 && !fips140.Enabled() {
			return generateScalar, "FIPS 186-5, appendix A.2.2"
		}
		return generateNIST, "FIPS 186-5, appendix A.2.2"
	case key.HDSeed:
		return generateSeed(seedBits), seedMethod
	case key.Ed25519:
		return generateEdwards, "RFC 8032, section 5.1.5"
	case key.RSA2048, key.RSA3072, key.RSA4096:
		return generateRSA, "FIPS 186-5, appendix A.1.3"
	}
	return nil, ""
}

func randomBytes(s key.Spec) (secret.Bytes, key.Public, error) {
	size := 32
	if hash := s.Algorithms(key.GenerateVerifyMAC); hash != nil {
		size = hash[0].Hash().Size()
	}
	material, err := secret.Random(rand.Reader, size)
	return material, nil, err
}

// generateNIST leaves the work to the standard library.
func generateNIST(s key.Spec) (material secret.Bytes, public key.Public, err error) {
	c := map[key.Spec]elliptic.Curve{key.P256: elliptic.P256(), key.P384: elliptic.P384(), key.P521: elliptic.P521()}[s]
	material = secret.New((c.Params().BitSize + 7) / 8)
	var x ecdsa.PublicKey
	secret.Do(func() {
		var private *ecdsa.PrivateKey
		if private, err = ecdsa.GenerateKey(c, rand.Reader); err != nil {
			return
		}
		var scalar []byte
		if scalar, err = private.Bytes(); err != nil {
			return
		}
		copy(material.View(), scalar)
		secret.Wipe(scalar)
		x = private.PublicKey
		(&nistKey{private}).wipe()
	})
	if err == nil {
		public, err = key.MarshalPublic(&x)
	}
	return material, public, err
}

// generateScalar draws until a number is between 0 and the order: nearly always
// once. It puts nothing on the heap.
func generateScalar(s key.Spec) (secret.Bytes, key.Public, error) {
	c := &curveP256
	if s == key.Secp256k1 {
		c = &curveSecp256k1
	}
	for {
		material, err := secret.Random(rand.Reader, 32)
		if err != nil {
			return material, nil, err
		}
		var x, y [32]byte
		good := false
		secret.Do(func() {
			d := (*[32]byte)(material.View())
			if k := fromBytes(d); !k.isZero() && k.below(&c.order.n) {
				x, y = c.multiply(d)
				good = true
			}
		})
		if good {
			public, err := c.public(&x, &y)
			return material, public, err
		}
		material.Destroy()
	}
}

// public encodes a point of the curve.
func (c *curve256) public(x, y *[32]byte) (key.Public, error) {
	point := [65]byte{4} // uncompressed: SEC 1, section 2.3.3
	copy(point[1:], x[:])
	copy(point[33:], y[:])
	if c.koblitz {
		return key.MarshalSecp256k1(point)
	}
	p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point[:])
	if err != nil {
		return nil, err
	}
	return key.MarshalPublic(p)
}

func generateEdwards(key.Spec) (secret.Bytes, key.Public, error) {
	material, err := secret.Random(rand.Reader, ed25519.SeedSize)
	if err != nil {
		return material, nil, err
	}
	x := make(ed25519.PublicKey, ed25519.PublicKeySize)
	secret.Do(func() { copy(x, ed25519.NewKeyFromSeed(material.View())[ed25519.SeedSize:]) })
	public, err := key.MarshalPublic(x)
	return material, public, err
}

func generateRSA(s key.Spec) (material secret.Bytes, public key.Public, err error) {
	bits := rsaBits(s)
	room := secret.New(bits) // an RSAPrivateKey of two primes is about 4.7 times as long as the modulus
	defer room.Destroy()
	n := 0
	var modulus []byte
	exponent := 0
	secret.Do(func() {
		var private *rsa.PrivateKey
		if private, err = rsa.GenerateKey(rand.Reader, bits); err != nil {
			return
		}
		der := x509.MarshalPKCS1PrivateKey(private)
		if len(der) > room.Len() {
			err = fmt.Errorf("%d bytes of RSAPrivateKey", len(der))
		}
		n = copy(room.View(), der)
		secret.Wipe(der)
		(&rsaKey{private}).wipe()
		modulus, exponent = private.N.Bytes(), private.E
	})
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	material = secret.New(n)
	copy(material.View(), room.View())
	x := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: exponent}
	public, err = key.MarshalPublic(x)
	return material, public, err
}
