package kms

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"keyward/internal/audit"
	"keyward/internal/chain"
	"keyward/internal/charter"
	"keyward/internal/identity"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/keystore/software"
	"keyward/internal/policy"
	"keyward/internal/seal"
	"keyward/internal/secret"
	"keyward/internal/seed"
	"keyward/internal/store"
)

// Options is what a KMS is built from. It carries the Pen to the journal and
// cannot write with it.
type Options struct {
	Reader   *store.Reader
	Pen      journal.Pen
	Derived  *sql.DB // what can be rebuilt: the log's tree
	Methods  []seal.Method
	Decoders []chain.Decoder
	Node     string
	Clock    func() time.Time     // the wall's
	Boot     func() time.Duration // time since boot; nil for the machine's own
	Rand     io.Reader
	Log      *slog.Logger
	Cache    int            // parsed keys kept in memory; 0 for the default
	Floors   journal.Floors // of free space; the zero value for the defaults
}

// KMS is the heart. Its methods are safe for concurrent use.
type KMS struct {
	opt     Options
	limiter *seal.Limiter
	state   atomic.Pointer[unsealed] // nil while sealed

	mu     sync.Mutex // of sealing and unsealing
	failed []journal.Notice

	slotting sync.Mutex // of slots and of rotating the root key; sealing never waits for it
}

// unsealed is all that exists only between unsealing and sealing.
type unsealed struct {
	installation [32]byte
	root         *seal.Root
	journal      *journal.Journal
	keystore     *software.Keystore
	directory    *identity.Directory
	log          *audit.Log
	logVerifier  string
	logDone      chan struct{}
	stopLog      context.CancelFunc
	keys         keyCache
	accounts     recent[place, *seed.Account]
	rules        atomic.Pointer[rules]
	tampered     atomic.Pointer[Error] // what a look at all rows found; nothing is served any more
	rotation     *seal.Rotation        // of which it is unknown whether it was stored; under slotting

	private    sync.RWMutex // held for writing while what follows is wiped
	closed     bool
	charterKey charter.Key
	authority  identity.Authority
}

// rules is the charter in force with its policy, as read under one epoch.
type rules struct {
	epoch  uint64
	signed charter.Signed
	policy *policy.Policy
}

// tables are the authenticated tables whose rows decisions rest on.
func tables() []store.Table {
	return []store.Table{
		keyTable, versionTable, software.Materials(), charter.Table(), identity.Services(), systemTable, slotTable, journal.Spending(),
	}
}

// New builds a KMS, sealed.
func New(opt Options) *KMS {
	return &KMS{opt: opt, limiter: seal.NewLimiter(opt.Clock)}
}

// Unseal opens the root key with a credential, verifies every row that decisions
// rest on, has every later commit look whether somebody else wrote since (journal
// and store), and makes the node ready. It returns Unverified for a wrong
// credential, and refuses to work on a database that was changed from outside.
func (k *KMS) Unseal(ctx context.Context, a identity.Actor, cred seal.Credential) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a.Kind() != identity.LocalOperator {
		return fail(Denied, "unseal on the machine itself", "only the local operator may unseal")
	}
	if k.state.Load() != nil {
		return fail(Conflict, "", "keyward is not sealed")
	}
	sealed, err := k.sealed(ctx)
	if err != nil {
		return k.wrap(err)
	}
	var root *seal.Root
	var slot string
	err = k.limiter.Try(ctx, func() (err error) {
		root, slot, err = seal.Unseal(ctx, sealed, k.opt.Methods, cred)
		return err
	})
	if err != nil {
		if errors.Is(err, seal.ErrWrongCredential) {
			k.remember(journal.Notice{Actor: a.Name(), Source: a.Source(), Action: "seal.unseal", Outcome: "failed: wrong credential"})
		}
		return k.wrap(err)
	}
	u, err := k.open(ctx, root)
	if err != nil {
		k.opt.Pen.Lock()
		root.Destroy()
		return k.wrap(err)
	}
	for _, n := range k.failed {
		if err := u.journal.Note(ctx, n, nil); err != nil {
			u.close()
			k.opt.Pen.Lock()
			return k.wrap(err)
		}
	}
	k.failed = nil
	err = u.journal.Note(ctx, journal.Notice{
		Actor: a.Name(), Source: a.Source(), Action: "seal.unseal", Subject: slot, Outcome: "done",
	}, nil)
	if err != nil {
		u.close()
		k.opt.Pen.Lock()
		return k.wrap(err)
	}
	k.state.Store(u)
	return nil
}

