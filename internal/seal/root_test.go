package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha3"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/seal/sealtest"
)

var home = [32]byte{1, 2, 3} // an installation

// stream is randomness that is the same in every run.
func stream(seed string) io.Reader {
	s := sha3.NewSHAKE256()
	s.Write([]byte(seed))
	return s
}

func system() seal.Context {
	c := sample()
	c.Label = seal.CheckpointKey
	return c
}

func TestSealedRowOpensInItsPlaceOnly(t *testing.T) {
	root, _ := sealtest.Root(t, home)
	sealed, version, err := root.Seal(rand.Reader, system(), []byte("secret row"))
	if err != nil {
		t.Fatal(err)
	}
	if version != 1 || root.Version() != 1 {
		t.Fatalf("got version %d, want 1", version)
	}
	got, err := root.Open(system(), 1, sealed)
	if err != nil || string(got.View()) != "secret row" {
		t.Fatalf("got %q, %v", got.View(), err)
	}
	got.Destroy()

	eachField(system(), func(field string, other seal.Context) {
		_, err := root.Open(other, 1, sealed)
		switch field {
		case "Installation", "RootVersion": // the Root's own, whatever the caller says
			if err != nil {
				t.Errorf("%s: got %v, want it ignored", field, err)
			}
		case "Label":
			if !errors.Is(err, seal.ErrLabel) {
				t.Errorf("%s: got %v, want %v", field, err, seal.ErrLabel)
			}
		default:
			if !errors.Is(err, seal.ErrOpen) {
				t.Errorf("%s: got %v, want %v", field, err, seal.ErrOpen)
			}
		}
	})
	other := system()
	other.Label = seal.RowKey
	if _, err := root.Open(other, 1, sealed); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another label: got %v, want %v", err, seal.ErrOpen)
	}
	if _, err := root.Open(system(), 2, sealed); !errors.Is(err, seal.ErrVersion) {
		t.Errorf("another version: got %v, want %v", err, seal.ErrVersion)
	}
	if _, err := root.Open(system(), 1, nil); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("nothing: got %v, want %v", err, seal.ErrOpen)
	}
	elsewhere, _ := sealtest.Root(t, [32]byte{9})
	if _, err := elsewhere.Open(system(), 1, sealed); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another installation: got %v, want %v", err, seal.ErrOpen)
	}
}

func TestReservedLabelsAreRefused(t *testing.T) {
	root, _ := sealtest.Root(t, home)
	for _, label := range []seal.Label{"", "x", seal.WrappingKey, seal.Material, seal.OldRoot, seal.SlotPrivate, seal.SlotRoot, seal.SlotProof, seal.Ciphertext} {
		c := sample()
		c.Label = label
		if _, _, err := root.Seal(rand.Reader, c, nil); !errors.Is(err, seal.ErrLabel) {
			t.Errorf("Seal with label %q: got %v, want %v", label, err, seal.ErrLabel)
		}
		if _, err := root.Open(c, 1, make([]byte, 40)); !errors.Is(err, seal.ErrLabel) {
			t.Errorf("Open with label %q: got %v, want %v", label, err, seal.ErrLabel)
		}
	}
	for _, name := range []string{"", "unknown", "root/1", "/row"} {
		if _, err := root.SealSystem(rand.Reader, name, nil, []byte("x")); !errors.Is(err, seal.ErrLabel) {
			t.Errorf("system key %q: got %v, want %v", name, err, seal.ErrLabel)
		}
	}
}

func TestWrappedKeyOpensInItsPlaceOnly(t *testing.T) {
	root, _ := sealtest.Root(t, home)
	material := []byte("the private half of a key")
	wrapped, sealed, version, err := root.Wrap(rand.Reader, sample(), material)
	if err != nil {
		t.Fatal(err)
	}
	got, err := root.Unwrap(sample(), version, wrapped, sealed)
	if err != nil || !bytes.Equal(got.View(), material) {
		t.Fatalf("got %q, %v", got.View(), err)
	}
	got.Destroy()

	eachField(sample(), func(field string, other seal.Context) {
		_, err := root.Unwrap(other, version, wrapped, sealed)
		switch field {
		case "Label", "Installation", "RootVersion": // Wrap's own
			if err != nil {
				t.Errorf("%s: got %v, want it ignored", field, err)
			}
		default:
			if !errors.Is(err, seal.ErrOpen) {
				t.Errorf("%s: got %v, want %v", field, err, seal.ErrOpen)
			}
			if _, _, err := root.Rewrap(rand.Reader, other, version, wrapped); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("%s, Rewrap: got %v, want %v", field, err, seal.ErrOpen)
			}
		}
	})

	neighbour := sample()
	neighbour.ID = "key_01jd3v9k6e8w5x4t2r7q0n9m1q"
	wrapped2, sealed2, _, err := root.Wrap(rand.Reader, neighbour, material)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string][2][]byte{
		"another's wrapping key": {wrapped2, sealed},
		"another's material":     {wrapped, sealed2},
		"another's both":         {wrapped2, sealed2},
		"exchanged":              {sealed, wrapped},
		"no wrapping key":        {nil, sealed},
		"no material":            {wrapped, nil},
	} {
		if _, err := root.Unwrap(sample(), version, v[0], v[1]); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrOpen)
		}
	}
	if _, err := root.Unwrap(sample(), 2, wrapped, sealed); !errors.Is(err, seal.ErrVersion) {
		t.Errorf("another version: got %v, want %v", err, seal.ErrVersion)
	}
}

