package seal_test

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"keyward/internal/seal"
)

// sample has another value in every field.
func sample() seal.Context {
	return seal.Context{
		Label:        seal.Material,
		Installation: [32]byte(bytes.Repeat([]byte{0x11}, 32)),
		Table:        "material",
		ID:           "key_01jd3v9k6e8w5x4t2r7q0n9m1p",
		Version:      3,
		Spec:         "ECC_SECG_P256K1",
		Usage:        "SIGN_VERIFY",
		Domain:       "ethereum",
		Exportable:   true,
		Origin:       "generated",
		PublicHash:   [32]byte(bytes.Repeat([]byte{0x22}, 32)),
		RootVersion:  7,
	}
}

// The bytes of docs/formats/sealed.md, written by hand after RFC 8949.
func TestAssociatedDataIsAsDocumented(t *testing.T) {
	want := "ac" + // map of 12
		"01" + "73" + hex.EncodeToString([]byte("keyward/material/v1")) +
		"02" + "5820" + "1111111111111111111111111111111111111111111111111111111111111111" +
		"03" + "68" + hex.EncodeToString([]byte("material")) +
		"04" + "781e" + hex.EncodeToString([]byte("key_01jd3v9k6e8w5x4t2r7q0n9m1p")) +
		"05" + "03" +
		"06" + "6f" + hex.EncodeToString([]byte("ECC_SECG_P256K1")) +
		"07" + "6b" + hex.EncodeToString([]byte("SIGN_VERIFY")) +
		"08" + "68" + hex.EncodeToString([]byte("ethereum")) +
		"09" + "f5" +
		"0a" + "69" + hex.EncodeToString([]byte("generated")) +
		"0b" + "5820" + "2222222222222222222222222222222222222222222222222222222222222222" +
		"0c" + "07"
	if got := hex.EncodeToString(sample().AssociatedData()); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	zero := "ac" + "0160" + "025820" + hex.EncodeToString(make([]byte, 32)) + "0360" + "0460" + "0500" + "0660" + "0760" +
		"0860" + "09f4" + "0a60" + "0b5820" + hex.EncodeToString(make([]byte, 32)) + "0c00"
	if got := hex.EncodeToString(seal.Context{}.AssociatedData()); got != zero {
		t.Fatalf("every field is always there: got %s, want %s", got, zero)
	}
}

// eachField calls f with contexts that differ from c in one field each. A field
// added to Context and forgotten here cannot be forgotten: it is found by name.
func eachField(c seal.Context, f func(field string, other seal.Context)) {
	for i := range reflect.TypeFor[seal.Context]().NumField() {
		other := c
		v := reflect.ValueOf(&other).Elem().Field(i)
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Uint64:
			v.SetUint(v.Uint() + 1)
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Array:
			v.Index(31).SetUint(v.Index(31).Uint() ^ 1)
		default:
			panic("a kind of field that this test does not know")
		}
		f(reflect.TypeFor[seal.Context]().Field(i).Name, other)
	}
}

func TestEveryFieldOfTheContextIsAuthenticated(t *testing.T) {
	key := bytes.Repeat([]byte{7}, seal.KeySize)
	x, err := seal.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Wipe()
	sealed, err := x.Seal(nil, stream("context"), []byte("m"), sample().AssociatedData())
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	eachField(sample(), func(field string, other seal.Context) {
		fields++
		if _, err := x.Open(nil, sealed, other.AssociatedData()); err == nil {
			t.Errorf("%s changed: opened", field)
		}
	})
	if fields != 12 {
		t.Fatalf("got %d fields, want 12", fields)
	}
}
