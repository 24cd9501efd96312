package ethereum

import (
	"fmt"
	"math/big"
	"strconv"

	"keyward/internal/chain"
)

// unlimited is where an allowance ends to be a limit: 2^255.
var unlimited = new(big.Int).Lsh(big.NewInt(1), 255)

// transfer is ERC-20's. Some collections older than ERC-721 have it too, with a
// token's number for the amount; a policy that names its assets keeps them out.
func (r *reading) transfer(v []value) {
	to, amount := v[0], v[1].number
	asset := r.net.erc20(r.tx.to)
	r.move(asset, amount, r.in.From, to)
	r.phrase = "Send " + asset.Format(amount) + " to " + to.text
	r.warnRecipient(to.address)
}

// transferFrom has one form in ERC-20 and ERC-721. It is judged as an amount,
// since budgets are kept in amounts, and both readings are shown. Whose tokens
// they are does not matter: they leave somebody who trusts us.
func (r *reading) transferFrom(v []value) {
	from, to, amount := v[0], v[1], v[2].number
	asset := r.net.erc20(r.tx.to)
	r.move(asset, amount, from.text, to)
	r.phrase = "Move " + asset.Format(amount) + " from " + from.text + " to " + to.text
	r.ambiguous("moves", v[2])
	r.warnForeign(from)
	r.warnRecipient(to.address)
}

// approve has one form in ERC-20 and ERC-721 as well.
func (r *reading) approve(v []value) {
	spender, amount := v[0], v[1].number
	asset := r.net.erc20(r.tx.to)
	a := chain.Allowance{Asset: asset, Amount: amount, Spender: spender.text, Unlimited: amount.Cmp(unlimited) >= 0}
	r.in.Allowances = append(r.in.Allowances, a)
	switch {
	case a.Unlimited:
		r.phrase = "Let " + spender.text + " spend " + asset.ID + " without limit"
		r.warn("unlimited-allowance", spender.text+" may take everything that this account has of "+asset.ID+", now and later.")
	case amount.Sign() == 0:
		r.phrase = "Take back the allowance of " + spender.text + " over " + asset.ID
	default:
		r.phrase = "Let " + spender.text + " spend up to " + asset.Format(amount)
	}
	r.ambiguous("gives power over", v[1])
	r.warnSpender(spender)
}

// safeTransferFrom is ERC-721's, with or without data. What the recipient does
// with data nobody can tell: then the token is seen to move, and the call stays
// blind beside.
func (r *reading) safeTransferFrom(v []value) {
	from, to, id := v[0], v[1], v[2]
	asset := r.net.erc721(r.tx.to)
	r.move(asset, big.NewInt(1), from.text, to)
	r.in.Moves[len(r.in.Moves)-1].TokenID = id.number
	r.phrase = "Move token number " + id.text + " of " + asset.ID + " from " + from.text + " to " + to.text
	r.warnForeign(from)
	r.warnRecipient(to.address)
	if len(v) > 3 {
		r.handsData(to, v[3])
	}
}

// handsData makes a call blind that gives the recipient anything to act on.
func (r *reading) handsData(to, data value) {
	if len(data.data) > 0 {
		r.in.Call.Decoded = false
		r.warn("blind-call", "The call hands data to "+to.text+", which may do anything with it.")
	}
}

// safeTransferAmount is ERC-1155's safeTransferFrom; ERC-721's has no amount, so
// that the form tells which standard the contract follows.
func (r *reading) safeTransferAmount(v []value) {
	from, to, id, amount := v[0], v[1], v[2], v[3]
	r.moveOf(from, to, id.number, amount.number)
	r.phrase = "Move " + amount.text + " of token number " + id.text + " of " + r.net.erc1155(r.tx.to).ID + " from " + from.text + " to " + to.text
	r.warnForeign(from)
	r.warnRecipient(to.address)
	r.handsData(to, v[4])
}

// safeBatchTransfer is ERC-1155's safeBatchTransferFrom. A batch of nothing, and
// one that the contract must refuse, stay blind: they move nothing, and still
// call the recipient.
func (r *reading) safeBatchTransfer(v []value) {
	from, to, ids, amounts := v[0], v[1], v[2].numbers, v[3].numbers
	asset := r.net.erc1155(r.tx.to)
	r.phrase = fmt.Sprintf("Move %d kinds of tokens of %s from %s to %s", len(ids), asset.ID, from.text, to.text)
	if len(ids) == 0 || len(ids) != len(amounts) {
		r.in.Call.Decoded = false
		r.warn("blind-call", "The call names "+strconv.Itoa(len(ids))+" tokens and "+strconv.Itoa(len(amounts))+" amounts: what it does cannot be seen here.")
		return
	}
	for i := range ids {
		r.moveOf(from, to, ids[i], amounts[i])
	}
	r.warnForeign(from)
	r.warnRecipient(to.address)
	r.handsData(to, v[4])
}

func (r *reading) moveOf(from, to value, id, amount *big.Int) {
	r.move(r.net.erc1155(r.tx.to), amount, from.text, to)
	r.in.Moves[len(r.in.Moves)-1].TokenID = id
}

// setApprovalForAll has one form in ERC-721 and ERC-1155, and one meaning: every
// token of the contract. It is counted as ERC-721's.
func (r *reading) setApprovalForAll(v []value) {
	operator, approved := v[0], v[1].flag
	asset := r.net.erc721(r.tx.to)
	a := chain.Allowance{Asset: asset, Spender: operator.text, All: approved}
	if approved {
		r.phrase = "Let " + operator.text + " move every token of " + asset.ID
		r.warn("allowance-for-all", operator.text+" may take every token that this account has in "+asset.ID+", now and later.")
	} else {
		a.Amount = new(big.Int)
		r.phrase = "Take back the power of " + operator.text + " over " + asset.ID
	}
	r.in.Allowances = append(r.in.Allowances, a)
	r.warnSpender(operator)
}

// ambiguous gives the other reading of an amount.
func (r *reading) ambiguous(does string, id value) {
	r.warn("ambiguous-token", "The call has one form for amounts and for collections: if "+r.to+
		" is a collection (ERC-721), it "+does+" the one token number "+id.text+".")
}

// warnRecipient speaks of places from which value rarely comes back.
func (r *reading) warnRecipient(to Address) {
	switch {
	case to == Address{}:
		r.warn("zero-address", "The recipient is the zero address: nobody can ever spend from it.")
	case to == *r.tx.to && len(r.tx.data) > 0:
		r.warn("token-contract", "The recipient is the token's own contract, from which most tokens never come back.")
	case r.from.known && to == r.from.address:
		r.warn("own-address", "The recipient is the sender itself.")
	}
}

func (r *reading) warnSpender(spender value) {
	if r.from.known && spender.address == r.from.address {
		r.warn("own-address", "The one who gets the power is the sender itself.")
	}
}

func (r *reading) warnForeign(from value) {
	if r.from.known && from.address != r.from.address {
		r.warn("foreign-tokens", "The tokens are not the sender's own but those of "+from.text+".")
	}
}
