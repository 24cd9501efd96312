// Package api holds the wire types of keyward's native API: what is asked and
// answered over HTTP, and what the command line prints with --json. It is a
// promise to others: fields are added, never changed or removed. It imports
// nothing of ours and does nothing but describe; openapi.json, generated from
// these types, is the same promise for other languages.
//
// Names are camelCase. Bytes are base64 (RFC 4648, section 4), chain data is in
// the form that its chain's tools take (Ethereum: 0x and hex), amounts are
// decimal strings of base units, times RFC 3339 in UTC with milliseconds.
package api

import (
	"errors"
	"fmt"
	"time"
)

// Prefix begins the path of every route of the native API.
const Prefix = "/v1"

// The headers of keyward.
const (
	// HeaderRequestID names one request, in answers and in the server's log. A
	// caller's own (1 to 64 of letters, digits, . _ -) is kept.
	HeaderRequestID = "Keyward-Request-Id"
	// HeaderCheckpoint carries the newest signed checkpoint of the log in every
	// answer: standard base64 of the note. Whoever keeps it is a witness.
	HeaderCheckpoint = "Keyward-Checkpoint"
	// HeaderIdempotencyKey, 1 to 128 printable ASCII characters, makes a repeated
	// request the same operation: it is never done, and never spends, twice.
	HeaderIdempotencyKey = "Idempotency-Key"
)

// Bounds that a caller should know.
const (
	MaxBody  = 2 << 20 // bytes of a request's body
	MaxBatch = 256     // items of one SignBatch
	MaxPage  = 1000    // items of one page of a list
)

// V1 is the field "v" of every result: it encodes as the number 1, and decodes
// from nothing else.
type V1 struct{}

var errVersion = errors.New("want 1")

// MarshalJSON writes 1.
func (V1) MarshalJSON() ([]byte, error) { return []byte{'1'}, nil }

// UnmarshalJSON accepts 1 alone.
func (*V1) UnmarshalJSON(b []byte) error {
	if string(b) != "1" {
		return errVersion
	}
	return nil
}

// Time is milliseconds since 1970, UTC.
type Time int64

const timeForm = "2006-01-02T15:04:05.000Z07:00"

// Time converts t.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

func (t Time) String() string { return t.Time().Format(timeForm) }

// MarshalText writes RFC 3339 with milliseconds.
func (t Time) MarshalText() ([]byte, error) {
	return t.Time().AppendFormat(make([]byte, 0, len(timeForm)), timeForm), nil
}

// UnmarshalText accepts RFC 3339 in any zone.
func (t *Time) UnmarshalText(b []byte) error {
	parsed, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return fmt.Errorf("want a time such as %s", timeForm[:19]+"Z")
	}
	*t = Time(parsed.UnixMilli())
	return nil
}

// Text is a secret that is text. It is no string, so that it can be wiped.
type Text []byte

// MarshalText lends the bytes.
func (t Text) MarshalText() ([]byte, error) { return t, nil }

// UnmarshalText keeps a copy.
func (t *Text) UnmarshalText(b []byte) error {
	*t = append((*t)[:0], b...)
	return nil
}

func (Text) String() string { return "[secret]" }

// Audit is where an operation's record stands in the log.
type Audit struct {
	Sequence uint64 `json:"sequence" doc:"number of the record, from 1"`
	Hash     []byte `json:"hash" doc:"running hash of the log up to and with the record, 32 bytes"`
}

// Answer comes with the result of every operation; readings have none.
type Answer struct {
	Operation string `json:"operation,omitzero" doc:"id of the operation, op_…"`
	Audit     *Audit `json:"audit,omitzero" doc:"where the operation's record stands in the log"`
}

// Ask is what every request for an operation may carry.
type Ask struct {
	V                V1    `json:"v,omitzero"`
	ExpiresInSeconds int64 `json:"expiresInSeconds,omitzero" minimum:"0" maximum:"31536000" doc:"the request is void after so many seconds; 0 or absent: never, or where it must wait, after a week and what its rules give it"`
}

// Done is the result of an operation that returns nothing else.
type Done struct {
	V V1 `json:"v"`
	Answer
}
