package api

// CreateKey asks for a new key.
type CreateKey struct {
	Ask
	Name   string            `json:"name" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$"`
	Spec   string            `json:"spec" enum:"AES_256,HMAC_256,HMAC_384,HMAC_512,RSA_2048,RSA_3072,RSA_4096,ECC_NIST_P256,ECC_NIST_P384,ECC_NIST_P521,ECC_SECG_P256K1,ECC_NIST_EDWARDS25519"`
	Usage  string            `json:"usage,omitzero" enum:"SIGN_VERIFY,ENCRYPT_DECRYPT,GENERATE_VERIFY_MAC" doc:"absent: the spec's own; RSA signs"`
	Domain string            `json:"domain,omitzero" enum:"raw,bitcoin,ethereum" doc:"absent: raw"`
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
	Path       string            `json:"path,omitzero" doc:"of the account that is shown, below a seed; its publicKey and addresses are the account's"`
	XPub       string            `json:"xpub,omitzero" doc:"extended public key of the account (BIP-32)"`
	Master     string            `json:"master,omitzero" doc:"fingerprint of the seed's master key, 8 hex digits"`
	WordsShown bool              `json:"wordsShown,omitzero" doc:"of a seed: its words were shown when it was made; without, nobody can have written them down"`
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
	Chain   string `json:"chain" doc:"ethereum, for all chains that share its addresses, or a network of Bitcoin: main, testnet4, …"`
	Form    string `json:"form,omitzero" doc:"eoa, p2pkh, p2sh-p2wpkh, p2wpkh, p2tr"`
	Address string `json:"address"`
	Path    string `json:"path,omitzero" doc:"of the key below a seed that it pays"`
}

// CreateSeed asks for a new seed: a tree of keys that hangs on words.
type CreateSeed struct {
	Ask
	Name   string            `json:"name" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$"`
	Domain string            `json:"domain,omitzero" enum:"path,bitcoin,ethereum" doc:"absent: path, where each account has the domain of its coin type"`
	Words  int               `json:"words,omitzero" enum:"12,15,18,21,24" doc:"absent: 24"`
	Show   bool              `json:"show,omitzero" doc:"answer with the words, once; over the unix socket alone"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// ImportSeed asks to keep a seed that exists as words.
type ImportSeed struct {
	Ask
	Name       string            `json:"name" pattern:"^[a-z0-9][a-z0-9._-]{0,63}$"`
	Domain     string            `json:"domain,omitzero" enum:"path,bitcoin,ethereum"`
	Words      []byte            `json:"words" doc:"12 to 24 words (BIP-39, English), UTF-8, white space between them"`
	Passphrase []byte            `json:"passphrase,omitempty" doc:"UTF-8"`
	Tags       map[string]string `json:"tags,omitempty"`
}

// Seed is a new seed. Whoever receives its words wipes them.
type Seed struct {
	Key
	Words []byte `json:"words,omitempty" doc:"once, where they were asked for"`
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
