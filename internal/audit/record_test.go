package audit_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyward/internal/audit"
)

func TestRecordSurvivesEncoding(t *testing.T) {
	full := example(1)
	full.Outcome, full.Result, full.Count, full.Detail, full.Previous = "done", [32]byte{1}, 9, "häßlich 😀", [32]byte{31: 1}
	smallest := audit.Record{Sequence: 1, Action: "a", Phase: audit.Noted}
	largest := audit.Record{Sequence: math.MaxUint64, Time: math.MaxInt64, Action: "a", Phase: audit.Ended, Charter: math.MaxUint64, Epoch: 1 << 63, Count: math.MaxUint64}
	for name, want := range map[string]audit.Record{"full": full, "smallest": smallest, "largest": largest} {
		b := want.Encode()
		got, err := audit.DecodeRecord(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if !bytes.HasSuffix(b, want.Previous[:]) {
			t.Errorf("%s: the previous running hash is not at the end", name)
		}
	}
}

func TestRecordSurvivesEncodingWhateverItSays(t *testing.T) {
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 40, -1))
	charge := rapid.Custom(func(t *rapid.T) audit.Charge {
		return audit.Charge{Asset: text.Draw(t, "asset"), Destination: text.Draw(t, "destination"), Amount: text.Draw(t, "amount")}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := audit.Record{
			Sequence: rapid.Uint64Min(1).Draw(t, "sequence"), Time: rapid.Int64Min(0).Draw(t, "time"), Node: text.Draw(t, "node"),
			Action: rapid.StringN(1, 40, -1).Draw(t, "action"), Phase: rapid.SampledFrom([]string{audit.Begun, audit.Denied}).Draw(t, "phase"),
			Subject: text.Draw(t, "subject"), Count: rapid.Uint64().Draw(t, "count"), Detail: text.Draw(t, "detail"),
			Rules: rapid.SliceOfN(text, 0, 20).Draw(t, "rules"), Charges: rapid.SliceOfN(charge, 0, 20).Draw(t, "charges"),
		}
		if len(want.Rules) == 0 {
			want.Rules = nil
		}
		if len(want.Charges) == 0 {
			want.Charges = nil
		}
		got, err := audit.DecodeRecord(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestStrangersBytesLeaveARecordReadable(t *testing.T) {
	rules := []string{"fine", "bad\xff"}
	r := audit.Record{
		Sequence: 1, Action: "key.sign", Phase: audit.Denied, Actor: "\xff\xfe", Detail: "cut in a rune: \xf0\x9f\x98", Rules: rules,
		Charges: []audit.Charge{{Destination: "\x80"}},
	}
	got, err := audit.DecodeRecord(r.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got.Actor != "\uFFFD" || got.Rules[1] != "bad\uFFFD" || got.Charges[0].Destination != "\uFFFD" || got.Detail != "cut in a rune: \uFFFD" {
		t.Errorf("got %+v", got)
	}
	if rules[1] != "bad\xff" {
		t.Error("the caller's memory was changed")
	}
}

func TestDecodeRecordRefusesAllButCanonicalForm(t *testing.T) {
	good := audit.Record{Sequence: 1, Time: 2, Action: "a", Phase: audit.Noted}.Encode()
	// {1: 1, 2: 2, 4: "a", 5: "noted", 20: h'00…'}
	if want := "\xa5\x01\x01\x02\x02\x04\x61a\x05\x65noted\x14\x58\x20" + strings.Repeat("\x00", 32); string(good) != want {
		t.Fatalf("got %x, want %x", good, want)
	}
	tail := "\x14\x58\x20" + strings.Repeat("\x00", 32)
	for name, bad := range map[string]string{
		"empty":            "",
		"no map":           "\x01",
		"null":             "\xf6",
		"cut":              string(good[:len(good)-1]),
		"trailing byte":    string(good) + "\x00",
		"unknown key":      "\xa6\x01\x01\x02\x02\x04\x61a\x05\x65noted" + tail + "\x15\x01",
		"text key":         "\xa6\x01\x01\x02\x02\x04\x61a\x05\x65noted" + tail + "\x61x\x01",
		"duplicate key":    "\xa6\x01\x01\x01\x01\x02\x02\x04\x61a\x05\x65noted" + tail,
		"wrong order":      "\xa5\x02\x02\x01\x01\x04\x61a\x05\x65noted" + tail,
		"long integer":     "\xa5\x01\x18\x01\x02\x02\x04\x61a\x05\x65noted" + tail,
		"long text":        "\xa5\x01\x01\x02\x02\x04\x78\x01a\x05\x65noted" + tail,
		"indefinite map":   "\xbf\x01\x01\x02\x02\x04\x61a\x05\x65noted" + tail + "\xff",
		"indefinite text":  "\xa5\x01\x01\x02\x02\x04\x7f\x61a\xff\x05\x65noted" + tail,
		"tag":              "\xc0" + string(good),
		"float":            "\xa5\x01\xf9\x3c\x00\x02\x02\x04\x61a\x05\x65noted" + tail,
		"bytes for text":   "\xa5\x01\x01\x02\x02\x04\x41a\x05\x65noted" + tail,
		"bad UTF-8":        "\xa5\x01\x01\x02\x02\x04\x61\xff\x05\x65noted" + tail,
		"zero written out": "\xa6\x01\x01\x02\x02\x03\x60\x04\x61a\x05\x65noted" + tail,
		"null field":       "\xa6\x01\x01\x02\x02\x03\xf6\x04\x61a\x05\x65noted" + tail,
		"empty list":       "\xa6\x01\x01\x02\x02\x04\x61a\x05\x65noted\x0c\x80" + tail,
		"short hash":       "\xa5\x01\x01\x02\x02\x04\x61a\x05\x65noted\x14\x41\x00",
		"no previous":      "\xa4\x01\x01\x02\x02\x04\x61a\x05\x65noted",
		"no sequence":      "\xa4\x02\x02\x04\x61a\x05\x65noted" + tail,
		"sequence 0":       "\xa5\x01\x00\x02\x02\x04\x61a\x05\x65noted" + tail,
		"negative time":    "\xa5\x01\x01\x02\x20\x04\x61a\x05\x65noted" + tail,
		"no action":        "\xa5\x01\x01\x02\x02\x04\x60\x05\x65noted" + tail,
		"unknown phase":    "\xa5\x01\x01\x02\x02\x04\x61a\x05\x65later" + tail,
		"deep":             strings.Repeat("\x81", 100_000),
		"huge list":        "\xa6\x01\x01\x02\x02\x04\x61a\x05\x65noted\x0c\x9b\x00\x00\x00\xff\xff\xff\xff\xff" + tail,
	} {
		if r, err := audit.DecodeRecord([]byte(bad)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, r)
		}
	}
	if _, err := audit.DecodeRecord(make([]byte, audit.MaxRecord+1)); err == nil {
		t.Error("a record beyond the bound was read")
	}
}

func TestCheckRefusesWhatCouldNotBeRead(t *testing.T) {
	good := example(1)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*audit.Record){
		"phase":   func(r *audit.Record) { r.Phase = "over" },
		"action":  func(r *audit.Record) { r.Action = "" },
		"time":    func(r *audit.Record) { r.Time = -1 },
		"detail":  func(r *audit.Record) { r.Detail = strings.Repeat("x", audit.MaxRecord) },
		"rules":   func(r *audit.Record) { r.Rules = make([]string, 1<<14+1) },
		"charges": func(r *audit.Record) { r.Charges = make([]audit.Charge, 1<<14+1) },
		"charge":  func(r *audit.Record) { r.Charges = []audit.Charge{{Amount: strings.Repeat("1", audit.MaxRecord)}} },
		"mended":  func(r *audit.Record) { r.Detail = strings.Repeat("\xffa", audit.MaxRecord/3) },
		"rule":    func(r *audit.Record) { r.Rules = []string{strings.Repeat("1", audit.MaxRecord)} },
	} {
		r := good
		if change(&r); r.Check() == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	// What Check accepts at its bound is read again.
	most := good
	most.Rules = make([]string, 1<<14)
	most.Detail = strings.Repeat("\xffa", 200_000) // grows when mended
	most.Sequence = 1
	if err := most.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.DecodeRecord(most.Encode()); err != nil {
		t.Error(err)
	}
}

// The encoder is the library's; this pins what it is asked for.
func TestEncodeIsCoreDeterministic(t *testing.T) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(4) {
		var generic map[uint64]any
		if err := cbor.Unmarshal(example(i+1).Encode(), &generic); err != nil {
			t.Fatal(err)
		}
		want, err := mode.Marshal(generic)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "record", example(i+1).Encode(), want)
	}
}

func TestGroupSurvivesEncoding(t *testing.T) {
	for _, n := range []int{1, 2, 300} {
		want, _ := entries(audit.Position{Sequence: 41}, n)
		want[n/2] = want[n/2].Erase()
		body := audit.AppendGroup([]byte("before"), want)
		got, err := audit.DecodeGroup(body[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestDecodeGroupRefusesAllButItsForm(t *testing.T) {
	all, _ := entries(audit.Position{}, 3)
	all[1] = all[1].Erase()
	good := audit.AppendGroup(nil, all)
	for i := range good {
		if _, err := audit.DecodeGroup(good[:i]); err == nil {
			t.Fatalf("a group cut to %d bytes was read", i)
		}
	}
	change := func(i int, b byte) []byte {
		bad := bytes.Clone(good)
		bad[i] = b
		return bad
	}
	for name, bad := range map[string][]byte{
		"trailing byte":  append(bytes.Clone(good), 0),
		"version":        change(0, 2),
		"first 0":        change(8, 0),
		"first too high": change(1, 0xff),
		"count 0":        change(12, 0),
		"count less":     change(12, 2),
		"count more":     change(12, 4),
		"count huge":     change(9, 0xff),
		"kind":           change(13, 2),
		"length 0":       bytes.Replace(good, []byte{0, 0, 1}, []byte{0, 0, 0}, 1),
	} {
		if _, err := audit.DecodeGroup(bad); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestAppendGroupPanicsRatherThanWriteWhatCannotBeRead(t *testing.T) {
	all, _ := entries(audit.Position{}, 3)
	long := audit.Entry{Sequence: 1, Record: make([]byte, audit.MaxRecord+1)}
	for name, bad := range map[string][]audit.Entry{
		"empty": nil, "gap": {all[0], all[2]}, "no sequence": {{Record: []byte{1}}}, "no record": {{Sequence: 1}}, "long": {long},
	} {
		err := func() (err error) {
			defer func() {
				if recover() != nil {
					err = errors.New("panic")
				}
			}()
			audit.AppendGroup(nil, bad)
			return nil
		}()
		if err == nil {
			t.Errorf("%s: got no panic", name)
		}
	}
}
