package keystoretest

import (
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"keyward/internal/key"
	"keyward/internal/seed"
)

// points are the public keys at and below an account, or of a key that has none
// below it.
type points struct {
	own     [seed.PointSize]byte
	account *seed.Account
}

func (s *suite) points(t testing.TB, k key.Key, path string) points {
	t.Helper()
	if k.Spec == key.HDSeed {
		var p key.Path
		if path != "" {
			var err error
			if p, err = key.ParsePath(path); err != nil {
				t.Fatal(err)
			}
		}
		a := s.Account(t, k, p)
		if path == "" {
			if own := s.points(t, key.Key{Versions: k.Versions}, "").own; own != a.Key {
				t.Errorf("the account of no path is at %x, the key at %x", a.Key, own)
			}
		}
		return points{a.Key, &a}
	}
	point, err := k.Versions[0].Public.Secp256k1()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := secp256k1.ParsePubKey(point[:])
	if err != nil {
		t.Fatal(err)
	}
	return points{own: [seed.PointSize]byte(parsed.SerializeCompressed())}
}

// at is the point at a path below.
func (p points) at(t testing.TB, below key.Path) []byte {
	t.Helper()
	if len(below) == 0 {
		return p.own[:]
	}
	child, err := p.account.Child(below)
	if err != nil {
		t.Fatal(err)
	}
	return child.Key[:]
}

func (p points) public(t testing.TB) key.Public {
	t.Helper()
	parsed, err := secp256k1.ParsePubKey(p.own[:])
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.MarshalSecp256k1([65]byte(parsed.SerializeUncompressed()))
	if err != nil {
		t.Fatal(err)
	}
	return public
}
