package api

import _ "embed" // for openapi.json

//go:embed openapi.json
var openapi []byte

// OpenAPI lends the OpenAPI 3.1 description of the native API, as JSON.
func OpenAPI() []byte { return openapi }
