package native

import (
	"net/http"

	"keyward/api"
	"keyward/internal/kms"
	"keyward/internal/server"
)

// pages are open to anyone: what the API is, and the log as any C2SP client
// reads it. Tiles hold commitments, which tell nobody what was done.
func (h *house) pages() []Route {
	page := func(path, name, summary, kind string, do func(*server.Call) error) Route {
		return Route{Summary: summary, Plain: kind, Route: server.Route{
			Method: http.MethodGet, Path: path, Name: name, Access: server.Anyone, Handle: do,
		}}
	}
	return []Route{
		page("/{$}", "index", "Say what is here", plainText, h.index),
		page("/openapi.json", "openapi", "This description", "application/json", h.openAPI),
		page("/audit/checkpoint", "checkpoint", "The newest signed checkpoint (C2SP tlog-checkpoint)", plainText, h.checkpoint),
		page("/audit/tile/{path...}", "tile", "A tile or entry bundle of the log (C2SP tlog-tiles)", octets, h.tile),
	}
}

const indexText = `keyward: key management

/openapi.json        what can be asked, OpenAPI 3.1
/healthz             is it alive
/readyz              can it serve
/metrics             for Prometheus
/audit/checkpoint    the log's newest signed checkpoint
/audit/tile/         the log's tree, C2SP tlog-tiles
/v1/status           how it stands

Everything else under /v1 needs a bearer token, or the unix socket:
keyward --help
`

func (h *house) index(c *server.Call) error { return c.Answer(plainText, []byte(indexText)) }

func (h *house) openAPI(c *server.Call) error { return c.Answer("application/json", api.OpenAPI()) }

func (h *house) checkpoint(c *server.Call) error {
	note := h.kms.Checkpoint()
	if note == nil {
		if err := h.kms.Ready(); kms.KindOf(err) == kms.Unready && err != nil {
			return err
		}
		return notFound("there is no checkpoint yet")
	}
	return c.Answer(plainText, note)
}

func (h *house) tile(c *server.Call) error {
	tile, err := h.kms.Tile(c.Context(), "tile/"+c.Path("path"))
	if err != nil {
		return err
	}
	// A tile of one path never changes.
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	return c.Answer(octets, tile)
}

func notFound(message string) error { return &kms.Error{Kind: kms.NotFound, Message: message} }
