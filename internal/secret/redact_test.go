package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/fxamacker/cbor/v2"
	json2 "github.com/go-json-experiment/json"
	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"keyward/internal/secret"
)

// traces are the shapes in which the secret of these tests could show.
func traces(plain string) []string {
	decimal := strings.Trim(fmt.Sprint([]byte(plain)), "[]")
	return []string{plain, hex.EncodeToString([]byte(plain)), strings.ToUpper(hex.EncodeToString([]byte(plain))),
		decimal, strings.ReplaceAll(decimal, " ", ","), strings.ReplaceAll(decimal, " ", ", ")}
}

type holder struct {
	Name    string
	Key     secret.Bytes
	Pointer *secret.Bytes
	Many    []secret.Bytes
	Named   map[string]secret.Bytes
	hidden  secret.Bytes // fmt cannot call methods on it
}

func newHolder(plain string) holder {
	b := secret.Take([]byte(plain))
	return holder{"n", b, &b, []secret.Bytes{b}, map[string]secret.Bytes{"k": b}, b}
}

func TestPrintingTellsNothing(t *testing.T) {
	const plain = "opensesame"
	h := newHolder(plain)
	defer h.Key.Destroy()
	refuse := func(t *testing.T, got string) {
		t.Helper()
		for _, trace := range traces(plain) {
			if strings.Contains(got, trace) {
				t.Errorf("got %s, which shows the secret", got)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%c", "%o", "%b", "%t", "%5.2v"} {
		if got := fmt.Sprintf(verb, h.Key); got != "[secret]" {
			t.Errorf("%s: got %q, want [secret]", verb, got)
		}
		if got := fmt.Sprintf(verb, &h.Key); got != "[secret]" {
			t.Errorf("%s of a pointer: got %q, want [secret]", verb, got)
		}
		refuse(t, fmt.Sprintf(verb, h))
		refuse(t, fmt.Sprintf(verb, &h))
	}
	for _, verb := range []string{"%p", "%T", "%w", "%!"} { // fmt does not ask the value about these
		refuse(t, fmt.Sprintf(verb, h.Key))
	}
	if h.Key.String() != "[secret]" || h.Key.GoString() != "[secret]" {
		t.Error("String or GoString is not [secret]")
	}

	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		logger := slog.New(handler).With("with", h.Key)
		logger.Info("m", "key", h.Key, "pointer", h.Pointer, "holder", h, "many", h.Many)
	}
	refuse(t, log.String())
	if strings.Count(log.String(), "key=[secret]")+strings.Count(log.String(), `"key":"[secret]"`) != 2 {
		t.Errorf("log: got %s, want key shown as [secret] twice", log.String())
	}

	var page strings.Builder
	if err := template.Must(template.New("").Parse("{{.Key}} {{printf \"%x\" .Key}}")).Execute(&page, h); err != nil {
		t.Fatal(err)
	}
	refuse(t, page.String())
}

func TestEncodingIsRefused(t *testing.T) {
	const plain = "opensesame"
	h := newHolder(plain)
	defer h.Key.Destroy()
	encoders := map[string]func(any) ([]byte, error){
		"json": json.Marshal, "json v2": func(v any) ([]byte, error) { return json2.Marshal(v) },
		"cbor": cbor.Marshal, "yaml": yaml.Marshal, "toml": toml.Marshal, "xml": xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.Bytes(), err
		},
	}
	values := map[string]any{"bytes": h.Key, "pointer": h.Pointer, "field": struct{ Key secret.Bytes }{h.Key}}
	for format, encode := range encoders {
		for shape, v := range values {
			out, err := encode(v)
			if err == nil {
				t.Errorf("%s of %s: got %q, want an error", format, shape, out)
			}
			for _, trace := range traces(plain) {
				if bytes.Contains(out, []byte(trace)) || err != nil && strings.Contains(err.Error(), trace) {
					t.Errorf("%s of %s: got %q and error %v, which show the secret", format, shape, out, err)
				}
			}
		}
	}
	if _, err := h.Key.MarshalBinary(); err == nil {
		t.Error("MarshalBinary: got no error")
	}
}
