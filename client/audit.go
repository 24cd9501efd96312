package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"sync"

	"keyward/api"
)

// AuditQuery selects records. A field left empty asks for nothing; texts are
// compared whole. The zero value is the beginning of the log.
type AuditQuery struct {
	From, To     uint64 // sequences, both included
	Since, Until api.Time
	Actor        string
	Action       string // "key.sign"
	Subject      string
	Operation    string
	Phase        string
	Limit        int  // 0: the server's choice
	Newest       bool // the newest first
}

// AuditRecords returns a page of the log. It goes on at Next: as From, or newest
// first as To.
func (c *Client) AuditRecords(ctx context.Context, q AuditQuery) (out api.Records, err error) {
	return out, c.read(ctx, "/v1/audit/records"+q.query(), &out)
}

func (q AuditQuery) query() string {
	moment := func(t api.Time) string {
		if t == 0 {
			return ""
		}
		return t.String()
	}
	count := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	order := ""
	if q.Newest {
		order = "newest"
	}
	return query("from", count(q.From), "to", count(q.To), "since", moment(q.Since), "until", moment(q.Until), "actor", q.Actor,
		"action", q.Action, "subject", q.Subject, "operation", q.Operation, "phase", q.Phase, "limit", number(q.Limit), "order", order)
}

// AuditEntries returns entries of the log beginning with the record from, as
// many as the server likes, in the encoding of docs/formats/log.md (a group);
// nil at the end of the log.
func (c *Client) AuditEntries(ctx context.Context, from uint64) ([]byte, error) {
	group, err := c.raw(ctx, "/v1/audit/entries?from="+strconv.FormatUint(from, 10))
	if len(group) == 0 {
		return nil, err
	}
	return group, err
}

// AuditCheckpoint asks for a signed checkpoint over every record committed until
// now.
func (c *Client) AuditCheckpoint(ctx context.Context) (out api.Checkpoint, err error) {
	return out, c.read(ctx, "/v1/audit/checkpoint", &out)
}

// PublishedCheckpoint is the newest checkpoint as any C2SP client reads it.
func (c *Client) PublishedCheckpoint(ctx context.Context) ([]byte, error) {
	return c.raw(ctx, "/audit/checkpoint")
}

// Tile is one tile or entry bundle of the log's tree by its path in C2SP
// tlog-tiles, such as "tile/0/x001/234.p/5" or "tile/entries/000".
func (c *Client) Tile(ctx context.Context, path string) ([]byte, error) {
	return c.raw(ctx, "/audit/"+path)
}

// Checkpoint is the newest signed checkpoint that came with any answer, nil when
// there was none. Nobody has verified it.
func (c *Client) Checkpoint() []byte { return c.newest.note() }

// newest keeps the checkpoint of the largest log.
type newest struct {
	mu    sync.Mutex
	last  string // the header, so that an equal one costs nothing
	size  uint64
	bytes []byte
}

func (n *newest) note() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Clone(n.bytes)
}

func (n *newest) see(h http.Header) {
	value := h.Get(api.HeaderCheckpoint)
	n.mu.Lock()
	defer n.mu.Unlock()
	if value == "" || value == n.last {
		return
	}
	n.last = value
	note, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return
	}
	// The second line of a checkpoint is the size (C2SP tlog-checkpoint).
	lines := bytes.SplitN(note, []byte("\n"), 3)
	if len(lines) < 3 {
		return
	}
	size, err := strconv.ParseUint(string(lines[1]), 10, 64)
	if err != nil || size <= n.size && n.bytes != nil {
		return
	}
	n.size, n.bytes = size, note
}
