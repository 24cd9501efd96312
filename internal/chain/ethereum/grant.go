package ethereum

import (
	"errors"
	"fmt"
	"math/big"

	"keyward/internal/chain"
	"keyward/internal/key"
)

// Constants of EIP-7702.
const (
	grantMagic = 0x05
	gasGrant   = 25000 // PER_EMPTY_ACCOUNT_COST
)

// authorization is one tuple of EIP-7702: whoever signed it hands its account to
// the code at an address. Names and bounds are the standard's; whether a chain
// would let it take effect is not looked at.
type authorization struct {
	chainID *big.Int // 0: valid on every chain
	address Address  // the delegate; the zero address takes the power back
	nonce   uint64
	yParity byte
	r, s    [32]byte
}

func readGrants(f *fields) (all []authorization) {
	const name = "authorizationList"
	for rest := f.next(name, true); f.err == nil && len(rest) > 0; {
		tuple, after, err := nextItem(rest)
		if err == nil && !tuple.list {
			err = errors.New("want a list of tuples")
		}
		if err != nil {
			f.fail(name, err)
			break
		}
		rest = after
		in := &fields{rest: tuple.body}
		a := authorization{chainID: in.big(name + ".chainId")}
		if delegate := in.address(name + ".address"); delegate != nil {
			a.address = *delegate
		} else {
			in.fail(name+".address", errors.New("missing"))
		}
		a.nonce = in.uint64(name + ".nonce")
		for _, c := range in.integer(name+".yParity", 1) {
			a.yParity = c
		}
		a.r, a.s = in.word(name+".r"), in.word(name+".s")
		if err := in.end(); err != nil {
			f.err = err
		}
		all = append(all, a)
	}
	return all
}

func (a *authorization) signed(dst []byte) []byte {
	return appendUint(appendBytes(appendBig(dst, a.chainID), a.address[:]), a.nonce)
}

func appendGrants(dst []byte, all []authorization) []byte {
	for i := range all {
		a := &all[i]
		content := appendUint(a.signed(nil), uint64(a.yParity))
		content = appendInteger(content, a.r[:])
		content = appendInteger(content, a.s[:])
		dst = appendList(dst, content)
	}
	return dst
}

// authority is whose account is handed over; false when the signature is nobody's.
func (a *authorization) authority() (Address, bool) {
	digest := keccak([]byte{grantMagic}, appendList(nil, a.signed(nil)))
	pub, err := Recover(digest[:], key.Recoverable{R: a.r, S: a.s, V: a.yParity})
	if err != nil {
		return Address{}, false
	}
	who, err := AddressOf(pub)
	return who, err == nil
}

// maxGrants bounds how many signatures are recovered, at 0.1 ms each.
const maxGrants = 256

// readGrants says what each authorization does. One by the sender itself gives
// everything away; those of others were theirs to sign, and are shown.
func (r *reading) readGrants() {
	for i := range r.tx.grants {
		a := &r.tx.grants[i]
		who, ok := a.authority()
		delegate, where := a.address.String(), "this chain"
		switch {
		case !ok:
			r.warn("delegation", fmt.Sprintf("Authorization %d, for the code at %s, has no valid signature: it has no effect.", i+1, delegate))
			continue
		case a.chainID.Sign() == 0:
			where = "every chain"
		case !a.chainID.IsUint64() || a.chainID.Uint64() != r.tx.chainID:
			where = "chain eip155:" + a.chainID.String() + ", not on this one"
		}
		mine := r.from.known && who == r.from.address
		taken := a.address == Address{}
		if mine {
			r.in.Allowances = append(r.in.Allowances, chain.Allowance{
				Asset: r.net.native, Amount: new(big.Int), Spender: delegate, All: !taken, Unlimited: !taken,
			})
		}
		whose := who.String()
		if mine {
			whose = "this account, " + whose + ","
		}
		if taken {
			r.warn("delegation", "The account "+whose+" takes back what code acts for it, on "+where+".")
			continue
		}
		r.warn("delegation", "The code at "+delegate+" will act for "+whose+" on "+where+": it can move everything that the account has, now and later.")
	}
}
