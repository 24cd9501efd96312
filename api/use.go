package api

// Sign asks for a signature by the key of the path.
type Sign struct {
	Ask
	Payload   []byte `json:"payload" doc:"a transaction (unsigned: JSON, or the text or bytes of its RLP), a message, or a digest"`
	Type      string `json:"type,omitzero" enum:"tx,psbt,message,typed-data,digest" doc:"absent: found out from the payload; a digest is never guessed"`
	Version   uint32 `json:"version,omitzero" doc:"absent: the current one"`
	Algorithm string `json:"algorithm,omitzero" doc:"of raw keys; absent: the spec's default"`
	Network   string `json:"network,omitzero" doc:"main, testnet4, signet, regtest: for Bitcoin, whose payloads name none; absent: by the key's path, else main"`
	DryRun    bool   `json:"dryRun,omitzero" doc:"only judge: nothing is recorded or signed"`
}

// Signed is a signature and what was signed.
type Signed struct {
	V         V1       `json:"v"`
	Key       string   `json:"key" doc:"name"`
	KeyID     string   `json:"keyId"`
	Version   uint32   `json:"version"`
	Algorithm string   `json:"algorithm,omitzero"`
	Type      string   `json:"type" enum:"tx,psbt,message,typed-data,digest"`
	Signature []byte   `json:"signature,omitempty" doc:"as the algorithm writes it (ECDSA: ASN.1 DER); a chain's message: as the chain writes it; a transaction has none of its own"`
	Path      string   `json:"path,omitzero" doc:"of the account below the key that signed"`
	Output    string   `json:"output,omitzero" doc:"in the form of the chain's tools: the signed transaction, the PSBT while signatures are missing, or the message's signature"`
	Complete  bool     `json:"complete,omitzero" doc:"of a PSBT: every signature is there, and output is the transaction"`
	PSBT      []byte   `json:"psbt,omitempty" doc:"the PSBT with the signatures, in the form in which it came"`
	Intent    *Intent  `json:"intent,omitzero" doc:"what the payload means"`
	Reasons   []Reason `json:"reasons,omitempty" doc:"why it was allowed"`
	Replayed  bool     `json:"replayed,omitzero" doc:"the stored result of an earlier, equal request"`
	DryRun    bool     `json:"dryRun,omitzero" doc:"it would have been signed"`
	Answer
}

// SignBatch asks for up to 256 signatures by the key of the path. Each is
// judged, recorded and answered for itself.
type SignBatch struct {
	Ask
	Items []SignItem `json:"items" minItems:"1" maxItems:"256"`
}

// SignItem is one of a batch; fields as in Sign.
type SignItem struct {
	Payload   []byte `json:"payload"`
	Type      string `json:"type,omitzero" enum:"tx,psbt,message,typed-data,digest"`
	Version   uint32 `json:"version,omitzero"`
	Algorithm string `json:"algorithm,omitzero"`
	Network   string `json:"network,omitzero"`
}

// SignedBatch has one result for each item, in order.
type SignedBatch struct {
	V       V1            `json:"v"`
	Results []BatchResult `json:"results"`
}

// BatchResult is either set; a Problem of kind waiting is a recorded request.
type BatchResult struct {
	Signed *Signed  `json:"signed,omitzero"`
	Error  *Problem `json:"error,omitzero"`
}

// Verify asks whether a signature holds.
type Verify struct {
	V         V1     `json:"v,omitzero"`
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature" doc:"as Signed has it; of a transaction: the signed one"`
	Type      string `json:"type,omitzero" enum:"tx,psbt,message,typed-data,digest"`
	Version   uint32 `json:"version,omitzero"`
	Algorithm string `json:"algorithm,omitzero"`
	Network   string `json:"network,omitzero"`
}

// Verified says whether a signature or MAC holds.
type Verified struct {
	V     V1   `json:"v"`
	Valid bool `json:"valid"`
	Answer
}

// Encrypt asks to encrypt.
type Encrypt struct {
	Ask
	Plaintext []byte            `json:"plaintext"`
	Context   map[string]string `json:"context,omitempty" doc:"not secret; decrypting needs the same"`
	Version   uint32            `json:"version,omitzero"`
	Algorithm string            `json:"algorithm,omitzero"`
}

// Encrypted is a ciphertext envelope (docs/formats/ciphertext.md).
type Encrypted struct {
	V          V1     `json:"v"`
	Key        string `json:"key" doc:"name"`
	KeyID      string `json:"keyId"`
	Version    uint32 `json:"version"`
	Algorithm  string `json:"algorithm"`
	Ciphertext []byte `json:"ciphertext"`
	Answer
}

// Decrypt asks to decrypt an envelope.
type Decrypt struct {
	Ask
	Ciphertext []byte            `json:"ciphertext"`
	Context    map[string]string `json:"context,omitempty"`
	Algorithm  string            `json:"algorithm,omitzero"`
}

// Decrypted is a plaintext. Whoever receives it wipes it.
type Decrypted struct {
	V         V1     `json:"v"`
	Key       string `json:"key" doc:"name"`
	KeyID     string `json:"keyId"`
	Version   uint32 `json:"version"`
	Algorithm string `json:"algorithm"`
	Plaintext []byte `json:"plaintext"`
	Answer
}

// MakeDataKey asks for a new 256-bit data key.
type MakeDataKey struct {
	Ask
	Context map[string]string `json:"context,omitempty"`
	Version uint32            `json:"version,omitzero"`
}

// DataKey is a data key, and the same encrypted, to be kept beside the data.
// Whoever receives the plaintext wipes it.
type DataKey struct {
	V          V1     `json:"v"`
	Key        string `json:"key" doc:"name"`
	KeyID      string `json:"keyId"`
	Version    uint32 `json:"version"`
	Algorithm  string `json:"algorithm"`
	Plaintext  []byte `json:"plaintext"`
	Ciphertext []byte `json:"ciphertext"`
	Answer
}

// MakeMAC asks for a message authentication code.
type MakeMAC struct {
	Ask
	Message   []byte `json:"message"`
	Version   uint32 `json:"version,omitzero"`
	Algorithm string `json:"algorithm,omitzero"`
}

// MAC is a message authentication code.
type MAC struct {
	V         V1     `json:"v"`
	Key       string `json:"key" doc:"name"`
	KeyID     string `json:"keyId"`
	Version   uint32 `json:"version"`
	Algorithm string `json:"algorithm"`
	MAC       []byte `json:"mac"`
	Answer
}

// VerifyMAC asks whether a MAC holds.
type VerifyMAC struct {
	Ask
	Message   []byte `json:"message"`
	MAC       []byte `json:"mac"`
	Version   uint32 `json:"version,omitzero"`
	Algorithm string `json:"algorithm,omitzero"`
}
