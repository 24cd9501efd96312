package api

// Records is a page of the log.
type Records struct {
	V       V1       `json:"v"`
	Records []Record `json:"records"`
	Next    uint64   `json:"next,omitzero" doc:"ask with from=… (newest first: to=…) for what follows; absent at the end"`
}

// Record is one record of the log. Encoded and Nonce prove the rest: the leaf is
// version 1 ‖ sequence (8 bytes, big-endian) ‖ SHA-256(nonce ‖ encoded). An
// erased record has a leaf and nothing else.
type Record struct {
	Sequence  uint64   `json:"sequence"`
	Time      Time     `json:"time,omitzero"`
	Node      string   `json:"node,omitzero"`
	Action    string   `json:"action,omitzero" doc:"key.sign"`
	Phase     string   `json:"phase,omitzero" enum:"begun,ended,done,denied,waiting,counted,noted"`
	Operation string   `json:"operation,omitzero"`
	Actor     string   `json:"actor,omitzero"`
	Source    string   `json:"source,omitzero"`
	Subject   string   `json:"subject,omitzero"`
	Request   []byte   `json:"request,omitempty" doc:"SHA-256 of the request that was judged"`
	Decision  string   `json:"decision,omitzero"`
	Rules     []string `json:"rules,omitempty"`
	Charter   uint64   `json:"charter,omitzero"`
	Epoch     uint64   `json:"epoch,omitzero"`
	Charges   []Charge `json:"charges,omitempty"`
	Outcome   string   `json:"outcome,omitzero"`
	Result    []byte   `json:"result,omitempty" doc:"SHA-256 of what left"`
	Count     uint64   `json:"count,omitzero"`
	Detail    string   `json:"detail,omitzero"`
	Nonce     []byte   `json:"nonce,omitempty"`
	Encoded   []byte   `json:"encoded,omitempty" doc:"canonical CBOR, docs/formats/log.md"`
	Leaf      []byte   `json:"leaf,omitempty" doc:"of an erased record"`
}

// Charge is what an operation spends.
type Charge struct {
	Asset       string `json:"asset" doc:"CAIP-19"`
	Destination string `json:"destination"`
	Amount      string `json:"amount" doc:"in base units"`
}

// Checkpoint is a signed checkpoint over every record committed when it was
// asked for.
type Checkpoint struct {
	V      V1     `json:"v"`
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   []byte `json:"root" doc:"RFC 6962 tree head, 32 bytes"`
	LogKey string `json:"logKey" doc:"verifier key of the log, in the form of signed notes"`
	Note   string `json:"note" doc:"the signed note itself (C2SP tlog-checkpoint)"`
}
