package api

// CreateKey asks for a new key.
type CreateKey struct {
	Ask
	Name   string            `json:"name" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$"`
	Spec   string            `json:"spec" enum:"AES_256,HMAC_256,HMAC_384,HMAC_512,RSA_2048,RSA_3072,RSA_4096,ECC_NIST_P256,ECC_NIST_P384,ECC_NIST_P521,ECC_SECG_P256K1,ECC_NIST_EDWARDS25519"`
	Usage  string            `json:"usage,omitzero" enum:"SIGN_VERIFY,ENCRYPT_DECRYPT,GENERATE_VERIFY_MAC" doc:"absent: the spec's own; RSA signs"`
	Domain string            `json:"domain,omitzero" enum:"raw,ethereum" doc:"absent: raw"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// Key is a key as it is shown: never its secret half.
type Key struct {
	V          V1                `json:"v"`
	ID         string            `json:"id" doc:"key_…, for ever"`
	Name       string            `json:"name"`
	Spec       string            `json:"spec"`
	Usage      string            `json:"usage"`
	Domain     string            `json:"domain"`
	Origin     string            `json:"origin"`
	State      string            `json:"state" enum:"pending,active,suspended,deactivated,compromised,pending-destruction,destroyed"`
	Version    uint32            `json:"version" doc:"the current version, from 1"`
	PublicKey  string            `json:"publicKey,omitzero" doc:"of the current version: PEM, SubjectPublicKeyInfo; absent for symmetric keys"`
	Addresses  []Address         `json:"addresses,omitempty" doc:"how a chain pays the key"`
	Owner      string            `json:"owner,omitzero"`
	Tags       map[string]string `json:"tags,omitempty"`
	Exportable bool              `json:"exportable,omitzero"`
	Created    Time              `json:"created"`
	DestroyAt  Time              `json:"destroyAt,omitzero"`
	Versions   []KeyVersion      `json:"versions,omitempty"`
	Answer
}

// KeyVersion is one generation of a key's material.
type KeyVersion struct {
	Version   uint32 `json:"version"`
	Created   Time   `json:"created"`
	PublicKey string `json:"publicKey,omitzero" doc:"PEM, SubjectPublicKeyInfo"`
}

// Address is a way to pay a key.
type Address struct {
	Chain   string `json:"chain" doc:"CAIP-2, or a family of chains that share addresses"`
	Form    string `json:"form,omitzero"`
	Address string `json:"address"`
}

// Keys is a page of keys, oldest first.
type Keys struct {
	V    V1     `json:"v"`
	Keys []Key  `json:"keys"`
	Next string `json:"next,omitzero" doc:"ask with after=… for what follows; absent at the end"`
}

// DestroyKey asks to destroy a key after a time in which it can be cancelled.
type DestroyKey struct {
	Ask
	Days int `json:"days,omitzero" minimum:"7" maximum:"30" doc:"absent: 30"`
}
