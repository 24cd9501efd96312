package seal_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/passphrase"
	"keyward/internal/secret"
)

// Run with -update only when a format changes, under new labels.
var update = flag.Bool("update", false, "write the golden file anew")

const (
	goldenFile       = "testdata/installation.golden"
	goldenPassphrase = "correct horse battery staple"
)

// golden is an installation as it lies on disk: after one rotation, with a row
// under each version. docs/formats says how to read it.
type golden struct {
	Installation string
	KeyFile      string
	Passphrase   string
	Slots        []seal.Slot
	Ring         []seal.SystemKey
	RowKey       seal.SystemKey // under version 1
	RowKeyOpen   string
	RootVersion  uint64 // of Wrapped
	WrappedFor   string // associated data, which a reader makes itself
	Wrapped      []byte
	SealedFor    string
	Sealed       []byte
	Material     string
}

var goldenMethods = []seal.Method{keyfile.Method{}, passphrase.Method{}}

func goldenContext() seal.Context {
	c := sample()
	c.Label, c.Installation, c.RootVersion = "", [32]byte{}, 0
	return c
}

func makeGolden(t *testing.T) golden {
	t.Helper()
	random := stream("golden")
	installation := [32]byte(bytes.Repeat([]byte{0x11}, 32))
	dir := t.TempDir()
	file, err := keyfile.Create(random, dir+"/key", dir+"/data")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Destroy()
	line, err := os.ReadFile(dir + "/key")
	if err != nil {
		t.Fatal(err)
	}
	word := passphrase.Credential(secret.Take([]byte(goldenPassphrase)))
	defer word.Destroy()

	root, first, err := seal.Init(t.Context(), random, installation, seal.NewSlot{Method: keyfile.Method{}, Credential: file, Name: "auto", Created: 1767225600000})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Destroy()
	second, err := root.AddSlot(t.Context(), random, []seal.Slot{first},
		seal.NewSlot{Method: passphrase.Method{}, Credential: word, Name: "operator", Created: 1767225600001})
	if err != nil {
		t.Fatal(err)
	}
	row, key, err := root.NewRowKey(random)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	rotation, err := root.Rotate(random, []seal.Slot{first, second})
	if err != nil {
		t.Fatal(err)
	}
	if err := rotation.Apply(); err != nil {
		t.Fatal(err)
	}
	g := golden{
		Installation: hex.EncodeToString(installation[:]), KeyFile: string(line), Passphrase: goldenPassphrase,
		Slots: rotation.Slots, Ring: rotation.Ring, RowKey: row, RowKeyOpen: hex.EncodeToString(key.View()),
		Material: hex.EncodeToString([]byte("material of thirty-two bytes ok.")),
	}
	g.Wrapped, g.Sealed, g.RootVersion, err = root.Wrap(random, goldenContext(), unhex(t, g.Material))
	if err != nil {
		t.Fatal(err)
	}
	c := goldenContext()
	c.Installation, c.Label, c.RootVersion = installation, seal.WrappingKey, 2
	g.WrappedFor = hex.EncodeToString(c.AssociatedData())
	c.Label, c.RootVersion = seal.Material, 0
	g.SealedFor = hex.EncodeToString(c.AssociatedData())
	return g
}

func readGolden(t testing.TB) (g golden) {
	t.Helper()
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestFormatsStayAsTheyWereWritten(t *testing.T) {
	made := makeGolden(t)
	if *update {
		b, err := json.MarshalIndent(made, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := readGolden(t)

	// Written the same: all but HPKE, whose randomness is the library's.
	blank := func(g golden) string {
		for i := range g.Slots {
			g.Slots[i].SealedRoot = nil
		}
		b, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if now, then := blank(made), blank(g); now != then {
		t.Errorf("written now:\n%s\nin the golden file:\n%s", now, then)
	}

	// Read the same, by either credential.
	g = readGolden(t)
	file, err := keyfile.Parse([]byte(g.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Destroy()
	word := passphrase.Credential(secret.Take([]byte(g.Passphrase)))
	defer word.Destroy()
	sealed := seal.Sealed{Installation: [32]byte(unhex(t, g.Installation)), Slots: g.Slots, Ring: g.Ring}
	for i, cred := range []seal.Credential{file, word} {
		root, id, err := seal.Unseal(t.Context(), sealed, goldenMethods, cred)
		if err != nil || id != g.Slots[i].ID {
			t.Fatalf("%s: got slot %q, %v, want %q", cred.Kind, id, err, g.Slots[i].ID)
		}
		defer root.Destroy()
		row, err := root.RowKey(g.RowKey)
		if err != nil || hex.EncodeToString(row.View()) != g.RowKeyOpen {
			t.Errorf("%s: another row key, or %v", cred.Kind, err)
		}
		row.Destroy()
		material, err := root.Unwrap(goldenContext(), g.RootVersion, g.Wrapped, g.Sealed)
		if err != nil || hex.EncodeToString(material.View()) != g.Material {
			t.Errorf("%s: another material, or %v", cred.Kind, err)
		}
		material.Destroy()
	}
}
