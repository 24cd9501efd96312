// Package software keeps private halves as sealed rows and uses them in this
// process: the keystore that needs no device. Material is unsealed when it is
// first used, kept ready in one bounded cache, and wiped when it is evicted,
// destroyed or sealed away. The room opens no transaction: what changes rows is
// an effect that the journal runs. It never judges whether a key may be used.
//
// Material of AES, P-256, secp256k1 and of seeds lies in locked memory alone, also while it
// is computed with. What the standard library makes of the others lies on the
// heap for as long as the cache holds it, and is computed with in secret.Do.
//
// BUG(software): of HMAC, RSA, P-384, P-521 and Ed25519 keys the standard library
// makes copies that cannot be reached. A build with runtime/secret erases them
// once the key is dropped and two garbage collections have passed. Another build
// does so only when their memory is used again, and leaves on the stack what was
// computed there, also of the other keys.
package software

import (
	"context"
	"io"
	"sync"

	"keyward/internal/chain"
	"keyward/internal/journal"
	"keyward/internal/key"
	"keyward/internal/keystore"
	"keyward/internal/seal"
	"keyward/internal/secret"
	"keyward/internal/store"
)

// DefaultSize is how many keys are kept ready where Options do not say.
const DefaultSize = 4096

// Options is what a Keystore is built from.
type Options struct {
	Reader *store.Reader
	Root   *seal.Root // lent; destroy it after Lock
	Rand   io.Reader  // for nonces and wrapping keys; keys come from crypto/rand always
	Size   int        // keys kept ready at once; 0 for DefaultSize
}

// Keystore is a keystore.Keystore for as long as keyward is unsealed. Its methods
// are safe for concurrent use, and after Lock return keystore.ErrSealed.
type Keystore struct {
	opt   Options
	cache *cache

	gate   sync.RWMutex // Lock waits for those who are inside
	locked bool
}

// New returns a Keystore over the unsealed root key.
func New(opt Options) *Keystore {
	if opt.Size <= 0 {
		opt.Size = DefaultSize
	}
	return &Keystore{opt: opt, cache: newCache(opt.Size)}
}

// Lock ends the Keystore: it waits for what is under way, then wipes everything
// that is ready. To unseal again, make a new one.
func (k *Keystore) Lock() {
	k.gate.Lock()
	defer k.gate.Unlock()
	k.locked = true
	k.cache.purge(func(key.Ref) bool { return true })
}

// Purge wipes whatever is ready of these keys. Call it after the commit that
// destroyed them.
func (k *Keystore) Purge(ids ...key.ID) {
	for _, id := range ids {
		k.cache.purge(func(ref key.Ref) bool { return ref.ID == id })
	}
}

// Cached is how many keys are ready.
func (k *Keystore) Cached() int { return k.cache.len() }

// enter keeps Lock out until leave. Without a root key nothing is used either,
// however ready it is.
func (k *Keystore) enter() error {
	k.gate.RLock()
	if k.locked || k.opt.Root.Version() == 0 {
		k.gate.RUnlock()
		return keystore.ErrSealed
	}
	return nil
}

func (k *Keystore) leave() { k.gate.RUnlock() }

// Use spends the permit and does what it permits. See keystore.Keystore. Beside
// the errors there it returns those of journal.Permit, and keystore.ErrUnfit.
func (k *Keystore) Use(ctx context.Context, p journal.Permit) (keystore.Result, error) {
	if err := k.enter(); err != nil {
		return keystore.Result{}, err
	}
	defer k.leave()
	if !p.Valid() {
		return keystore.Result{}, journal.ErrNoPermit
	}
	order, err := p.Take(p.Verb())
	if err != nil {
		return keystore.Result{}, err
	}
	e, err := k.open(ctx, order.Key)
	if err != nil {
		return keystore.Result{}, err
	}
	defer e.release()
	if err := e.secret.purpose().Fits(order); err != nil {
		return keystore.Result{}, err
	}
	made, err := k.obey(e.secret.half, order)
	if err != nil {
		return keystore.Result{}, err
	}
	result, err := keystore.NewResult(p, made)
	if err != nil {
		made.Secret.Destroy()
	}
	return result, err
}

// The private half of a key, ready to be used: exactly one of these.
type (
	half interface {
		wipe() // once, when nobody uses it any more
	}
	signer interface {
		half
		// sign returns a signature that was checked.
		sign(alg key.Algorithm, input []byte) (key.Signature, error)
	}
	chainSigner interface {
		signer
		// task signs what a chain's payload asks of an account, and refuses one that
		// names another key than the one there.
		task(account key.Path, t chain.Task) (key.Recoverable, error)
	}
	cipher interface {
		half
		algorithm() key.Algorithm
		// encrypt appends the body of an envelope to dst.
		encrypt(dst []byte, rand io.Reader, plaintext, associated []byte) ([]byte, error)
		// decrypt fails with keystore.ErrCorrupt.
		decrypt(body, associated []byte) (secret.Bytes, error)
	}
	authenticator interface {
		half
		mac(message []byte) []byte
	}
)

// obey carries out an order that fits the key.
func (k *Keystore) obey(h half, o journal.Order) (m keystore.Made, err error) {
	switch h := h.(type) {
	case signer:
		return m, sign(&m, h, o)
	case cipher:
		return m, k.crypt(&m, h, o)
	case authenticator:
		m.Output = h.mac(o.Parsed.Payload())
		return m, nil
	}
	return m, keystore.ErrUnfit
}

func sign(m *keystore.Made, h signer, o journal.Order) (err error) {
	tasks := o.Parsed.Tasks()
	if o.Verb == key.Sign {
		m.Signature, err = h.sign(o.Algorithm, tasks[0].Digest)
		return err
	}
	c, ok := h.(chainSigner)
	if !ok {
		return keystore.ErrUnfit
	}
	account := key.Path(nil)
	if o.Path != "" {
		if account, err = key.ParsePath(o.Path); err != nil {
			return err
		}
	}
	all := make([]key.Recoverable, len(tasks))
	for i, t := range tasks {
		if all[i], err = c.task(account, t); err != nil {
			return err // and none of them leaves
		}
	}
	m.Recoverable = all
	return nil
}

func (k *Keystore) crypt(m *keystore.Made, h cipher, o journal.Order) (err error) {
	payload, context := o.Parsed.Payload(), o.Parsed.Context()
	if o.Verb == key.Decrypt {
		env, err := keystore.ParseEnvelope(payload)
		if err != nil {
			return err
		}
		if env.Key != o.Key || env.Algorithm != o.Algorithm {
			return keystore.ErrCorrupt
		}
		m.Secret, err = h.decrypt(env.Body, keystore.AssociatedData([keystore.EnvelopeHeader]byte(payload), context))
		return err
	}
	header, err := keystore.Envelope{Key: o.Key, Algorithm: o.Algorithm}.Header()
	if err != nil {
		return err
	}
	if o.Verb == key.DataKey {
		if m.Secret, err = secret.Random(k.opt.Rand, dataKeySize); err != nil {
			return err
		}
		payload = m.Secret.View()
	}
	out := append(make([]byte, 0, keystore.EnvelopeHeader+len(payload)+seal.Overhead), header[:]...)
	if m.Output, err = h.encrypt(out, k.opt.Rand, payload, keystore.AssociatedData(header, context)); err != nil {
		m.Secret.Destroy()
		m.Secret = secret.Bytes{}
	}
	return err
}

// dataKeySize is the length of a data key in bytes: one for AES-256.
const dataKeySize = 32
