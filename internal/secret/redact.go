package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[secret]"

var errEncoded = errors.New("secret bytes are never encoded")

// String returns "[secret]".
func (b Bytes) String() string { return redacted }

// GoString returns "[secret]".
func (b Bytes) GoString() string { return redacted }

// Format writes "[secret]" whatever the verb, so that %x and %q tell nothing.
func (b Bytes) Format(f fmt.State, verb rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[secret]".
func (b Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails.
func (b Bytes) MarshalJSON() ([]byte, error) { return nil, errEncoded }

// MarshalText always fails; it stands for YAML, TOML and XML too.
func (b Bytes) MarshalText() ([]byte, error) { return nil, errEncoded }

// MarshalBinary always fails; it stands for gob too.
func (b Bytes) MarshalBinary() ([]byte, error) { return nil, errEncoded }

// MarshalCBOR always fails.
func (b Bytes) MarshalCBOR() ([]byte, error) { return nil, errEncoded }
