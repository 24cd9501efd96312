package key

import (
	"crypto"
	"fmt"
	"slices"
)

// Spec names the algorithm family and size of a key, in the words of the AWS KMS
// API where it has one.
type Spec string

// The specs of today.
const (
	AES256    Spec = "AES_256"
	HMAC256   Spec = "HMAC_256"
	HMAC384   Spec = "HMAC_384"
	HMAC512   Spec = "HMAC_512"
	RSA2048   Spec = "RSA_2048"
	RSA3072   Spec = "RSA_3072"
	RSA4096   Spec = "RSA_4096"
	P256      Spec = "ECC_NIST_P256"
	P384      Spec = "ECC_NIST_P384"
	P521      Spec = "ECC_NIST_P521"
	Secp256k1 Spec = "ECC_SECG_P256K1"
	Ed25519   Spec = "ECC_NIST_EDWARDS25519"
	HDSeed    Spec = "HD_SEED" // a tree of secp256k1 keys (BIP-39, BIP-32)
)

// Usage says what a key is for; a key has one for life.
type Usage string

// The usages of today.
const (
	SignVerify        Usage = "SIGN_VERIFY"
	EncryptDecrypt    Usage = "ENCRYPT_DECRYPT"
	GenerateVerifyMAC Usage = "GENERATE_VERIFY_MAC"
)

// Algorithm names what exactly is computed, in the words of the AWS KMS API
// where it has one.
type Algorithm string

// The algorithms of today. ECDSA signatures are ASN.1 DER with RFC 6979 nonces.
const (
	ECDSASHA256    Algorithm = "ECDSA_SHA_256"
	ECDSASHA384    Algorithm = "ECDSA_SHA_384"
	ECDSASHA512    Algorithm = "ECDSA_SHA_512"
	ED25519SHA512  Algorithm = "ED25519_SHA_512"
	RSAPSSSHA256   Algorithm = "RSASSA_PSS_SHA_256"
	RSAPSSSHA384   Algorithm = "RSASSA_PSS_SHA_384"
	RSAPSSSHA512   Algorithm = "RSASSA_PSS_SHA_512"
	RSAPKCS1SHA256 Algorithm = "RSASSA_PKCS1_V1_5_SHA_256"
	RSAPKCS1SHA384 Algorithm = "RSASSA_PKCS1_V1_5_SHA_384"
	RSAPKCS1SHA512 Algorithm = "RSASSA_PKCS1_V1_5_SHA_512"
	RSAOAEPSHA256  Algorithm = "RSAES_OAEP_SHA_256"
	XAES256GCM     Algorithm = "XAES_256_GCM"
	HMACSHA256     Algorithm = "HMAC_SHA_256"
	HMACSHA384     Algorithm = "HMAC_SHA_384"
	HMACSHA512     Algorithm = "HMAC_SHA_512"
	EthereumKeccak Algorithm = "ECDSA_SECP256K1_RECOVERABLE" // over a digest that package chain computed
	BitcoinSighash Algorithm = "SECP256K1_BITCOIN"           // likewise; ECDSA or BIP-340, as each input asks
)

// ChainAlgorithm is how keys of a chain's domain sign; "" for raw.
func (d Domain) ChainAlgorithm() Algorithm {
	switch d {
	case Bitcoin:
		return BitcoinSighash
	case Ethereum:
		return EthereumKeccak
	}
	return ""
}

type specRow struct {
	spec       Spec
	usage      Usage // of the first algorithms
	algorithms []Algorithm
	encrypts   []Algorithm // when the other usage is asked for; RSA alone
}

