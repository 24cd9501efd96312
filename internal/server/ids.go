package server

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"keyward/api"
)

// ids makes request ids: a random part for the life of the process, and a count.
type ids struct {
	prefix string
	last   atomic.Uint64
}

func newIDs() *ids { return &ids{prefix: "req_" + strings.ToLower(rand.Text()[:13]) + "_"} }

const maxID = 64

// of keeps the caller's own id when it is well formed.
func (i *ids) of(r *http.Request) string {
	if own := r.Header[api.HeaderRequestID]; len(own) == 1 && wellFormed(own[0]) {
		return own[0]
	}
	b := make([]byte, 0, maxID)
	b = append(b, i.prefix...)
	return string(strconv.AppendUint(b, i.last.Add(1), 36))
}

func wellFormed(id string) bool {
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= maxID
}
