package keystoretest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
)

var pairs = []chain.Pair{{Name: "a", Value: "1"}, {Name: "purpose", Value: "payroll"}}

func (s *suite) encrypts(t *testing.T, kind kind) {
	k, alg := s.key(t, kind), kind.spec.Algorithms(key.EncryptDecrypt)[0]
	sizes := []int{0, 1, 32, 4096, keystore.MaxPlaintext}
	if alg == key.RSAOAEPSHA256 {
		most := map[key.Spec]int{key.RSA2048: 256, key.RSA3072: 384, key.RSA4096: 512}[kind.spec] - 66
		sizes = []int{0, 1, 32, most}
	}
	for _, n := range sizes {
		plaintext := bytes.Repeat([]byte{byte(n), 0x5a}, n/2+1)[:n]
		sealed := s.encrypt(t, k, alg, plaintext, pairs)
		if n < 4096 && n > 1 && bytes.Contains(sealed, plaintext) {
			t.Errorf("%d bytes: the envelope shows its plaintext", n)
		}
		if bytes.Equal(sealed, s.encrypt(t, k, alg, plaintext, pairs)) {
			t.Errorf("%d bytes: two encryptions are the same", n)
		}
		s.opens(t, k, alg, sealed, pairs, plaintext)
	}
	much := make([]byte, sizes[len(sizes)-1]+1)
	if _, err := s.use(t, k, alg, plain(t, key.Encrypt, chain.TypeMsg, alg, much)); !errors.Is(err, keystore.ErrUnfit) {
		t.Errorf("%d bytes: got %v, want %v", len(much), err, keystore.ErrUnfit)
	}
	s.opensNothingElse(t, kind, alg)
	s.dataKeys(t, k, alg)
}

func (s *suite) encrypt(t testing.TB, k key.Key, alg key.Algorithm, plaintext []byte, context []chain.Pair) []byte {
	t.Helper()
	r := s.must(t, k, alg, plain(t, key.Encrypt, chain.TypeMsg, alg, plaintext, context...))
	only(t, r, false, false, true, false)
	env, err := keystore.ParseEnvelope(r.Output())
	if err != nil {
		t.Fatal(err)
	}
	if want := (key.Ref{ID: k.ID, Version: k.Current}); env.Key != want || env.Algorithm != alg {
		t.Errorf("got an envelope of %s by %s, want %s by %s", env.Key, env.Algorithm, want, alg)
	}
	return r.Output()
}

func (s *suite) opens(t testing.TB, k key.Key, alg key.Algorithm, sealed []byte, context []chain.Pair, want []byte) {
	t.Helper()
	r := s.must(t, k, alg, plain(t, key.Decrypt, chain.TypeMsg, alg, sealed, context...))
	plaintext := r.Secret()
	defer plaintext.Destroy()
	only(t, r, false, false, false, len(want) > 0)
	if !bytes.Equal(plaintext.View(), want) {
		t.Errorf("%d bytes: got another plaintext", len(want))
	}
}

func (s *suite) opensNothingElse(t *testing.T, kind kind, alg key.Algorithm) {
	k := s.key(t, kind)
	sealed := s.encrypt(t, k, alg, []byte("plaintext"), pairs)
	refuse := func(name string, k key.Key, sealed []byte, context []chain.Pair) {
		t.Helper()
		_, err := s.use(t, k, alg, plain(t, key.Decrypt, chain.TypeMsg, alg, sealed, context...))
		if !errors.Is(err, keystore.ErrCorrupt) && !errors.Is(err, keystore.ErrEnvelope) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	refuse("no context", k, sealed, nil)
	refuse("less context", k, sealed, pairs[:1])
	refuse("more context", k, sealed, append(pairs[:2:2], chain.Pair{Name: "z", Value: ""}))
	refuse("another value", k, sealed, []chain.Pair{pairs[0], {Name: "purpose", Value: "payrolm"}})
	refuse("another name", k, sealed, []chain.Pair{pairs[0], {Name: "purposE", Value: "payroll"}})
	refuse("name and value joined otherwise", k, sealed, []chain.Pair{pairs[0], {Name: "purposep", Value: "ayroll"}})
	for _, i := range []int{0, 2, 3, 18, 19, 22, 23, 24, 47, 48, len(sealed) - 1} { // one of each field
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		refuse(fmt.Sprintf("byte %d altered", i), k, altered, pairs)
	}
	refuse("cut", k, sealed[:len(sealed)-1], pairs)
	refuse("longer", k, append(bytes.Clone(sealed), 0), pairs)
	refuse("empty", k, nil, pairs)
	other := s.Create(t, newKey(t, kind))
	refuse("another key", other, sealed, pairs)
	forged := s.encrypt(t, other, alg, []byte("plaintext"), pairs)
	copy(forged[:keystore.EnvelopeHeader], sealed)
	refuse("another key under this key's name", k, forged, pairs)
}

func (s *suite) dataKeys(t *testing.T, k key.Key, alg key.Algorithm) {
	var before []byte
	for range 2 {
		r := s.must(t, k, alg, plain(t, key.DataKey, chain.TypeMsg, alg, nil, pairs...))
		only(t, r, false, false, true, true)
		made := r.Secret()
		defer made.Destroy()
		if made.Len() != 32 || bytes.Equal(made.View(), before) {
			t.Errorf("got a data key of %d bytes, want 32 that are new", made.Len())
		}
		s.opens(t, k, alg, r.Output(), pairs, made.View())
		before = bytes.Clone(made.View())
	}
}
