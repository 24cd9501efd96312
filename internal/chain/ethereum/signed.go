package ethereum

import (
	"bytes"
	"errors"
	"fmt"

	"keyward/internal/key"
)

// Signed is a signed transaction of type 0 to 4 in canonical form, with a
// signature in range and low-s. Whether the signature recovers is Sender's to
// say, whether a chain would take it is Check's.
type Signed struct {
	raw []byte
	tx  *tx
	sig key.Recoverable
}

// DecodeSigned reads a raw signed transaction strictly. It keeps a copy. Errors
// wrap chain.ErrPayload and name the field.
func DecodeSigned(raw []byte) (*Signed, error) {
	s, err := decodeSigned(bytes.Clone(raw))
	if err != nil {
		return nil, refuse(err)
	}
	return s, nil
}

func decodeSigned(raw []byte) (*Signed, error) {
	kind, content, count, err := openEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if want := itemsOf(kind) + signatureItems; count != want {
		return nil, fmt.Errorf("transaction of type %d: %d items, a signed one has %d", kind, count, want)
	}
	f := &fields{rest: content}
	s := &Signed{raw: raw, tx: &tx{kind: kind}}
	s.tx.read(f)
	v := f.uint64(vName(kind))
	s.sig.R, s.sig.S = f.word("r"), f.word("s")
	if err := f.end(); err != nil {
		return nil, err
	}
	if err := s.setV(v); err != nil {
		return nil, err
	}
	if err := checkSignature(s.sig); err != nil {
		return nil, err
	}
	return s, s.tx.check()
}

func vName(kind byte) string {
	if kind == legacyTx {
		return "v"
	}
	return "yParity"
}

// setV splits v into recovery id and, for type 0, chain id (EIP-155).
func (s *Signed) setV(v uint64) error {
	switch {
	case s.tx.kind != legacyTx && v <= 1:
		s.sig.V = byte(v)
	case s.tx.kind != legacyTx:
		return errors.New("yParity: want 0 or 1")
	case v == 27 || v == 28:
		s.sig.V = byte(v - 27)
	case v >= 37: // 35 and 36 would be chain 0
		s.sig.V = byte((v - 35) % 2)
		s.tx.chainID = (v - 35) / 2
	default:
		return fmt.Errorf("v: %d is neither 27, 28 nor that of a chain id (EIP-155)", v)
	}
	return nil
}

// Hash is the transaction's hash, by which chains call it.
func (s *Signed) Hash() [32]byte { return keccak(s.raw) }

// Digest is what was signed.
func (s *Signed) Digest() [32]byte { return s.tx.envelope().digest() }

// ChainID is the chain that the transaction binds itself to; 0 when a legacy
// transaction binds itself to none.
func (s *Signed) ChainID() uint64 { return s.tx.chainID }

// Signature is the signature over Digest.
func (s *Signed) Signature() key.Recoverable { return s.sig }

// Sender recovers the public key that signed; it costs about 0.1 ms.
func (s *Signed) Sender() (key.Public, error) {
	digest := s.Digest()
	return Recover(digest[:], s.sig)
}

// IntrinsicGas is what the transaction costs before its first instruction.
func (s *Signed) IntrinsicGas() uint64 { return s.tx.intrinsicGas() }

// Check refuses what a node of this chain at its newest fork would not take,
// whatever its state: another chain's id, too little gas, too much code.
func (s *Signed) Check(chainID uint64) error {
	t := s.tx
	switch {
	case t.chainID != 0 && t.chainID != chainID:
		return refuse(fmt.Errorf("chainId: %d, this chain has %d", t.chainID, chainID))
	case t.gas < t.leastGas():
		return refuse(fmt.Errorf("gas: %d is too little, at least %d", t.gas, t.leastGas()))
	case t.blobs.count > maxBlobs:
		return refuse(fmt.Errorf("blobVersionedHashes: %d blobs, at most %d (EIP-7594)", t.blobs.count, maxBlobs))
	case t.to == nil && len(t.data) > maxInitCode:
		return refuse(fmt.Errorf("data: %d bytes of code, at most %d (EIP-3860)", len(t.data), maxInitCode))
	}
	return nil
}

// assemble makes the raw signed transaction and reads it back as strictly as a
// stranger's: same digest, same signature, or nothing leaves. The signature
// itself was checked by who made it.
func (e envelope) assemble(sigs []key.Recoverable) ([]byte, error) {
	if len(sigs) != 1 {
		return nil, fmt.Errorf("got %d signatures, want 1", len(sigs))
	}
	sig := sigs[0]
	v := uint64(sig.V)
	if e.kind == legacyTx && e.chainID != 0 {
		v += 35 + 2*e.chainID
	} else if e.kind == legacyTx {
		v += 27
	}
	const tail = 9 + 33 + 33
	content := append(make([]byte, 0, len(e.content)+tail), e.content...)
	content = appendUint(content, v)
	content = appendInteger(content, sig.R[:])
	content = appendInteger(content, sig.S[:])
	raw := e.wrap(content)
	found, err := e.extract(raw)
	if err != nil {
		return nil, fmt.Errorf("signed transaction: %w", err)
	}
	if found[0] != sig {
		return nil, errors.New("signed transaction: it holds another signature than it was given")
	}
	return raw, nil
}

// extract reads a signed transaction and refuses every other than this one.
func (e envelope) extract(raw []byte) ([]key.Recoverable, error) {
	s, err := DecodeSigned(raw)
	if err != nil {
		return nil, err
	}
	if s.Digest() != e.digest() {
		return nil, refuse(errors.New("transaction: not the one that was to be signed"))
	}
	return []key.Recoverable{s.sig}, nil
}
