package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"keyward/api"
	"keyward/internal/secret"
)

// strict is how requests are read: a name that is unknown or given twice, text
// that is not UTF-8, another case of a name, bytes behind the end are refused.
var strict = json.JoinOptions(json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))

// Decode reads the request's body as JSON into a struct, strictly, and refuses it
// when a field is missing that has neither omitzero nor omitempty. The error
// names the field. A body may be left out where nothing in it is required.
func (c *Call) Decode(into any) error {
	if kind := c.Request.Header["Content-Type"]; len(kind) > 0 && kind[0] != "application/json" {
		if media, _, err := mime.ParseMediaType(kind[0]); err != nil || media != "application/json" {
			return c.Invalid("Content-Type", "want application/json")
		}
	}
	body, err := c.Body()
	if err != nil {
		return err
	}
	return decode(c, body, into)
}

func decode(c *Call, body []byte, into any) error {
	v := reflect.ValueOf(into).Elem()
	needs := required(v.Type())
	if body = bytes.TrimLeft(body, " \t\r\n"); len(body) == 0 && len(needs) == 0 {
		return nil
	}
	if len(body) == 0 || body[0] != '{' {
		return c.Invalid("body", "want a JSON object")
	}
	if err := json.Unmarshal(body, into, strict); err != nil {
		return c.Invalid(explain(err))
	}
	for _, f := range needs {
		if v.FieldByIndex(f.index).IsZero() {
			return c.Invalid(f.name, "missing")
		}
	}
	return nil
}

// field is one that a request must have.
type field struct {
	name  string
	index []int
}

var requiredFields sync.Map // reflect.Type → []field

func required(t reflect.Type) []field {
	if known, ok := requiredFields.Load(t); ok {
		return known.([]field)
	}
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		if f.Anonymous || tag == "" || strings.Contains(tag, ",omit") {
			continue
		}
		all = append(all, field{tag, f.Index})
	}
	requiredFields.Store(t, all)
	return all
}

// explain says which field is wrong and what was wanted, never what was there.
func explain(err error) (where, what string) {
	var text *jsontext.SyntacticError
	if errors.As(err, &text) {
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			return place(text.JSONPointer), "given twice"
		case errors.Is(err, io.ErrUnexpectedEOF):
			return "body", "it ends too early"
		}
		return "body", fmt.Sprintf("no JSON at byte %d", text.ByteOffset)
	}
	var meaning *json.SemanticError
	if !errors.As(err, &meaning) {
		return "body", "no JSON that is wanted here"
	}
	where = place(meaning.JSONPointer)
	if errors.Is(err, json.ErrUnknownName) {
		return where, "unknown field"
	}
	return where, want(meaning.GoType)
}

// place writes a JSON pointer as people do: items[3].payload.
func place(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.Atoi(token); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(printable(token))
		if b.Len() > 256 {
			break
		}
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}

// printable makes a name of the caller's safe to show.
func printable(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// want says in words what a field takes.
func want(t reflect.Type) string {
	if t == nil {
		return "want something else"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[api.V1]():
		return "want 1"
	case t == reflect.TypeFor[api.Time]():
		return "want a time as in RFC 3339"
	case t == reflect.TypeFor[[]byte]():
		return "want base64"
	}
	switch t.Kind() {
	case reflect.String:
		return "want a string"
	case reflect.Bool:
		return "want true or false"
	case reflect.Int, reflect.Int64:
		return "want a whole number"
	case reflect.Uint32, reflect.Uint64:
		return "want a whole number of at least 0"
	case reflect.Slice:
		return "want a list"
	case reflect.Map, reflect.Struct:
		return "want an object"
	}
	return "want something else"
}

// JSON answers with v, which may be secret: what it was encoded in is wiped.
func (c *Call) JSON(v any) error {
	b := newBuffer()
	defer b.release()
	first := b.b[:cap(b.b)]
	out := bytes.NewBuffer(b.b) // the encoder writes into it without a buffer of its own
	err := json.MarshalWrite(out, v)
	if b.b = out.Bytes(); cap(b.b) != cap(first) {
		secret.Wipe(first) // it was too small and has been left behind
	}
	if err != nil {
		return err
	}
	c.writer.Header()["Content-Type"] = isJSON
	c.write(http.StatusOK, b.b)
	return nil
}
