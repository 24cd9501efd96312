package api

// Policy is the policy in force.
type Policy struct {
	V         V1       `json:"v"`
	Version   uint64   `json:"version" doc:"of the charter that carries it"`
	Hash      []byte   `json:"hash" doc:"SHA-256 of the text"`
	Text      string   `json:"text"`
	Sentences []string `json:"sentences,omitempty" doc:"what it says, in words"`
	Answer
}

// ApplyPolicy asks to put a policy in force.
type ApplyPolicy struct {
	Ask
	Text string `json:"text" doc:"YAML or JSON; docs/policy.md"`
}

// CheckPolicy asks what is wrong or odd about a policy. Nothing changes.
type CheckPolicy struct {
	V    V1     `json:"v,omitzero"`
	Text string `json:"text"`
}

// PolicyFindings is what a check found.
type PolicyFindings struct {
	V        V1        `json:"v"`
	Findings []Finding `json:"findings"`
}

// Finding is one thing that the author of a policy should know. A policy with an
// error is not put in force.
type Finding struct {
	Level string `json:"level" enum:"error,warning,note"`
	Rule  string `json:"rule,omitzero"`
	Text  string `json:"text"`
	Code  string `json:"code,omitzero" enum:"locked-out,unknown-name" doc:"locked-out: who asks could not apply another policy under this one; unknown-name: there is no such service or key"`
}

// CreateService asks for a program's identity with a bearer token.
type CreateService struct {
	Ask
	Name            string   `json:"name" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$"`
	Networks        []string `json:"networks,omitempty" doc:"CIDR blocks from which the token counts; absent: any"`
	LifetimeSeconds int64    `json:"lifetimeSeconds,omitzero" minimum:"0" doc:"0 or absent: until revoked"`
}

// Service is a program that may ask.
type Service struct {
	V        V1       `json:"v"`
	ID       string   `json:"id" doc:"svc_…"`
	Name     string   `json:"name"`
	Networks []string `json:"networks,omitempty"`
	Created  Time     `json:"created"`
	Expires  Time     `json:"expires,omitzero"`
	Revoked  Time     `json:"revoked,omitzero"`
}

// CreatedService is a new service and its token, which is shown this once.
type CreatedService struct {
	Service
	Token Text `json:"token" doc:"kwt_…; shown this once; whoever receives it wipes it"`
	Answer
}

// Services lists programs.
type Services struct {
	V        V1        `json:"v"`
	Services []Service `json:"services"`
}

// Request is the life of one operation.
type Request struct {
	V          V1      `json:"v"`
	ID         string  `json:"id" doc:"op_…"`
	Parent     string  `json:"parent,omitzero" doc:"the batch that it belongs to"`
	Actor      string  `json:"actor"`
	State      string  `json:"state" enum:"waiting,begun,done,failed,unknown,denied,expired"`
	Verb       string  `json:"verb"`
	KeyID      string  `json:"keyId,omitzero"`
	KeyVersion uint32  `json:"keyVersion,omitzero"`
	Subject    string  `json:"subject,omitzero" doc:"what it is about, by name"`
	Created    Time    `json:"created"`
	Expires    Time    `json:"expires,omitzero"`
	Changed    Time    `json:"changed,omitzero"`
	Begun      uint64  `json:"begun,omitzero" doc:"sequence of its first record"`
	Ended      uint64  `json:"ended,omitzero" doc:"sequence of its last record"`
	Charter    uint64  `json:"charter,omitzero" doc:"the version that it was judged by"`
	Outcome    string  `json:"outcome,omitzero"`
	Request    []byte  `json:"request,omitempty" doc:"what was asked, canonical CBOR, while it is kept"`
	Intent     *Intent `json:"intent,omitzero" doc:"what it means; only for one request asked by id"`

	Collectable bool     `json:"collectable,omitzero" doc:"it waits for nothing any more: collect it; this and the next two only for a waiting request of one's own, asked by id"`
	NotBefore   Time     `json:"notBefore,omitzero" doc:"when its delay is over"`
	Reasons     []Reason `json:"reasons,omitempty" doc:"by which rules it waits, may go, or would be denied by now"`
}

// Requests is a page of operations, newest first.
type Requests struct {
	V        V1        `json:"v"`
	Requests []Request `json:"requests"`
	Next     string    `json:"next,omitzero" doc:"ask with before=… for what follows; absent at the end"`
}
