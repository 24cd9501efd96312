package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestForeignTextCannotMoveTheCursor(t *testing.T) {
	for in, want := range map[string]string{
		"pay Ada":             "pay Ada",
		"two\nlines\tand tab": "two\nlines\tand tab",
		"\x1b[2Jgone":         "\uFFFD[2Jgone",
		"a\rb\bc\x00":         "a\uFFFDb\uFFFDc\uFFFD",
		"\u202Eesrever":       "\uFFFDesrever", // right-to-left override
		"zero\u200Bwidth":     "zero\uFFFDwidth",
		"Grüße 鍵":             "Grüße 鍵",
		"bad \xff utf-8":      "bad \uFFFD utf-8",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	var out bytes.Buffer
	p := &printer{out: &out}
	p.line("%s", "\x1b[31mred")
	p.field("name", "a\x1bb")
	p.table([]string{"A"}, [][]string{{"\x1bc"}})
	p.terminal = true
	p.table([]string{"A"}, [][]string{{"\x1bd"}})
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("an escape came through: %q", out.String())
	}
}

func TestTablesAreAlignedOnATerminalAlone(t *testing.T) {
	rows := [][]string{{"payments", "active"}, {"b", "destroyed"}}
	var pipe, terminal bytes.Buffer
	(&printer{out: &pipe}).table([]string{"NAME", "STATE"}, rows)
	(&printer{out: &terminal, terminal: true}).table([]string{"NAME", "STATE"}, rows)
	if got, want := pipe.String(), "payments\tactive\nb\tdestroyed\n"; got != want {
		t.Errorf("pipe: got %q, want %q", got, want)
	}
	if got, want := terminal.String(), "NAME      STATE\npayments  active\nb         destroyed\n"; got != want {
		t.Errorf("terminal: got %q, want %q", got, want)
	}
}

func TestDigestsAreHexOrBytes(t *testing.T) {
	raw := bytes.Repeat([]byte{0xAB}, 32)
	text := strings.Repeat("ab", 32)
	for name, in := range map[string][]byte{
		"bytes": raw, "hex": []byte(text), "0x": []byte("0x" + text + "\n"), "capitals": []byte(" " + strings.ToUpper(text) + "\r\n"),
	} {
		if got, err := digestBytes(in); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: got %x, %v, want %x", name, got, err, raw)
		}
	}
	for _, in := range []string{"", "hello", text[:40], text + "00", strings.Repeat("z", 65)} {
		if _, err := digestBytes([]byte(in)); err == nil {
			t.Errorf("%q: got no error", in)
		}
	}
}
