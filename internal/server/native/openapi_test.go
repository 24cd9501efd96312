package native_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyward/api"
	"keyward/internal/server"
	"keyward/internal/server/native"
)

var update = flag.Bool("update", false, "write api/openapi.json anew")

const openAPIFile = "../../../api/openapi.json"

func TestOpenAPIIsWhatTheTypesSay(t *testing.T) {
	want := describe(t, native.Routes(nil, native.Node{}))
	if *update {
		if err := os.WriteFile(openAPIFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(api.OpenAPI(), want) {
		t.Errorf("api/openapi.json is out of date: go test ./internal/server/native -run OpenAPI -update")
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID, Summary string }
	}
	if err := json.Unmarshal(api.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("got OpenAPI %q, want 3.1.0", doc.OpenAPI)
	}
	for _, r := range native.Routes(nil, native.Node{}) {
		path, _ := openPath(r.Path)
		got := doc.Paths[path][strings.ToLower(r.Method)]
		if got.OperationID != camel(r.Name) || got.Summary == "" {
			t.Errorf("%s %s: got operation %q, want %q", r.Method, r.Path, got.OperationID, camel(r.Name))
		}
	}
}

// one stands for api.V1 in schemas.
type one struct{}

func (one) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Enum: []any{1}}
}

// describe makes the OpenAPI document of a table of routes.
func describe(t *testing.T, routes []native.Route) []byte {
	t.Helper()
	nullable := huma.DefaultArrayNullable
	huma.DefaultArrayNullable = false // an empty list is [], never null
	defer func() { huma.DefaultArrayNullable = nullable }()
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[api.V1](), reflect.TypeFor[one]())
	registry.RegisterTypeAlias(reflect.TypeFor[api.Time](), reflect.TypeFor[time.Time]())
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "keyward", Version: "1",
			Description: "Self-hosted key management. Bytes are base64, chain data is in the form of its chain's tools, amounts are decimal strings of base units, times are RFC 3339 in UTC with milliseconds.",
		},
		Servers:    []*huma.Server{{URL: "https://127.0.0.1:7443"}},
		Paths:      map[string]*huma.PathItem{},
		Security:   []map[string][]string{{"token": {}}},
		Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer", BearerFormat: "kwt_…", Description: "A service's token. Over the unix socket, without it, the caller is the local operator."}}},
	}
	asked := map[string]bool{} // schemas of requests, where an unknown field is an error
	for _, r := range routes {
		path, parameters := openPath(r.Path)
		op := &huma.Operation{OperationID: camel(r.Name), Summary: r.Summary, Parameters: parameters, Responses: responses(registry, r)}
		for _, q := range r.Query {
			schema := &huma.Schema{Type: huma.TypeString}
			if q.Number {
				schema = &huma.Schema{Type: huma.TypeInteger}
			}
			op.Parameters = append(op.Parameters, &huma.Param{Name: q.Name, In: "query", Description: q.Doc, Schema: schema})
		}
		switch {
		case r.In != nil:
			schema := registry.Schema(r.In, true, "")
			reach(registry, schema, asked)
			op.RequestBody = &huma.RequestBody{
				Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}, Required: len(registry.SchemaFromRef(schema.Ref).Required) > 0,
			}
		case r.Binary != "":
			op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{r.Binary: {}}, Required: true}
		}
		if r.In != nil && r.Access == server.Actors {
			longest := 128
			op.Parameters = append(op.Parameters, &huma.Param{
				Name: api.HeaderIdempotencyKey, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
				Description: "makes a repeated request the same operation; printable ASCII without spaces",
			})
		}
		if r.Access == server.Anyone {
			op.Security = []map[string][]string{{}}
		}
		item := doc.Paths[path]
		if item == nil {
			item = &huma.PathItem{}
			doc.Paths[path] = item
		}
		switch r.Method {
		case http.MethodGet:
			item.Get = op
		case http.MethodPost:
			item.Post = op
		case http.MethodPut:
			item.Put = op
		default:
			t.Fatalf("%s %s: no place for the method", r.Method, r.Path)
		}
	}
	for name, schema := range registry.Map() {
		if !asked[name] && schema.Type == huma.TypeObject {
			schema.AdditionalProperties = nil // answers may grow
		}
		for _, property := range schema.Properties {
			if property.Type == huma.TypeInteger {
				property.Format = "" // int32 and int64 say nothing that is true of uint32 and uint64
			}
		}
	}
	plain, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, plain, "", " "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func responses(registry huma.Registry, r native.Route) map[string]*huma.Response {
	headers := map[string]*huma.Param{
		api.HeaderRequestID:  {Schema: &huma.Schema{Type: huma.TypeString}},
		api.HeaderCheckpoint: {Schema: &huma.Schema{Type: huma.TypeString, ContentEncoding: "base64"}, Description: "the log's newest signed checkpoint"},
	}
	ok := &huma.Response{Description: "done", Headers: headers, Content: map[string]*huma.MediaType{}}
	if r.Out != nil {
		ok.Content["application/json"] = &huma.MediaType{Schema: registry.Schema(r.Out, true, "")}
	}
	if r.Plain != "" {
		ok.Content[r.Plain] = &huma.MediaType{}
	}
	all := map[string]*huma.Response{
		"200": ok,
		"default": {Description: "refused", Headers: headers, Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: registry.Schema(reflect.TypeFor[api.Problem](), true, "")},
		}},
	}
	if r.Out == reflect.TypeFor[api.Signed]() || r.Out == reflect.TypeFor[api.Key]() || r.Out == reflect.TypeFor[api.Done]() {
		all["202"] = &huma.Response{Description: "recorded; it waits", Headers: headers, Content: map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(reflect.TypeFor[api.Pending](), true, "")},
		}}
	}
	return all
}

// reach marks a schema and all that it refers to.
func reach(registry huma.Registry, s *huma.Schema, seen map[string]bool) {
	if s == nil {
		return
	}
	if name := strings.TrimPrefix(s.Ref, "#/components/schemas/"); s.Ref != "" && !seen[name] {
		seen[name] = true
		reach(registry, registry.SchemaFromRef(s.Ref), seen)
	}
	reach(registry, s.Items, seen)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		reach(registry, s.Properties[name], seen)
	}
}

var inPath = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// openPath writes a pattern of ServeMux as OpenAPI does.
func openPath(pattern string) (string, []*huma.Param) {
	pattern = strings.TrimSuffix(pattern, "{$}")
	var all []*huma.Param
	for _, m := range inPath.FindAllStringSubmatch(pattern, -1) {
		all = append(all, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	return inPath.ReplaceAllString(pattern, "{$1}"), all
}

// camel writes create-key as createKey.
func camel(name string) string {
	words := strings.Split(name, "-")
	for i := range words[1:] {
		words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
	}
	return strings.Join(words, "")
}
