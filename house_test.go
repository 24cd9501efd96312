package keyward_test

import "testing"

// The house: who may import whom, and why. A package without a row fails, a
// row without a package is a room that is not built yet. Tests may import any
// room but the binary. A new arrow is a change of this table, defended here.
var rooms = map[string]room{
	"api":             {nil, "ground: the wire types are a promise to others, and promise nothing of ours with them"},
	"internal/key":    {nil, "ground: the vocabulary that all rooms share"},
	"internal/clock":  {nil, "ground: what time to believe; whoever counts time stands on it"},
	"internal/secret": {nil, "ground: whatever holds secrets stands on it"},
	"internal/seed":   {may("key", "secret"), "ground: words and the tree below them, for whoever holds a seed; chain never does"},

	"internal/seal":            {may("secret"), "locks the root key; its slots are plain values that others store"},
	"internal/seal/keyfile":    {may("seal", "secret"), "an implementation knows its socket only"},
	"internal/seal/passphrase": {may("seal", "secret"), "an implementation knows its socket only"},
	"internal/seal/sealtest":   {may("seal", "secret"), "the suite sees what a caller sees"},

	"internal/store":            {nil, "state for any owner: it knows rows, not what they mean"},
	"internal/store/migrations": {nil, "SQL text that both engines run"},
	"internal/store/sqlite":     {may("store", "store/migrations"), "an engine knows its socket only"},
	"internal/store/postgres":   {may("store", "store/migrations"), "an engine knows its socket only"},
	"internal/store/storetest":  {may("store", "store/migrations"), "the suite sees what a caller sees"},

	"internal/chain":           {may("key"), "pure: what a payload means, in the words of key"},
	"internal/chain/ethereum":  {may("chain", "key"), "pure: an implementation knows its socket only"},
	"internal/chain/bitcoin":   {may("chain", "key"), "pure: an implementation knows its socket only"},
	"internal/chain/chaintest": {may("chain", "key"), "the suite sees what a caller sees"},

	"internal/identity": {may("store", "secret", "key", "seal"), "owns services and tokens, their rows and their hashes"},
	"internal/policy":   {may("chain", "identity", "key"), "pure: judges who (Actor) wants what (Intent); knows no state"},
	"internal/charter":  {may("policy", "store", "seal", "secret"), "signed versions of the policy: checks it, signs it, keeps it"},
	"internal/approval": {may("policy", "chain", "identity", "key"), "pure: earns a Grant from a Decision"},
	"internal/audit":    {may("store", "seal", "secret", "key"), "follows the log that journal writes; nobody above it"},
	"internal/journal":  {may("approval", "policy", "chain", "identity", "audit", "store", "key", "clock"), "earns a Permit from a Grant, in the one transaction that it alone opens"},

	"internal/journal/journaltest": {may("journal", "approval", "policy", "chain", "identity", "audit", "key", "store", "store/sqlite"),
		"earns real Permits for the tests of the rooms behind it, over a real engine"},

	"internal/keystore":              {may("journal", "key", "secret", "chain"), "takes Permits, so it cannot be called without one"},
	"internal/keystore/software":     {may("keystore", "journal", "seal", "seed", "store", "key", "secret", "chain"), "private halves in sealed rows; gives journal effects, never writes itself"},
	"internal/keystore/keystoretest": {may("keystore", "journal", "approval", "policy", "chain", "identity", "audit", "store", "key", "secret", "seed"), "the suite walks the corridor to earn real Permits"},

	"internal/kms": {may("approval", "audit", "chain", "chain/bitcoin", "chain/ethereum", "charter", "identity", "journal", "key", "keystore", "keystore/software", "policy", "seal", "secret", "seed", "store"),
		"the heart: the one room that sees the whole corridor; never an engine, never a protocol"},

	"internal/server":        {may("kms", "identity", "key", "secret", "/api"), "sees the heart and nothing behind it; secret, for bodies that are wiped"},
	"internal/server/native": {may("server", "kms", "identity", "key", "secret", "/api"), "a protocol sees the heart and nothing behind it"},
	"client":                 {may("/api"), "a promise to others: what it imports, they import"},

	"cmd/keyward": {[]string{everything}, "the wiring is the one place where all rooms meet"},
	"bench":       {[]string{everything}, "measures each room, and the house as it is wired"},

	"internal/twintest": {nil, "runs tests against broken twins: knows the go command, not the rooms"},
}

