package bitcoin

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"keyward/internal/chain"
)

// reading is one transaction on its way to an Intent.
type reading struct {
	tx    *msgTx
	net   Network
	in    chain.Intent
	paid  int64   // to others, satoshi
	back  int64   // to us
	fee   int64   // -1 where it is not known
	rate  float64 // satoshi a virtual byte
	coins []coin  // nil where they are not known
	own   map[string]bool
}

// intent says what the plan's transaction does.
func (l *plan) intent(mine *keyring, n Network) (chain.Intent, error) {
	r := &reading{tx: l.psbt.tx.msgTx, net: n, coins: l.coins, own: map[string]bool{}}
	r.in = chain.Intent{Kind: chain.Transaction, Chain: n.Chain}
	owners := make([]ownership, len(r.tx.TxOut))
	for i := range owners {
		var err error
		if owners[i], err = l.ownerOf(i, mine); err != nil {
			return chain.Intent{}, fmt.Errorf("output %d: %w", i, err)
		}
	}
	if slices.ContainsFunc(l.jobs, func(j job) bool { return !coversOutputs(j.sighash) }) {
		clear(owners) // whoever gets the signature writes the outputs anew: nothing is sure to come back
	}
	r.from(l.ours)
	r.pay(owners)
	if err := r.spend(l); err != nil {
		return chain.Intent{}, err
	}
	for _, j := range l.jobs {
		if name := sighashNames[j.sighash]; !coversAll(j.sighash) && !slices.Contains(r.in.Sighashes, name) {
			r.in.Sighashes = append(r.in.Sighashes, name)
			r.warn("sighash", fmt.Sprintf("The signature of input %d has sighash type %s: others can change the transaction after it is signed.", j.input, name))
		}
	}
	if foreign := count(l.ours, false); foreign > 0 && !l.reads {
		r.warn("foreign-inputs", fmt.Sprintf("%d of %d inputs are not ours; all outputs that are not proved to be ours count as paid by us.", foreign, len(l.ours)))
	}
	if n.Test() && len(l.path(mine)) < 2 && !l.reads {
		r.warn("claimed-network", "Only the caller says that this is test money: the same signature is valid on the main network if the coins exist there.")
	}
	r.finish()
	return r.in, nil
}

// from names our addresses, the first of them and how many more.
func (r *reading) from(ours []bool) {
	var named []string
	for i, c := range r.coins {
		name := destination(c.script, r.net)
		if ours[i] && !r.own[name] {
			r.own[name] = true
			named = append(named, name)
		}
	}
	switch len(named) {
	case 0:
	case 1:
		r.in.From = named[0]
	default:
		r.in.From = fmt.Sprintf("%s and %d more", named[0], len(named)-1)
	}
}

// pay makes a move of every output, also of 0, so that each recipient is judged.
func (r *reading) pay(owners []ownership) {
	for i, out := range r.tx.TxOut {
		to := destination(out.PkScript, r.net)
		r.in.Moves = append(r.in.Moves, chain.Move{
			Asset: r.net.coin, Amount: big.NewInt(out.Value), From: r.in.From, To: to, Change: owners[i].change,
		})
		if owners[i].change {
			r.back += out.Value
			r.own[to] = true
		} else {
			r.paid += out.Value
		}
		if owners[i].code != "" {
			r.warn(owners[i].code, fmt.Sprintf("Output %d: %s.", i, owners[i].text))
		}
		if least := dustLimit(out.PkScript); out.Value < least {
			r.warn("dust", fmt.Sprintf("Output %d is worth less than it costs to spend it (%d satoshi): few nodes relay it.", i, least))
		}
	}
	r.warnLookAlikes(owners)
}

// spend finds the fee.
func (r *reading) spend(l *plan) error {
	r.fee = -r.paid - r.back
	for _, c := range r.coins {
		r.fee += c.value
	}
	if r.fee < 0 {
		return fmt.Errorf("transaction: its outputs are worth %s more than its inputs", r.net.coin.Format(big.NewInt(-r.fee)))
	}
	weight, padding, err := l.estimate()
	if err != nil {
		return err
	}
	r.in.Fee = &chain.Fee{Asset: r.net.coin, Max: big.NewInt(r.fee), Size: vbytes(weight)}
	r.rate = float64(r.fee) / float64(vbytes(weight))
	const high, share = 100, 20 // satoshi a virtual byte; one part in
	if r.rate > high && r.fee > (r.paid+r.back)/share {
		r.warn("high-fee", fmt.Sprintf("The fee is %.1f sat/vB and more than 5 %% of all that is spent.", r.rate))
	}
	if weight+padding > maxRelayed {
		r.warn("large", "The transaction is larger than nodes relay.")
	}
	return nil
}

