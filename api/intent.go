package api

// Decode asks what a payload means. Nothing is recorded or signed.
type Decode struct {
	V       V1     `json:"v,omitzero"`
	Payload []byte `json:"payload"`
	Type    string `json:"type,omitzero" enum:"tx,psbt,message,typed-data,digest"`
	Key     string `json:"key,omitzero" doc:"name or id of the key that would sign"`
	Domain  string `json:"domain,omitzero" enum:"raw,bitcoin,ethereum" doc:"instead of key; absent: found out from the payload"`
	Network string `json:"network,omitzero" doc:"for Bitcoin: main, testnet4, signet, regtest; absent: by the key's path, else main"`
}

// Decoded is what it means.
type Decoded struct {
	V      V1     `json:"v"`
	Type   string `json:"type" enum:"tx,psbt,message,typed-data,digest"`
	Intent Intent `json:"intent"`
}

// Intent is what a payload would do if it were signed.
type Intent struct {
	Kind       string      `json:"kind" enum:"transaction,message,typed-data,plain,administration"`
	Chain      string      `json:"chain,omitzero" doc:"CAIP-2: eip155:1"`
	Sentence   string      `json:"sentence" doc:"in words"`
	From       string      `json:"from,omitzero"`
	Nonce      *uint64     `json:"nonce,omitzero"`
	Moves      []Move      `json:"moves,omitempty" doc:"value that changes hands"`
	Fee        *Fee        `json:"fee,omitzero" doc:"the most that it can cost"`
	Allowances []Allowance `json:"allowances,omitempty" doc:"powers that it gives away"`
	Call       *Call       `json:"call,omitzero"`
	Creates    bool        `json:"creates,omitzero" doc:"deploys a contract"`
	Text       string      `json:"text,omitzero" doc:"a message's text, when it is printable"`
	Warnings   []Warning   `json:"warnings,omitempty"`
	Blind      bool        `json:"blind,omitzero" doc:"some part of it was not understood"`
}

// Asset is something that can be owned.
type Asset struct {
	ID       string `json:"id" doc:"CAIP-19: eip155:1/slip44:60"`
	Symbol   string `json:"symbol,omitzero"`
	Decimals *int   `json:"decimals,omitzero" doc:"absent when unknown"`
}

// Amount is a sum of one asset.
type Amount struct {
	Asset  Asset  `json:"asset"`
	Amount string `json:"amount,omitzero" pattern:"^[0-9]+$" doc:"in base units (wei, satoshi)"`
	Text   string `json:"text,omitzero" doc:"for people: 1.5 ETH"`
}

// Move is value that changes hands.
type Move struct {
	Amount
	From    string `json:"from,omitzero"`
	To      string `json:"to"`
	Change  bool   `json:"change,omitzero" doc:"proved to come back"`
	TokenID string `json:"tokenId,omitzero" doc:"of a token that is one of a kind"`
}

// Fee is the most that the payload can cost.
type Fee struct {
	Amount
}

// Allowance is a power over assets that the payload gives away.
type Allowance struct {
	Amount
	Spender   string `json:"spender"`
	Unlimited bool   `json:"unlimited,omitzero" doc:"in practice everything, for ever"`
	All       bool   `json:"all,omitzero" doc:"every token of a collection"`
	TokenID   string `json:"tokenId,omitzero"`
}

// Call is a contract call.
type Call struct {
	To       string `json:"to"`
	Selector string `json:"selector,omitzero"`
	Name     string `json:"name,omitzero" doc:"transfer(address,uint256)"`
	Args     []Arg  `json:"args,omitempty"`
	Decoded  bool   `json:"decoded" doc:"false: whoever signs it signs blind"`
	Size     int    `json:"size" doc:"bytes of call data"`
}

// Arg is one argument of a call, printed for people.
type Arg struct {
	Name  string `json:"name,omitzero"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Warning is something a careful reader would stop at. Code is stable.
type Warning struct {
	Code string `json:"code"`
	Text string `json:"text"`
}