var (
	rsaSign    = []Algorithm{RSAPSSSHA256, RSAPSSSHA384, RSAPSSSHA512, RSAPKCS1SHA256, RSAPKCS1SHA384, RSAPKCS1SHA512}
	rsaEncrypt = []Algorithm{RSAOAEPSHA256}

	// specs is the one table of what each spec can do; the first algorithm is the default.
	specs = []specRow{
		{AES256, EncryptDecrypt, []Algorithm{XAES256GCM}, nil},
		{HMAC256, GenerateVerifyMAC, []Algorithm{HMACSHA256}, nil},
		{HMAC384, GenerateVerifyMAC, []Algorithm{HMACSHA384}, nil},
		{HMAC512, GenerateVerifyMAC, []Algorithm{HMACSHA512}, nil},
		{RSA2048, SignVerify, rsaSign, rsaEncrypt},
		{RSA3072, SignVerify, rsaSign, rsaEncrypt},
		{RSA4096, SignVerify, rsaSign, rsaEncrypt},
		{P256, SignVerify, []Algorithm{ECDSASHA256}, nil},
		{P384, SignVerify, []Algorithm{ECDSASHA384}, nil},
		{P521, SignVerify, []Algorithm{ECDSASHA512}, nil},
		{Secp256k1, SignVerify, []Algorithm{ECDSASHA256}, nil},
		{Ed25519, SignVerify, []Algorithm{ED25519SHA512}, nil},
		{HDSeed, SignVerify, []Algorithm{ECDSASHA256}, nil}, // of the master key, for nothing but proofs of its own
	}
)

// Specs lists every spec, for help texts and suites.
func Specs() []Spec {
	var all []Spec
	for _, row := range specs {
		all = append(all, row.spec)
	}
	return all
}

func (s Spec) row() (specRow, error) {
	for _, row := range specs {
		if row.spec == s {
			return row, nil
		}
	}
	return specRow{}, fmt.Errorf("unknown key spec %q: use one of %v", clip(string(s)), Specs())
}

// Usage returns the usage of a key of this spec: the spec's own when asked is
// empty, else asked, if the spec can.
func (s Spec) Usage(asked Usage) (Usage, error) {
	row, err := s.row()
	if err != nil {
		return "", err
	}
	if asked == "" || asked == row.usage {
		return row.usage, nil
	}
	if asked == EncryptDecrypt && row.encrypts != nil {
		return asked, nil
	}
	return "", fmt.Errorf("a key of spec %s cannot be for %q: use %s", s, asked, row.usage)
}

// Algorithms lists what a key of this spec and usage computes, the default
// first; nil when it cannot.
func (s Spec) Algorithms(u Usage) []Algorithm {
	row, err := s.row()
	switch {
	case err != nil:
		return nil
	case u == row.usage:
		return row.algorithms
	case u == EncryptDecrypt:
		return row.encrypts
	}
	return nil
}

// Algorithm picks the one asked for, or the default when asked is empty.
func (s Spec) Algorithm(u Usage, asked Algorithm) (Algorithm, error) {
	can := s.Algorithms(u)
	if len(can) == 0 {
		return "", fmt.Errorf("a key of spec %s has no algorithm for %q", s, u)
	}
	if asked == "" {
		return can[0], nil
	}
	if !slices.Contains(can, asked) {
		return "", fmt.Errorf("a key of spec %s and usage %s cannot do %q: use one of %v", s, u, clip(string(asked)), can)
	}
	return asked, nil
}

// Symmetric tells whether keys of this spec have no public half.
func (s Spec) Symmetric() bool {
	switch s {
	case AES256, HMAC256, HMAC384, HMAC512:
		return true
	}
	return false
}

// Hash is the digest that the algorithm is defined with; 0 where the whole
// message goes in (Ed25519) or none does (XAES).
func (a Algorithm) Hash() crypto.Hash {
	switch a {
	case ECDSASHA256, RSAPSSSHA256, RSAPKCS1SHA256, RSAOAEPSHA256, HMACSHA256:
		return crypto.SHA256
	case ECDSASHA384, RSAPSSSHA384, RSAPKCS1SHA384, HMACSHA384:
		return crypto.SHA384
	case ECDSASHA512, RSAPSSSHA512, RSAPKCS1SHA512, HMACSHA512:
		return crypto.SHA512
	}
	return 0
}

// Deterministic tells whether the same input always gives the same output, so
// that an interrupted operation may be repeated and a result checked by
// computing it twice. ECDSA nonces are those of RFC 6979.
func (a Algorithm) Deterministic() bool {
	switch a {
	case RSAPSSSHA256, RSAPSSSHA384, RSAPSSSHA512, RSAOAEPSHA256, XAES256GCM, "":
		return false
	}
	return true
}
