package native

import (
	"context"
	"encoding/hex"

	"keyward/api"
	"keyward/internal/identity"
	"keyward/internal/key"
	"keyward/internal/kms"
	"keyward/internal/secret"
	"keyward/internal/server"
)

const defaultDays = 30

func (h *house) keys() []Route {
	page := []Parameter{{"after", "the id that the page before ended with", false}, limitParameter}
	return []Route{
		post("/keys", "create-key", "Make a key", h.createKey),
		get("/keys", "list-keys", "List keys, oldest first", page, h.listKeys),
		get("/keys/{name}", "show-key", "Show a key, or an account below a seed: {name} is then NAME%2Fm%2F84h%2F0h%2F0h", []Parameter{
			{"network", "of Bitcoin, for its addresses; absent: by the path", false}}, h.showKey),
		post("/seeds", "create-seed", "Make a seed", h.createSeed),
		post("/seeds/import", "import-seed", "Keep a seed that exists as words", h.importSeed),
		post("/keys/{name}/rotate", "rotate-key", "Give a key new material under the next version", change(h.kms.RotateKey)),
		post("/keys/{name}/disable", "disable-key", "Suspend a key", change(h.kms.DisableKey)),
		post("/keys/{name}/enable", "enable-key", "End a key's suspension", change(h.kms.EnableKey)),
		post("/keys/{name}/destroy", "destroy-key", "Destroy a key after a time in which it can be cancelled", h.destroyKey),
		post("/keys/{name}/cancel-destroy", "cancel-destroy", "Keep a key that was to be destroyed; it comes back suspended", change(h.kms.CancelDestroy)),
	}
}

func (h *house) createKey(c *server.Call, in *api.CreateKey) (api.Key, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Key{}, err
	}
	return keyAnswer(h.kms.CreateKey(c.Context(), c.Actor, kms.NewKey{
		Ask: a, Name: in.Name, Spec: key.Spec(in.Spec), Usage: key.Usage(in.Usage), Domain: key.Domain(in.Domain), Tags: in.Tags,
	}))
}

const defaultPage = 100

func (h *house) listKeys(c *server.Call) (api.Keys, error) {
	q := query(c)
	after, limit := q.text("after"), q.limit()
	if q.err != nil {
		return api.Keys{}, q.err
	}
	if limit == 0 {
		limit = defaultPage
	}
	all, err := h.kms.Keys(c.Context(), c.Actor, after, limit)
	if err != nil {
		return api.Keys{}, err
	}
	out := api.Keys{Keys: make([]api.Key, 0, len(all))}
	for _, k := range all {
		out.Keys = append(out.Keys, keyOf(k))
	}
	if len(all) == limit {
		out.Next = string(all[limit-1].ID)
	}
	return out, nil
}

func (h *house) showKey(c *server.Call) (api.Key, error) {
	q := query(c)
	network := q.text("network")
	if q.err != nil {
		return api.Key{}, q.err
	}
	k, err := h.kms.Key(c.Context(), c.Actor, c.Path("name"), network)
	if err != nil {
		return api.Key{}, err
	}
	return keyOf(k), nil
}

// change is a handler for what changes a key and needs to know no more.
func change(do func(context.Context, identity.Actor, string, kms.Ask) (kms.KeyView, kms.Answer, error)) func(*server.Call, *api.Ask) (api.Key, error) {
	return func(c *server.Call, in *api.Ask) (api.Key, error) {
		a, err := ask(c, *in)
		if err != nil {
			return api.Key{}, err
		}
		return keyAnswer(do(c.Context(), c.Actor, c.Path("name"), a))
	}
}

func (h *house) destroyKey(c *server.Call, in *api.DestroyKey) (api.Key, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Key{}, err
	}
	days := in.Days
	if days == 0 {
		days = defaultDays
	}
	return keyAnswer(h.kms.DestroyKey(c.Context(), c.Actor, c.Path("name"), days, a))
}

func keyAnswer(k kms.KeyView, a kms.Answer, err error) (api.Key, error) {
	if err != nil {
		return api.Key{}, err
	}
	out := keyOf(k)
	out.Answer = answer(a)
	return out, nil
}

func keyOf(k kms.KeyView) api.Key {
	out := api.Key{
		ID: string(k.ID), Name: k.Name, Spec: string(k.Spec), Usage: string(k.Usage), Domain: string(k.Domain), Origin: string(k.Origin),
		State: string(k.State), Version: uint32(k.Current), Owner: k.Owner, Tags: k.Tags, Exportable: k.Exportable,
		Created: api.Time(k.Created), DestroyAt: api.Time(k.DestroyAt), WordsShown: k.WordsShown,
	}
	for _, v := range k.Versions {
		public := v.Public.PEM()
		if v.Version == k.Current {
			out.PublicKey = public
		}
		out.Versions = append(out.Versions, api.KeyVersion{Version: uint32(v.Version), Created: api.Time(v.Created), PublicKey: public})
	}
	for _, a := range k.Addresses {
		out.Addresses = append(out.Addresses, api.Address{Chain: a.Chain, Form: a.Form, Address: a.Address, Path: a.Path})
	}
	if len(k.Path) > 0 {
		out.Path, out.XPub, out.Master = k.Path.String(), k.XPub, hex.EncodeToString(k.Master[:])
		out.PublicKey, out.Versions = k.Public.PEM(), nil
	}
	return out
}

func (h *house) createSeed(c *server.Call, in *api.CreateSeed) (api.Seed, error) {
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Seed{}, err
	}
	if in.Show && !c.Local() {
		return api.Seed{}, &kms.Error{
			Kind: kms.Denied, Message: "the words of a seed are shown over the unix socket alone",
			Hint: "make it on the machine itself, or without words",
		}
	}
	k, words, done, err := h.kms.CreateSeed(c.Context(), c.Actor, kms.NewSeed{
		Ask: a, Name: in.Name, Domain: key.Domain(in.Domain), Tags: in.Tags, Words: in.Words, Show: in.Show,
	})
	c.After(words.Destroy)
	made, err := keyAnswer(k, done, err)
	return api.Seed{Key: made, Words: words.View()}, err
}

func (h *house) importSeed(c *server.Call, in *api.ImportSeed) (api.Seed, error) {
	words, passphrase := secret.Take(in.Words), secret.Take(in.Passphrase)
	c.After(words.Destroy)
	c.After(passphrase.Destroy)
	a, err := ask(c, in.Ask)
	if err != nil {
		return api.Seed{}, err
	}
	if words.IsZero() {
		return api.Seed{}, c.Invalid("words", "there are none")
	}
	k, _, done, err := h.kms.CreateSeed(c.Context(), c.Actor, kms.NewSeed{
		Ask: a, Name: in.Name, Domain: key.Domain(in.Domain), Tags: in.Tags, Import: words, Passphrase: passphrase,
	})
	made, err := keyAnswer(k, done, err)
	return api.Seed{Key: made}, err
}