// finish adds what the transaction says of time, and the sentence.
func (r *reading) finish() {
	waits := func(in *txIn) bool { return in.Sequence != 1<<32-1 }
	if at := r.tx.LockTime; at > 0 && slices.ContainsFunc(r.tx.TxIn, waits) {
		unit := "block"
		if at >= 500_000_000 {
			unit = "second (of 1970)"
		}
		r.warn("locktime", fmt.Sprintf("It can be mined only after %s %d.", unit, at))
	}
	const disabled = 1 << 31 // BIP-68
	if i := slices.IndexFunc(r.tx.TxIn, func(in *txIn) bool { return in.Sequence&disabled == 0 && in.Sequence != 0 }); i >= 0 && r.tx.Version >= 2 {
		r.warn("relative-locktime", fmt.Sprintf("Input %d can be spent only some time after its coin was mined (BIP-68).", i))
	}
	var parts []string
	if what := r.payments(); what != "" {
		parts = append(parts, what)
	} else {
		parts = append(parts, "Move "+r.sum(r.back)+" within this account")
		r.back = 0
	}
	if r.net.Test() {
		parts[0] += " on " + r.net.Name
	}
	if r.fee >= 0 {
		parts = append(parts, fmt.Sprintf("fee %s (%.1f sat/vB)", r.sum(r.fee), r.rate))
	} else {
		parts = append(parts, "for a fee that cannot be seen here")
	}
	if r.back > 0 {
		parts = append(parts, r.sum(r.back)+" back to this account")
	}
	r.in.Sentence = strings.Join(parts, ", ") + "."
}

// payments says who gets what: the first three, and the rest together.
func (r *reading) payments() string {
	const named = 3
	var list []string
	rest, others := int64(0), 0
	for _, m := range r.in.Moves {
		switch {
		case m.Change:
		case len(list) < named && m.Amount.Sign() == 0 && strings.HasPrefix(m.To, "data:"):
			list = append(list, "data into the chain")
		case len(list) < named:
			list = append(list, r.net.coin.Format(m.Amount)+" to "+m.To)
		default:
			rest += m.Amount.Int64()
			others++
		}
	}
	if others > 0 {
		list = append(list, fmt.Sprintf("%s to %d others", r.sum(rest), others))
	}
	switch n := len(list); n {
	case 0:
		return ""
	case 1:
		return "Send " + list[0]
	default:
		return "Send " + strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
}

func (r *reading) sum(satoshi int64) string { return r.net.coin.Format(big.NewInt(satoshi)) }

// warnLookAlikes finds addresses of others that begin and end as one of ours: an
// attacker sends dust from such an address, and waits for its being copied.
func (r *reading) warnLookAlikes(owners []ownership) {
	ours := map[string]bool{}
	for name := range r.own {
		ours[silhouette(name)] = true
	}
	for i, m := range r.in.Moves {
		if !owners[i].change && !r.own[m.To] && ours[silhouette(m.To)] {
			r.warn("look-alike", fmt.Sprintf("Output %d pays %s, which begins and ends like an address of ours and is another.", i, m.To))
		}
	}
}

// silhouette is what people compare: the first and last four characters, behind
// what all addresses of a type begin with.
func silhouette(address string) string {
	body := address
	if _, data, ok := strings.Cut(address, "1"); ok && strings.ToLower(address) == address {
		body = data[min(len(data), 1):] // the witness version
	}
	if len(body) < 12 {
		return address
	}
	return body[:4] + "…" + body[len(body)-4:]
}

func (r *reading) warn(code, text string) {
	r.in.Warnings = append(r.in.Warnings, chain.Warning{Code: code, Text: text})
}

func count(all []bool, what bool) (n int) {
	for _, b := range all {
		if b == what {
			n++
		}
	}
	return n
}
