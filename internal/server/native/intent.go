package native

import (
	"math/big"

	"keyward/api"
	"keyward/internal/kms"
)

const (
	plain   = "plain"
	psbt    = "psbt"
	message = "message"
)

// intentOf writes what a payload means; amounts never become numbers of JSON.
func intentOf(i kms.Intent) api.Intent {
	out := api.Intent{
		Kind: string(i.Kind), Chain: i.Chain, Sentence: i.Sentence, From: i.From, Nonce: i.Nonce, Creates: i.Creates, Text: i.Text, Blind: i.Blind,
	}
	for _, m := range i.Moves {
		out.Moves = append(out.Moves, api.Move{
			Amount: amountOf(m.Asset, m.Amount), From: m.From, To: m.To, Change: m.Change, TokenID: decimal(m.TokenID),
		})
	}
	if i.Fee != nil {
		out.Fee = &api.Fee{Amount: amountOf(i.Fee.Asset, i.Fee.Max)}
	}
	for _, a := range i.Allowances {
		out.Allowances = append(out.Allowances, api.Allowance{
			Amount: amountOf(a.Asset, a.Amount), Spender: a.Spender, Unlimited: a.Unlimited, All: a.All, TokenID: decimal(a.TokenID),
		})
	}
	if i.Call != nil {
		out.Call = &api.Call{To: i.Call.To, Selector: i.Call.Selector, Name: i.Call.Name, Decoded: i.Call.Decoded, Size: i.Call.Size}
		for _, a := range i.Call.Args {
			out.Call.Args = append(out.Call.Args, api.Arg{Name: a.Name, Type: a.Type, Value: a.Value})
		}
	}
	for _, w := range i.Warnings {
		out.Warnings = append(out.Warnings, api.Warning{Code: w.Code, Text: w.Text})
	}
	return out
}

func amountOf(of kms.Asset, n *big.Int) api.Amount {
	out := api.Amount{Asset: api.Asset{ID: of.ID, Symbol: of.Symbol}, Amount: decimal(n)}
	if of.Decimals >= 0 {
		out.Asset.Decimals = &of.Decimals
	}
	if n != nil {
		out.Text = of.Format(n)
	}
	return out
}

func decimal(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.String()
}
