package kms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fxamacker/cbor/v2"

	"keyward/internal/key"
	"keyward/internal/store"
)

var (
	keyTable = store.Table{
		Name: "key", Key: []string{"id"}, Columns: []string{"id", "name", "state", "current", "created", "meta"}, Summed: true,
	}
	versionTable = store.Table{
		Name: "key_version", Key: []string{"key_id", "version"}, Columns: []string{"key_id", "version", "public", "created", "birth"}, Summed: true,
	}
)

var canonical = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

func keyRow(k key.Key) (store.Row, error) {
	meta, err := canonical.Marshal(k)
	return store.Row{string(k.ID), k.Name, string(k.State), int64(k.Current), k.Created, meta}, err
}

func versionRow(id key.ID, v key.VersionInfo) store.Row {
	return store.Row{string(id), int64(v.Version), []byte(v.Public), v.Created, v.Birth}
}

// rowSource is what both a Tx and a Reader can do.
type rowSource interface {
	rows(table store.Table, where string, args ...any) func(func(store.Row, error) bool)
}

type inTx struct{ tx *store.Tx }

func (s inTx) rows(t store.Table, where string, args ...any) func(func(store.Row, error) bool) {
	return s.tx.Rows(t, where, args...)
}

type fromReader struct {
	ctx context.Context
	r   *store.Reader
}

func (s fromReader) rows(t store.Table, where string, args ...any) func(func(store.Row, error) bool) {
	return s.r.Rows(s.ctx, t, where, args...)
}

// keyInTx reads a key as truth has it, for the journal's re-check.
func keyInTx(tx *store.Tx, id key.ID) (key.Key, error) {
	return readKey(inTx{tx}, "id = $1", string(id))
}

func readKey(s rowSource, where string, args ...any) (key.Key, error) {
	var k key.Key
	for row, err := range s.rows(keyTable, where, args...) {
		if err != nil {
			return key.Key{}, err
		}
		if err := scanKey(row, &k); err != nil {
			return key.Key{}, err
		}
	}
	if k.ID == "" {
		return key.Key{}, store.ErrNotFound
	}
	return k, readVersions(s, &k)
}

func scanKey(row store.Row, k *key.Key) error {
	if err := cbor.Unmarshal(row.Bytes(5), k); err != nil {
		return fmt.Errorf("key %q: %w", row.Text(0), err)
	}
	return nil
}

func readVersions(s rowSource, k *key.Key) error {
	for row, err := range s.rows(versionTable, "key_id = $1 ORDER BY version", string(k.ID)) {
		if err != nil {
			return err
		}
		k.Versions = append(k.Versions, key.VersionInfo{
			Version: key.Version(row.Int(1)), Public: row.Bytes(2), Created: row.Int(3), Birth: row.Bytes(4),
		})
	}
	return nil
}

// keyCache remembers keys, by name and by id, as read under one epoch.
type keyCache struct {
	mu    sync.Mutex // of moving on to a newer epoch
	under atomic.Pointer[keysUnder]
}

type keysUnder struct {
	epoch uint64
	recent[string, key.Key]
}

const keyCacheMax = 1 << 14 // entries of a generation

func (c *keyCache) find(ref string, epoch uint64) (key.Key, bool) {
	if u := c.under.Load(); u != nil && u.epoch == epoch {
		return u.recent.find(ref, keyCacheMax)
	}
	return key.Key{}, false
}

func (c *keyCache) put(ref string, epoch uint64, k key.Key) {
	u := c.under.Load()
	if u == nil || u.epoch < epoch {
		c.mu.Lock()
		if u = c.under.Load(); u == nil || u.epoch < epoch {
			u = &keysUnder{epoch: epoch}
			c.under.Store(u)
		}
		c.mu.Unlock()
	}
	if u.epoch == epoch {
		u.recent.put(ref, k, keyCacheMax)
	}
}

// find returns a key by name or id, as of an epoch read before the rows were.
func (u *unsealed) find(ctx context.Context, r *store.Reader, ref string) (key.Key, uint64, error) {
	epoch := u.journal.Epoch()
	if k, ok := u.keys.find(ref, epoch); ok {
		return k, epoch, nil
	}
	where := "name = $1"
	if _, err := key.ParseID(ref); err == nil {
		where = "id = $1"
	} else if err := key.ValidName(ref); err != nil {
		return key.Key{}, 0, fail(Invalid, "", "key: %w", err)
	}
	k, err := readKey(fromReader{ctx, r}, where, ref)
	if errors.Is(err, store.ErrNotFound) {
		return key.Key{}, 0, fail(NotFound, "see: keyward key list", "there is no key %q", ref)
	}
	if err != nil {
		return key.Key{}, 0, err
	}
	u.keys.put(ref, epoch, k)
	return k, epoch, nil
}