// remember keeps a failed attempt until there is a log to write it to: without
// the root key no record can be authenticated.
func (k *KMS) remember(n journal.Notice) {
	n.Detail = "at " + k.opt.Clock().UTC().Format(time.RFC3339)
	if len(k.failed) < 100 {
		k.failed = append(k.failed, n)
	}
	if k.opt.Log != nil {
		k.opt.Log.Warn("unseal failed", "source", n.Source)
	}
}

func (k *KMS) open(ctx context.Context, root *seal.Root) (_ *unsealed, err error) {
	u := &unsealed{root: root, installation: root.Installation()}
	defer func() {
		if err != nil {
			u.close()
		}
	}()
	row, err := k.systemKey(ctx, seal.PurposeRow)
	if err != nil {
		return nil, err
	}
	rowKey, err := root.RowKey(row)
	if err != nil {
		return nil, err
	}
	defer rowKey.Destroy()
	switch err := k.opt.Pen.Unlock(ctx, rowKey.View()); {
	case errors.Is(err, store.ErrUninitialized): // but it has a charter
		return nil, &store.TamperError{Table: "head", Key: "1", Gone: true}
	case err != nil:
		return nil, err
	}
	if err := k.opt.Pen.Verify(ctx, tables()); err != nil {
		return nil, err
	}
	if err := u.takeSystemKeys(ctx, k); err != nil {
		return nil, err
	}
	u.journal, err = journal.Open(ctx, journal.Options{
		Reader: k.opt.Reader, Pen: k.opt.Pen, Node: k.opt.Node, Clock: k.opt.Clock, Boot: k.opt.Boot, Rand: k.opt.Rand,
		Key: keyInTx, Log: k.opt.Log, Drain: drain, Floors: k.opt.Floors,
	})
	if err != nil {
		return nil, err
	}
	u.directory = identity.NewDirectory(k.opt.Reader)
	u.keystore = software.New(software.Options{Reader: k.opt.Reader, Root: root, Rand: k.opt.Rand, Size: k.opt.Cache})
	if err := u.follow(ctx, k); err != nil {
		return nil, err
	}
	// No key is used over a log that was changed while nobody looked. It is opened
	// all the same, so that people can read what is left of it.
	if err := u.log.Inspect(ctx); err != nil && u.log.Damage() == nil {
		return nil, err
	}
	_, err = u.governing(ctx, k)
	return u, err
}

// takeSystemKeys opens the keys of keyward's own.
func (u *unsealed) takeSystemKeys(ctx context.Context, k *KMS) error {
	seed, _, err := u.systemSecret(ctx, k, seal.PurposeInstallation)
	if err != nil {
		return err
	}
	if u.charterKey, err = charter.TakeKey(seed); err != nil {
		return err
	}
	ca, public, err := u.systemSecret(ctx, k, seal.PurposeAuthority)
	if err != nil {
		return err
	}
	u.authority, err = identity.TakeAuthority(ca, public)
	return err
}

// follow starts the log's follower.
func (u *unsealed) follow(ctx context.Context, k *KMS) error {
	seed, _, err := u.systemSecret(ctx, k, seal.PurposeCheckpoint)
	if err != nil {
		return err
	}
	logKey, err := audit.TakeLogKey(audit.Origin(u.installation), seed)
	if err != nil {
		return err
	}
	u.logVerifier = logKey.Verifier()
	u.log, err = audit.Open(ctx, audit.Options{Reader: k.opt.Reader, Derived: k.opt.Derived, Verifier: u.logVerifier, Log: k.opt.Log})
	if err != nil {
		logKey.Destroy()
		return err
	}
	if err := u.log.Unlock(ctx, logKey); err != nil {
		logKey.Destroy()
		return err
	}
	run, stop := context.WithCancel(context.Background())
	u.stopLog, u.logDone = stop, make(chan struct{})
	go func() {
		defer close(u.logDone)
		u.log.Run(run)
	}()
	return nil
}

