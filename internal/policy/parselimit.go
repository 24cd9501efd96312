package policy

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (p *Policy) assetField(parent, n *yaml.Node, where string) (*asset, error) {
	name, err := need(parent, n, join(where, "asset"))
	if err != nil {
		return nil, err
	}
	a := p.assets[name]
	if a == nil {
		return nil, problem(n, where, "unknown asset %q: declare it under assets", clip(name))
	}
	a.used = true
	return a, nil
}

func (p *Policy) readInterval(n *yaml.Node, where string) (*interval, error) {
	f, err := fields(n, where, "asset", "min", "max")
	if err != nil {
		return nil, err
	}
	return p.interval(n, f, where)
}

func (p *Policy) interval(n *yaml.Node, f map[string]*yaml.Node, where string) (v *interval, err error) {
	v = &interval{}
	if v.asset, err = p.assetField(n, f["asset"], where); err != nil {
		return nil, err
	}
	if f["min"] != nil {
		if v.min, err = amountNode(f["min"], join(where, "min"), v.asset); err != nil {
			return nil, err
		}
	}
	if f["max"] != nil {
		if v.max, err = amountNode(f["max"], join(where, "max"), v.asset); err != nil {
			return nil, err
		}
	}
	if v.min != nil && v.max != nil && v.min.Cmp(v.max) > 0 {
		return nil, problem(n, where, "min %s is over max %s", v.asset.format(v.min), v.asset.format(v.max))
	}
	return v, nil
}

// maxRate bounds a fee's rate; it keeps the product with a size within reach.
const maxRate = 1_000_000

// readFee reads {asset, min, max, rate}.
func (p *Policy) readFee(r *rule, n *yaml.Node, where string) error {
	f, err := fields(n, where, "asset", "min", "max", "rate")
	if err != nil {
		return err
	}
	if r.fee, err = p.interval(n, f, where); err != nil || f["rate"] == nil {
		return err
	}
	rate, where := f["rate"], join(where, "rate")
	if a := r.fee.asset; !a.native || !strings.HasPrefix(a.chain, utxoChains) {
		return problem(rate, where, "only the fees of Bitcoin are paid by size")
	}
	if v, err := strconv.ParseInt(rate.Value, 10, 64); rate.Kind == yaml.ScalarNode && err == nil && v > 0 && v <= maxRate && strconv.FormatInt(v, 10) == rate.Value {
		r.fee.rate = v
		return nil
	}
	return problem(rate, where, "want the most satoshi for a virtual byte, a whole number from 1 to %d", maxRate)
}

func (r *rule) readSeen(n *yaml.Node, where string) error {
	seen, err := truth(n, where)
	r.seen = &seen
	return err
}

// sighashes are what a signature can leave open, as package chain calls it.
func sighashes() []string {
	return []string{"none", "single", "all|anyonecanpay", "none|anyonecanpay", "single|anyonecanpay"}
}

func (r *rule) readSighash(n *yaml.Node, where string) (err error) {
	if r.sighash, err = words(n, where); err != nil {
		return err
	}
	for _, s := range r.sighash {
		if !slices.Contains(sighashes(), s) {
			return problem(n, where, "unknown sighash %q: use %s", clip(s), strings.Join(sighashes(), ", "))
		}
	}
	return nil
}