// Who may use whose library, and why; in tests any of them. The prefix of an
// import path decides, the longest first.
var libraries = map[string]library{
	"github.com/fxamacker/cbor/v2":              {anyRoom, "canonical CBOR (RFC 8949): whatever is signed, sealed or hashed"},
	"github.com/go-json-experiment/json":        {anyRoom, "strict JSON: refuses duplicate names, which encoding/json takes"},
	"golang.org/x/sys/unix":                     {[]string{"internal/clock", "internal/secret", "internal/seal", "internal/seal/keyfile", "internal/store/sqlite", "internal/server", "cmd/keyward", "bench"}, "mlock, peer credentials, flock, statfs, time since boot"},
	"golang.org/x/crypto/argon2":                {[]string{"internal/seal/passphrase"}, "the KDF of passphrases (RFC 9106)"},
	"golang.org/x/crypto/sha3":                  {[]string{"internal/chain/ethereum", "internal/policy"}, "Keccak-256 as Ethereum uses it, which is not SHA-3; policy checks address checksums (EIP-55)"},
	"golang.org/x/crypto/ripemd160":             {[]string{"internal/seed"}, "HASH160, by which BIP-32 names keys"},
	"golang.org/x/mod/sumdb":                    {[]string{"internal/audit", "client", "cmd/keyward"}, "RFC 6962 trees and signed notes; the client verifies too"},
	"golang.org/x/term":                         {[]string{"cmd/keyward"}, "passphrases are typed without echo"},
	"golang.org/x/text/unicode/norm":            {[]string{"internal/seed"}, "NFKD of words and passphrases (BIP-39), on bytes"},
	"filippo.io/nistec":                         {[]string{"internal/keystore/software"}, "multiplication on P-256 with a scalar that never leaves locked memory; the standard library's own curve code, by its maintainer"},
	"github.com/decred/dcrd/dcrec/secp256k1/v4": {[]string{"internal/chain/ethereum", "internal/chain/bitcoin", "internal/chain/chaintest", "internal/keystore", "internal/keystore/software", "internal/keystore/keystoretest", "internal/seed", "bench"}, "the curve that the standard library lacks; chain recovers senders and checks what others signed, keystore checks signatures, seed derives keys"},
	"github.com/btcsuite/btcd":                  {[]string{"internal/chain/bitcoin"}, "Bitcoin's consensus: digests of signatures, the script engine, base58 and bech32; its decoders of transactions and PSBTs are not used"},
	"go.yaml.in/yaml/v3":                        {[]string{"internal/policy"}, "policy files"},
	"github.com/pelletier/go-toml/v2":           {[]string{"cmd/keyward"}, "config.toml"},
	"github.com/pressly/goose/v3":               {[]string{"internal/store", "internal/store/migrations", "internal/store/sqlite", "internal/store/postgres", "internal/audit"}, "migrations"},
	"modernc.org/sqlite":                        {[]string{"internal/store/sqlite"}, "the embedded engine, without cgo"},
	"modernc.org/libc":                          {[]string{"internal/store/sqlite"}, "the C library under it: its memory, for a file system of our own"},
	"github.com/danielgtaylor/huma/v2":          {[]string{"internal/server", "internal/server/native"}, "HTTP operations and their OpenAPI from one declaration"},
	"github.com/prometheus/client_golang":       {[]string{"internal/server", "internal/server/native", "cmd/keyward"}, "/metrics"},
	"github.com/spf13/cobra":                    {[]string{"cmd/keyward"}, "the command line"},
	"github.com/google/go-cmp":                  {suites, "differences that people can read"},
	"pgregory.net/rapid":                        {suites, "properties, with shrinking"},
	"github.com/rogpeppe/go-internal":           {suites, "testscript: commands as users type them"},
}

// Folders and files that may import unsafe, and why.
var belowGo = map[string]string{
	"internal/secret":       "memory outside the heap, behind handles that reflection cannot follow",
	"internal/seal/park.go": "the expanded AES key, which contains the key, moves to such memory",
	"internal/store/sqlite": "the engine's file system is a table of C functions",
}

// Files that may be longer than maxLines, and why.
var longFiles = map[string]string{}

func TestHouse(t *testing.T) {
	h, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, complaint := range r.check(h) {
				t.Error(complaint)
			}
			if t.Failed() {
				t.Logf("the rule: %s", r.why)
			}
		})
	}
}