func (u *unsealed) systemSecret(ctx context.Context, k *KMS, name string) (secret.Bytes, []byte, error) {
	sys, err := k.systemKey(ctx, name)
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	s, err := u.root.OpenSystem(sys)
	return s, sys.Public, err
}

// governing returns the rules in force under the epoch of now.
func (u *unsealed) governing(ctx context.Context, k *KMS) (*rules, error) {
	epoch := u.journal.Epoch()
	if r := u.rules.Load(); r != nil && r.epoch == epoch {
		return r, nil
	}
	chain, err := charter.Load(ctx, k.opt.Reader)
	if err != nil {
		return nil, err
	}
	if chain[0].Hash() != u.installation {
		return nil, fmt.Errorf("%w: its first version is of another installation", charter.ErrInvalid)
	}
	newest := chain[len(chain)-1]
	p, err := policy.Parse(newest.Charter.Policy)
	if err != nil {
		return nil, fmt.Errorf("policy in force: %w", err)
	}
	r := &rules{epoch, newest, p}
	u.rules.Store(r)
	return r, nil
}

// Seal wipes every key from memory. Requests under way are finished or refused.
func (k *KMS) Seal(ctx context.Context, a identity.Actor) error {
	u := k.state.Load()
	if u == nil {
		return fail(Sealed, "", "keyward is sealed already")
	}
	// Sealing is a tightening: the local operator, and whoever the policy names,
	// may always do it.
	in := k.administration(a, key.Seal, "keyward", nil, "Seal keyward: wipe every key from memory until somebody unseals it.")
	_, err := k.act(ctx, u, in, Ask{}, nil)
	if a.Kind() == identity.LocalOperator && u.unrecordable(err) {
		k.told("sealed without a record", err)
		err = nil // a record of it would make no log better, or there can be none: keys in memory are worse
	}
	if err != nil {
		return err
	}
	k.Close()
	// What the libraries keep of keys is erased by the collector (runtime/secret),
	// which else would come by in its own time.
	runtime.GC()
	runtime.GC()
	return nil
}

// unrecordable tells whether err says that the log was changed, or that nothing
// can be written to it now.
func (u *unsealed) unrecordable(err error) bool {
	return errors.Is(err, store.ErrTampered) || u.log.Damage() != nil || errors.Is(err, journal.ErrUnready) || errors.Is(err, journal.ErrUnknown)
}

// Close seals without asking, as when the process ends.
func (k *KMS) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	u := k.state.Swap(nil)
	if u == nil {
		return
	}
	u.close()
	k.opt.Pen.Lock()
}

// drain is how long sealing waits for those who are at work with a key.
const drain = 2 * time.Second

// close ends whatever there is of u, also of one that was opened half.
func (u *unsealed) close() {
	if u.journal != nil {
		u.journal.Close()
	}
	if u.stopLog != nil {
		u.stopLog()
		<-u.logDone
	}
	if u.log != nil {
		u.log.Lock()
	}
	if u.keystore != nil {
		u.keystore.Lock()
	}
	u.private.Lock()
	defer u.private.Unlock()
	u.closed = true
	u.charterKey.Destroy()
	u.authority.Destroy()
	u.root.Destroy()
}

// withPrivate lends keyward's own keys to f, and keeps sealing out meanwhile.
func (u *unsealed) withPrivate(f func() error) error {
	u.private.RLock()
	defer u.private.RUnlock()
	if u.closed {
		return keystore.ErrSealed
	}
	return f()
}

func (k *KMS) unsealed() (*unsealed, error) {
	u := k.state.Load()
	if u == nil {
		return nil, fail(Sealed, "keyward unseal", "keyward is sealed")
	}
	if t := u.tampered.Load(); t != nil {
		return nil, t
	}
	if err := u.journal.Tampered(); err != nil {
		return nil, k.wrap(err)
	}
	return u, nil
}