func TestOversizedPlaintextIsRefused(t *testing.T) {
	root, _ := sealtest.Root(t, home)
	huge := make([]byte, 64<<10+1)
	if _, _, err := root.Seal(rand.Reader, system(), huge); err == nil {
		t.Error("Seal: got no error")
	}
	if _, _, _, err := root.Wrap(rand.Reader, sample(), huge); err == nil {
		t.Error("Wrap: got no error")
	}
	if _, err := root.Open(system(), 1, make([]byte, 1<<20)); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("Open: got %v, want %v", err, seal.ErrOpen)
	}
}

func TestSystemKeysAndTheRowKey(t *testing.T) {
	root, _ := sealtest.Root(t, home)
	k, key, err := root.NewRowKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	opened, err := root.RowKey(k)
	if err != nil || !opened.Equal(key) {
		t.Fatalf("got another key, or %v", err)
	}
	opened.Destroy()

	ca, err := root.SealSystem(rand.Reader, seal.PurposeAuthority+"/2", []byte("public"), []byte("private"))
	if err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(k *seal.SystemKey){
		"name":    func(k *seal.SystemKey) { k.Name = seal.PurposeAuthority + "/3" },
		"purpose": func(k *seal.SystemKey) { k.Name = seal.PurposeCheckpoint + "/2" },
		"public":  func(k *seal.SystemKey) { k.Public = []byte("publix") },
		"sealed":  func(k *seal.SystemKey) { k.Sealed = k.Sealed[1:] },
	} {
		other := ca
		alter(&other)
		if _, err := root.OpenSystem(other); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s altered: got %v, want %v", name, err, seal.ErrOpen)
		}
	}
	if _, err := root.RowKey(ca); !errors.Is(err, seal.ErrLabel) {
		t.Errorf("authority as row key: got %v, want %v", err, seal.ErrLabel)
	}
}

func TestADestroyedRootDoesNothing(t *testing.T) {
	root, slot := sealtest.Root(t, home)
	row, key, err := root.NewRowKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	wrapped, sealed, version, err := root.Wrap(rand.Reader, sample(), []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	rotation, err := root.Rotate(rand.Reader, []seal.Slot{slot})
	if err != nil {
		t.Fatal(err)
	}
	root.Destroy()
	root.Destroy()

	calls := map[string]func() error{
		"Seal":   func() error { _, _, err := root.Seal(rand.Reader, system(), nil); return err },
		"Open":   func() error { _, err := root.Open(system(), version, sealed); return err },
		"Wrap":   func() error { _, _, _, err := root.Wrap(rand.Reader, sample(), nil); return err },
		"Unwrap": func() error { _, err := root.Unwrap(sample(), version, wrapped, sealed); return err },
		"Rewrap": func() error { _, _, err := root.Rewrap(rand.Reader, sample(), version, wrapped); return err },
		"RowKey": func() error { _, err := root.RowKey(row); return err },
		"Rotate": func() error { _, err := root.Rotate(rand.Reader, []seal.Slot{slot}); return err },
		"Apply":  rotation.Apply,
		"Retire": func() error { return root.Retire(1) },
		"AddSlot": func() error {
			_, err := root.AddSlot(t.Context(), rand.Reader, nil, newSlot(t, "two", "word"))
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("%s: got %v, want %v", name, err, seal.ErrSealed)
		}
	}
	rotation.Discard()
	if root.Version() != 0 || len(root.Versions()) != 0 {
		t.Errorf("got version %d, %v, want none", root.Version(), root.Versions())
	}
}

func TestDestroyWaitsForCallsUnderWay(t *testing.T) {
	for range 20 {
		root, _ := sealtest.Root(t, home)
		wrapped, sealed, version, err := root.Wrap(rand.Reader, sample(), []byte("material"))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					got, err := root.Unwrap(sample(), version, wrapped, sealed)
					if errors.Is(err, seal.ErrSealed) {
						return
					}
					if err != nil || string(got.View()) != "material" {
						t.Errorf("got %q, %v", got.View(), err)
						return
					}
					got.Destroy()
				}
			})
		}
		root.Destroy()
		wg.Wait()
	}
}

func TestARootIsNeverPrinted(t *testing.T) {
	root, _ := sealtest.Root(t, home)
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(format, root); got != "[root key]" {
			t.Errorf("%s: got %s", format, got)
		}
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "root", root)
	if !strings.Contains(log.String(), "[root key]") {
		t.Errorf("logged: %s", log.String())
	}
}

func TestRandomnessThatRunsDryLeavesNothing(t *testing.T) {
	for n := range int64(32 + 10 + 16 + 32 + 24 + 24) {
		_, _, err := seal.Init(t.Context(), io.LimitReader(rand.Reader, n), home, newSlot(t, "one", "word"))
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes of randomness: got %v", n, err)
		}
	}
}

func BenchmarkRoot(b *testing.B) {
	root, _ := sealtest.Root(b, home)
	material := make([]byte, 32)
	wrapped, sealed, version, err := root.Wrap(rand.Reader, sample(), material)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("wrap-32", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, _, err := root.Wrap(rand.Reader, sample(), material); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unwrap-32", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := root.Unwrap(sample(), version, wrapped, sealed)
			if err != nil {
				b.Fatal(err)
			}
			m.Destroy()
		}
	})
	b.Run("associated-data", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sample().AssociatedData()
		}
	})
}
