package kms

import (
	"context"
	"fmt"

	"keyward/internal/chain"
	"keyward/internal/chain/bitcoin"
	"keyward/internal/chain/ethereum"
	"keyward/internal/key"
	"keyward/internal/seed"
)

// account is what of a key is asked for: the key itself, or what lies at a path
// below a seed.
type account struct {
	key    key.Key
	info   key.VersionInfo
	path   key.Path   // nil for the key itself
	domain key.Domain // of what lies there
	public key.Public // of what lies there
	tree   *seed.Account
}

// accountsMax is how many accounts of seeds are remembered, at most twice: their
// public halves, with those of their branches, up to half a megabyte each. Whoever
// may use one account can name all others, and is denied only once they are read.
const accountsMax = 1 << 8

// account finds what a reference asks for: a version of a key, and the account
// below it where the path names one. 0 is the current version.
func (u *unsealed) account(ctx context.Context, found key.Key, v key.Version, path key.Path) (account, error) {
	info, ok := found.Version(v)
	if !ok {
		return account{}, fail(NotFound, "see: keyward key show "+found.Name, "key %q has no version %d", found.Name, v)
	}
	if found.Spec != key.HDSeed {
		if len(path) > 0 {
			return account{}, fail(Invalid, "leave the path out", "key %q is of spec %s and has no accounts below it", found.Name, found.Spec)
		}
		return account{key: found, info: info, domain: found.Domain, public: info.Public}, nil
	}
	if len(path) == 0 && found.Domain == key.ByPath { // to be shown; nothing is signed by it
		return account{key: found, info: info, domain: key.ByPath, public: info.Public}, nil
	}
	domain, err := found.Domain.At(path)
	if err != nil {
		return account{}, fail(Invalid, fmt.Sprintf("name an account of the seed, as in %s/m/84h/0h/0h", found.Name), "%w", err)
	}
	tree, err := u.tree(ctx, key.Ref{ID: found.ID, Version: info.Version}, path)
	if err != nil {
		return account{}, err
	}
	public, err := tree.SPKI()
	return account{found, info, path, domain, public, tree}, err
}

// place names an account: a key's version and the path below it.
type place struct {
	ref  key.Ref
	path string
}

func (u *unsealed) tree(ctx context.Context, ref key.Ref, path key.Path) (*seed.Account, error) {
	at := place{ref, path.String()}
	if known, ok := u.accounts.find(at, accountsMax); ok {
		return known, nil
	}
	found, err := u.keystore.Account(ctx, ref, path)
	if err != nil {
		return nil, err
	}
	u.accounts.put(at, &found, accountsMax)
	return &found, nil
}

// asking is what a decoder is told of the account beside the payload.
func (a account) asking(typ chain.Type, network string) chain.Ask {
	ask := chain.Ask{Type: typ, Public: a.public, Path: a.path, Network: network}
	if a.tree != nil {
		ask.Own = a.tree
	}
	return ask
}

// network is the one whose addresses are shown: the one asked for, else by the
// path's coin type.
func (a account) network(asked string) (bitcoin.Network, error) {
	switch {
	case asked != "":
		return bitcoin.ParseNetwork(asked)
	case len(a.path) > 1 && a.path[1] == key.Hardened+1:
		return bitcoin.ParseNetwork("testnet4")
	}
	return bitcoin.Main, nil
}

const (
	accountDepth = 3 // m / purpose' / coin' / account' (BIP-44)
	shownMax     = 5 // addresses of an account that are shown
)

// leaves are the paths of the keys whose addresses are shown: of an account its
// first to receive with, of a branch its first, else the key itself.
func (a account) leaves() (all []key.Path) {
	switch {
	case a.tree == nil || len(a.path) > accountDepth+1 || len(a.path) > accountDepth && a.domain == key.Ethereum:
		return []key.Path{nil} // Ethereum has no branches, and some wallets pay keys at that depth
	case len(a.path) < accountDepth:
		return nil
	}
	for n := range uint32(shownMax) {
		below := key.Path{n}
		if len(a.path) == accountDepth {
			below = key.Path{0, n}
		}
		all = append(all, below)
	}
	return all
}

// addresses lists how the account is paid.
func (a account) addresses(network string) (all []Address, err error) {
	for _, below := range a.leaves() {
		public, path := a.public, ""
		if len(below) > 0 {
			child, err := a.tree.Child(below)
			if err != nil {
				return nil, err
			}
			if public, err = child.SPKI(); err != nil {
				return nil, err
			}
		}
		if a.tree != nil {
			path = append(append(key.Path{}, a.path...), below...).String()
		}
		some, err := a.addressesOf(public, network)
		if err != nil {
			return nil, err
		}
		for _, address := range some {
			address.Path = path
			all = append(all, address)
		}
	}
	return all, nil
}

// addressesOf lists how one key is paid.
func (a account) addressesOf(public key.Public, network string) ([]Address, error) {
	switch a.domain {
	case key.Ethereum:
		address, err := ethereum.AddressOf(public)
		if err != nil {
			return nil, err
		}
		return []Address{{Chain: "ethereum", Form: "eoa", Address: address.String()}}, nil
	case key.Bitcoin:
		n, err := a.network(network)
		if err != nil {
			return nil, fail(Invalid, "", "%w", err)
		}
		var all []Address
		for _, t := range bitcoin.TypesAt(a.path) {
			address, err := bitcoin.AddressOf(public, t, n)
			if err != nil {
				return nil, err
			}
			all = append(all, Address{Chain: n.Name, Form: string(t), Address: address})
		}
		return all, nil
	}
	return nil, nil
}

// view is the account as it is shown.
func (a account) view(network string) (KeyView, error) {
	v := KeyView{Key: a.key, Path: a.path}
	addresses, err := a.addresses(network)
	if err != nil {
		return KeyView{}, err
	}
	v.Addresses = addresses
	if a.tree == nil || len(a.path) == 0 {
		return v, nil
	}
	version := seed.XPub
	if n, err := a.network(network); err == nil && a.domain == key.Bitcoin && n.Test() {
		version = seed.TPub
	}
	v.Public, v.XPub, v.Master = a.public, a.tree.Text(version), a.tree.Master
	return v, nil
}

// signs refuses what an account cannot sign, or what is so like another chain's
// payload that signing it as words would surprise its owner.
func (a account) signs(r SignRequest) error {
	name := a.key.Name
	switch {
	case a.domain == key.ByPath:
		return fail(Invalid, fmt.Sprintf("name an account of it, as in %s/m/84h/0h/0h", name), "key %q is a seed, and signs by its accounts alone", name)
	case a.domain == key.Ethereum && a.tree != nil && len(a.path) <= accountDepth:
		return fail(Invalid, fmt.Sprintf("name one of its keys, as in %s/%s/0/0", name, a.path), "%s of seed %q has many addresses, and is none itself", a.path, name)
	case r.Type != chain.Auto && r.Type != chain.TypeMsg:
		return nil
	case a.domain == key.Ethereum && bitcoin.ResemblesPSBT(r.Payload):
		return fail(Invalid, "use a key or an account of domain bitcoin", "this is a PSBT of Bitcoin, and key %q signs for Ethereum", name)
	case a.domain == key.Bitcoin && ethereum.Signable(r.Payload):
		return fail(Invalid, "use a key or an account of domain ethereum", "this is a payload of Ethereum, and key %q signs for Bitcoin", name)
	}
	return nil
}
