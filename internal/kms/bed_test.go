package kms_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/ethereum"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/passphrase"
	"keyward/internal/store"
	"keyward/internal/store/sqlite"
)

// bed is a whole keyward over files of a temporary folder, unsealed by a key
// file beside them. Nothing in it is a mock.
type bed struct {
	t       testing.TB
	dir     string // the data directory
	keyFile string
	reader  *store.Reader
	writer  *store.Writer
	derived *sql.DB
	kms     *kms.KMS
	clock   func() time.Time
	boot    func() time.Duration // nil: it goes with clock, as where nobody sets it
	rand    io.Reader
	floors  journal.Floors
	engine  func(store.Engine) store.Engine // put between store and SQLite; nil for nothing
}

// random is where all randomness comes from.
var random = rand.Reader

var operator = identity.Operator("unix")

// newBed makes an installation and unseals it.
func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, dir: filepath.Join(t.TempDir(), "data"), keyFile: filepath.Join(t.TempDir(), "key"), clock: time.Now, rand: rand.Reader}
	b.init()
	b.open()
	b.unseal()
	t.Cleanup(b.close)
	return b
}

// init makes the installation as `keyward init` does.
func (b *bed) init() { b.initWith(rand.Reader) }

func (b *bed) initWith(random io.Reader) {
	b.t.Helper()
	b.openStore()
	cred, err := keyfile.Create(rand.Reader, b.keyFile, b.dir)
	b.must(err)
	defer cred.Secret.Destroy()
	_, err = kms.Init(context.Background(), kms.Birth{
		Pen: journal.Hold(b.writer), Node: "node", Clock: b.clock, Rand: random,
		Slot: func([32]byte) (seal.NewSlot, error) {
			return seal.NewSlot{Method: keyfile.Method{}, Credential: cred, Name: "first", Created: 1}, nil
		},
	})
	b.must(err)
	b.must(b.writer.Close())
}

func (b *bed) openStore() {
	b.t.Helper()
	ctx := context.Background()
	made, err := sqlite.Open(ctx, b.dir)
	b.must(err)
	var engine store.Engine = made
	if b.engine != nil {
		engine = b.engine(engine)
	}
	b.reader, b.writer, err = store.Open(ctx, engine)
	b.must(err)
}

// open opens the house, sealed.
func (b *bed) open() {
	b.t.Helper()
	b.openStore()
	var err error
	b.derived, err = sqlite.OpenDerived(filepath.Join(b.dir, "derived.db"))
	b.must(err)
	b.kms = kms.New(kms.Options{
		Reader: b.reader, Pen: journal.Hold(b.writer), Derived: b.derived, Methods: []seal.Method{keyfile.Method{}, passphrase.Method{Cost: passphrase.DefaultCost()}},
		Decoders: []chain.Decoder{ethereum.Decoder{}, bitcoin.Decoder{}}, Node: "node", Clock: func() time.Time { return b.clock() }, Boot: b.sinceBoot,
		Rand: b.rand, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Floors: b.floors,
	})
}

func (b *bed) sinceBoot() time.Duration {
	if b.boot != nil {
		return b.boot()
	}
	return time.Duration(b.clock().UnixNano())
}

func (b *bed) tryUnseal() error {
	b.t.Helper()
	cred, err := keyfile.Read(b.keyFile, b.dir)
	b.must(err)
	defer cred.Secret.Destroy()
	return b.kms.Unseal(context.Background(), operator, cred)
}

func (b *bed) unseal() {
	b.t.Helper()
	b.must(b.tryUnseal())
}

func (b *bed) close() {
	b.t.Helper()
	if b.kms == nil {
		return
	}
	b.kms.Close()
	b.must(b.derived.Close())
	b.must(b.writer.Close())
	b.kms = nil
}

// again closes the house, lets the test work on its files, and opens it sealed.
func (b *bed) again(between func()) {
	b.t.Helper()
	b.close()
	if between != nil {
		between()
	}
	b.open()
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// sql changes the database, closed or not, as whoever has its file can.
func (b *bed) sql(statements ...string) {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, sqlite.File)+"?_busy_timeout=5000")
	b.must(err)
	defer db.Close()
	db.SetMaxOpenConns(1) // ATTACH is of one connection
	for _, s := range statements {
		result, err := db.Exec(s)
		if err != nil {
			b.t.Fatalf("%s: %v", s, err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			b.t.Fatalf("%s: changed %d rows, %v", s, n, err)
		}
	}
}

// key makes a key.
func (b *bed) key(name string, spec key.Spec, domain key.Domain) kms.KeyView {
	b.t.Helper()
	k, _, err := b.kms.CreateKey(context.Background(), operator, kms.NewKey{Name: name, Spec: spec, Domain: domain})
	b.must(err)
	return k
}

// apply puts a policy in force, in which the operator still may do everything.
func (b *bed) apply(rules string) {
	b.t.Helper()
	_, _, err := b.kms.ApplyPolicy(context.Background(), operator, []byte(solo+rules), kms.Ask{})
	b.must(err)
}

