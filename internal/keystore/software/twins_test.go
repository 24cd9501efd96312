package software_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"keyward/internal/chain"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/keystoretest"
	"keyward/internal/twintest"
)

// TestNoWrongSignatureLeaves passes on a machine that computes wrongly now and
// then: what is wrong is withheld, also at birth.
func TestNoWrongSignatureLeaves(t *testing.T) {
	w := newWorld(t, 0)
	w.births = 100 // some fail their test
	for _, k := range []key.Key{
		{Spec: key.P256}, {Spec: key.P384}, {Spec: key.P521}, {Spec: key.Secp256k1}, {Spec: key.Secp256k1, Domain: key.Bitcoin}, {Spec: key.HDSeed}, {Spec: key.Ed25519}, {Spec: key.RSA2048},
	} {
		k = w.create(t, k)
		withheld, all := 0, 0
		see := func(r keystore.Result, err error, holds func(keystore.Result) error) {
			all++
			switch {
			case errors.Is(err, keystore.ErrCheck) && !r.Valid():
				withheld++
			case err != nil:
				t.Errorf("%s: %v", k.Spec, err)
			default:
				if err := holds(r); err != nil {
					t.Errorf("%s: a wrong signature left: %v", k.Spec, err)
				}
			}
		}
		if k.Domain != key.Raw {
			for i := range 24 {
				parsed, lie, path := keystoretest.Tasks(t, key.Bitcoin, chain.Task{Scheme: key.Scheme(i % 3)}), k, ""
				lie.Domain = key.Bitcoin
				if k.Spec == key.HDSeed {
					path = "m/84h/0h/0h/0/" + strconv.Itoa(i/6)
				}
				permit := w.permitAt(lie, path, key.BitcoinSighash, parsed)
				r, err := w.Use(context.Background(), permit)
				w.finish(permit)
				see(r, err, func(r keystore.Result) error {
					return keystore.VerifyTask(w.publicAt(t, k, path), parsed.Tasks()[0], r.Recoverable()[0])
				})
			}
			t.Logf("withheld %t of %s: %d of %d", withheld > 0, k.Spec, withheld, all)
			continue
		}
		for _, alg := range k.Spec.Algorithms(k.Usage) {
			for i := range 8 {
				digest, typ := make([]byte, 32), chain.TypeMsg
				if h := alg.Hash(); h != 0 {
					digest, typ = make([]byte, h.Size()), chain.Digest
				}
				digest[0] = byte(i)
				p, err := chain.ParsePlain(key.Sign, typ, alg.Hash(), digest, nil)
				if err != nil {
					t.Fatal(err)
				}
				permit := w.permit(k, alg, p)
				r, err := w.Use(context.Background(), permit)
				w.finish(permit)
				see(r, err, func(r keystore.Result) error {
					return keystore.Verify(k.Versions[0].Public, alg, digest, r.Signature())
				})
			}
		}
		t.Logf("withheld %t of %s: %d of %d", withheld > 0, k.Spec, withheld, all)
	}
}

// A fault clears the last bit of half of all signatures.
const (
	sound = "	if !holds(made) {\n"
	fault = `	switch m := any(&made).(type) {
	case *signature256:
		m.s[31] &^= 1
	case *key.Signature:
		(*m)[len(*m)-1] &^= 1
	}
`
)

func TestAFaultIsWithheldFromEverySpec(t *testing.T) {
	if testing.Short() {
		t.Skip("short: a faulty twin is a build of its own")
	}
	out, err := under(t, "^TestNoWrongSignatureLeaves$", "check.go", twintest.Edited(t, "check.go", sound, fault+sound))
	if err != nil {
		t.Fatalf("on a faulty machine: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), "withheld true"); n != 8 {
		t.Errorf("got signatures withheld from %d keys, want 8\n%s", n, out)
	}
}

func TestTheSuiteFindsWhatIsBroken(t *testing.T) {
	for name, twin := range map[string]struct{ run, file, old, broken string }{
		"a signature is not checked":      {"^TestNoWrongSignatureLeaves$", "check.go", sound, fault + "	if holds(made); false {\n"},
		"a key does what it was not for":  {"^TestKeystoreWithoutRoom$", "software.go", "e.secret.purpose().Fits(order); err != nil", "e.secret.purpose().Fits(order); err != nil && false"},
		"a destroyed key comes back":      {"^TestWhatWasLoadedBeforeAPurgeIsNotKept$", "cache.go", "if s.purges != purges {", "if false {"},
		"a key is wiped under its user":   {"^TestAKeyInUseIsNotWiped$", "cache.go", "if e.holds.Add(-1) == 0 {", "if e.holds.Add(-1) >= 0 {"},
		"the context is not bound":        {"^TestKeystoreWithoutRoom$", "software.go", "payload, context := o.Parsed.Payload(), o.Parsed.Context()", "payload, context := o.Parsed.Payload(), o.Parsed.Context()[:0]"},
		"s is left in the upper half":     {"^TestKeystoreWithoutRoom$", "ecdsa256.go", "if c.koblitz && c.order.half.below(&s) {", "if false {"},
		"a payload names another key":     {"^TestKeystoreWithoutRoom$", "task.go", "!bytes.Equal(t.Point, point[:])", "!bytes.Equal(t.Point, point[:]) && false"},
		"an odd key is not negated":       {"^TestKeystoreWithoutRoom$", "schnorr256.go", "	d = c.even(&d, y[31])\n	if scheme", "	if scheme"},
		"taproot is not tweaked":          {"^TestKeystoreWithoutRoom$", "schnorr256.go", "if scheme == key.Taproot {", "if false {"},
		"one copy of a seed is believed":  {"^TestAFallenBitOfASeedIsFound$", "scalarkey.go", "c.again(&s, (*[32]byte)(twice[32:]), &e)", "c.again(&s, (*[32]byte)(twice[:32]), &e)"},
		"schnorr is not checked":          {"^TestAFallenBitOfASeedIsFound$", "task.go", "second, ok := compute(1)", "second, ok := compute(0)"},
		"nodes are not bounded":           {"^TestNodesAreBounded$", "tree.go", "const maxNodes = 256", "const maxNodes = 256000"},
		"nodes are left behind":           {"^TestNothingOfASeedIsLeftReady$", "tree.go", "	t.nodes.purge(func(place) bool { return true })\n", ""},
		"sealing leaves what is prepared": {"^TestAfterLockNothingWorks$", "software.go", "	k.cache.purge(func(key.Ref) bool { return true })\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			twintest.MustFail(t, ".", twin.run, twin.file, twintest.Edited(t, twin.file, twin.old, twin.broken))
		})
	}
}

// under runs a test of this package with twin in the place of file.
func under(t *testing.T, run, file, twin string) ([]byte, error) {
	t.Helper()
	from, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{from: twin}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.Command("go", "test", "-vet=off", "-count=1", "-v", "-overlay", name, "-run", run, ".").CombinedOutput()
}