const solo = "version: 1\nrules:\n  - {name: solo, who: [operator], keys: [any], do: [any], then: allow}\n"

// service makes a service and authenticates as it.
func (b *bed) service(name string) identity.Actor {
	b.t.Helper()
	a, _ := b.serviceToken(name)
	return a
}

func (b *bed) serviceToken(name string) (identity.Actor, []byte) {
	b.t.Helper()
	_, token, _, err := b.kms.CreateService(context.Background(), operator, kms.NewService{Name: name})
	b.must(err)
	defer token.Destroy()
	a, err := b.kms.Authenticate(context.Background(), token.View(), netip.Addr{})
	b.must(err)
	return a, append([]byte(nil), token.View()...)
}

// sign signs a message by a raw key, as the operator.
func (b *bed) sign(name, text string, ask kms.Ask) (kms.Signed, error) {
	return b.kms.Sign(context.Background(), operator, kms.SignRequest{Ask: ask, Key: name, Type: chain.TypeMsg, Payload: []byte(text)})
}

// payee is who the tests pay; 0x…beef is not.
const payee = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

// maxFee is what every payment's fee is at most, in wei.
var maxFee = big.NewInt(21_000 * 1_000_000_000)

// payment is an unsigned transaction that pays milli/1000 ETH.
func payment(to string, milli int64, nonce int) []byte {
	wei := new(big.Int).Mul(big.NewInt(milli), big.NewInt(1_000_000_000_000_000))
	return fmt.Appendf(nil, `{"type":"0x2","chainId":"0x1","nonce":"0x%x","to":%q,"value":"0x%x","gas":"0x5208","maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x1"}`,
		nonce, to, wei)
}

// pay signs such a payment as a service.
func (b *bed) pay(a identity.Actor, keyName, to string, milli int64, nonce int, ask kms.Ask) (kms.Signed, error) {
	return b.kms.Sign(context.Background(), a, kms.SignRequest{Ask: ask, Key: keyName, Type: chain.TypeTx, Payload: payment(to, milli, nonce)})
}

// payouts lets service:payouts pay at most one ether at once and max in a day.
func payouts(max string) string {
	return `  - name: payouts
    who: [service:payouts]
    keys: [hot]
    do: [sign-transaction]
    chains: [ethereum]
    to: ["` + payee + `"]
    amount: {asset: ETH, max: "1"}
    window: {asset: ETH, per: 24h, max: "` + max + `"}
    then: allow
`
}

// spent adds up the rows of spending.
func (b *bed) spent() *big.Int {
	b.t.Helper()
	sum := new(big.Int)
	for row, err := range b.reader.Rows(context.Background(), journal.Spending(), "") {
		b.must(err)
		sum.Add(sum, new(big.Int).SetBytes(row.Bytes(5)))
	}
	return sum
}

// records reads the whole log, as its follower does.
func (b *bed) records() []audit.Record {
	b.t.Helper()
	head, err := b.reader.Head(context.Background())
	b.must(err)
	var all []audit.Record
	for e, err := range audit.Records(context.Background(), b.reader, 1, head.Sequence) {
		b.must(err)
		r, err := audit.DecodeRecord(e.Record)
		b.must(err)
		all = append(all, r)
	}
	return all
}

// charged adds up what the records say was spent.
func charged(t testing.TB, all []audit.Record) *big.Int {
	t.Helper()
	sum := new(big.Int)
	for _, r := range all {
		if r.Phase != "begun" && r.Phase != "done" {
			continue
		}
		for _, c := range r.Charges {
			n, ok := new(big.Int).SetString(c.Amount, 10)
			if !ok {
				t.Fatalf("record %d: charge %q", r.Sequence, c.Amount)
			}
			sum.Add(sum, n)
		}
	}
	return sum
}

// settled waits until denials and ends are in the log: they ride in a commit
// that nobody waits for. A note of its own brings them along.
func (b *bed) settled() []audit.Record {
	b.t.Helper()
	b.key(fmt.Sprintf("settle-%d", time.Now().UnixNano()), key.HMAC256, key.Raw)
	return b.records()
}

// wantKind fails unless err is of that kind, and returns it.
func wantKind(t testing.TB, err error, kind kms.Kind) *kms.Error {
	t.Helper()
	e, ok := err.(*kms.Error)
	if !ok || e.Kind != kind {
		t.Fatalf("got %v (kind %q), want kind %q", err, kms.KindOf(err), kind)
	}
	return e
}

// needAll skips, or fails where all tests must run, for want of a judge.
func needAll(t testing.TB, judge string, err error) {
	t.Helper()
	if os.Getenv("KEYWARD_TEST_ALL") == "1" {
		t.Fatalf("judge %s missing: %v", judge, err)
	}
	t.Skipf("judge %s missing: %v", judge, err)
}
