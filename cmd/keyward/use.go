package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
)

func (a *app) decodeCommand() *cobra.Command {
	var in api.Decode
	cmd := &cobra.Command{
		Use: "decode FILE|-", Short: "say what a payload would do if it were signed", GroupID: "use", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Payload, err = a.read(args[0]); err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Decoded, error) { return c.Decode(cmd.Context(), in) },
				func(p *printer, d api.Decoded) { showIntent(p, d.Intent) })
		},
	}
	cmd.Flags().StringVar(&in.Type, "type", "", "`type`: tx, psbt, message, typed-data or digest; found out from the payload when absent")
	cmd.Flags().StringVar(&in.Key, "key", "", "`name` of the key that would sign, with the path of an account")
	cmd.Flags().StringVar(&in.Network, "network", "", networkHelp)
	return cmd
}

func showIntent(p *printer, i api.Intent) {
	p.line("%s", i.Sentence)
	p.field("chain", i.Chain)
	p.field("from", i.From)
	for _, m := range i.Moves {
		what := m.Text
		if m.TokenID != "" {
			what += " token " + m.TokenID
		}
		if m.Change {
			p.field("comes back", strings.TrimSpace(what)+" to "+m.To)
			continue
		}
		p.field("moves", strings.TrimSpace(what)+" to "+m.To)
	}
	if i.Fee != nil {
		p.field("fee at most", i.Fee.Text)
	}
	for _, al := range i.Allowances {
		p.field("allows", al.Spender+" to take "+allowance(al))
	}
	if i.Call != nil {
		p.field("calls", called(i.Call))
		for _, arg := range i.Call.Args {
			p.line("  %s %s = %s", arg.Type, arg.Name, arg.Value)
		}
	}
	if i.Nonce != nil {
		p.field("nonce", fmt.Sprint(*i.Nonce))
	}
	if i.Text != "" {
		p.field("text", i.Text)
	}
	for _, w := range i.Warnings {
		p.field("WARNING", w.Text)
	}
	if i.Blind {
		p.field("BLIND", "some part of this was not understood")
	}
}

func called(c *api.Call) string {
	what := strings.TrimSpace(c.Name + " " + c.Selector)
	if c.To == "" { // typed data for no contract in particular
		return what
	}
	return what + " on " + c.To
}

func allowance(al api.Allowance) string {
	switch {
	case al.All:
		return "every token of " + al.Asset.ID
	case al.Unlimited:
		return "everything, for ever, of " + al.Asset.ID
	}
	return al.Text
}

func (a *app) signCommand() *cobra.Command {
	var in api.Sign
	var key, out, idempotency string
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "sign --key NAME FILE|-", Short: "sign a payload: judged, recorded, then signed", GroupID: "use", Args: cobra.ExactArgs(1),
		Long: `Sign a payload. Its meaning is decoded first, the policy judges it, and the record of it
is on disk before the key is used. A transaction comes back signed, in the form that the
chain's own tools take: of a PSBT the transaction in hex, or while other signatures are missing
the PSBT. Everything else comes back as a signature.`,
		Example: `  keyward sign --key payments payment.json -o payment.signed
  echo -n hello | keyward sign --key payments --type message -`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Payload, err = a.read(args[0]); err != nil {
				return err
			}
			if in.Type == "digest" {
				if in.Payload, err = digestBytes(in.Payload); err != nil {
					return usage(cmd, err)
				}
			}
			in.DryRun = a.dryRun
			ctx := cmd.Context()
			if idempotency != "" {
				ctx = client.WithIdempotencyKey(ctx, idempotency)
			}
			o, err := a.create(out, 0o644)
			if err != nil {
				return err
			}
			return a.sign(ctx, key, in, wait, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "`name` of the key, with the path of an account below a seed: NAME/m/84h/0h/0h")
	f.StringVar(&in.Network, "network", "", networkHelp)
	f.StringVar(&in.Type, "type", "", "`type`: tx, psbt, message, typed-data or digest; found out from the payload when absent; a digest is never guessed")
	f.StringVar(&in.Algorithm, "algorithm", "", "`name` of an algorithm of a raw key; its spec's default when absent")
	f.StringVarP(&out, "out", "o", "", "`file` for the result, instead of stdout")
	f.DurationVar(&wait, "wait", 0, "`time` to wait, as in 10m, when the request needs time or approvals")
	f.StringVar(&idempotency, "idempotency-key", "", "a `key` under which a repeated request is the same request")
	f.BoolVar(&a.dryRun, "dry-run", false, "only judge: nothing is recorded or signed")
	must(cmd.MarkFlagRequired("key"))
	return cmd
}

func (a *app) sign(ctx context.Context, key string, in api.Sign, wait time.Duration, out *output) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	signed, err := c.Sign(ctx, key, in)
	var failed *client.Error
	if errors.As(err, &failed) && failed.Kind == api.Waiting {
		if wait == 0 || failed.Operation == "" {
			return a.waiting(failed)
		}
		a.say("waiting: %s", failed.Message)
		signed, err = c.Await(ctx, failed.Operation, wait)
		if errors.As(err, &failed) && failed.Kind == api.Waiting {
			return a.waiting(failed)
		}
	}
	if err != nil {
		return err
	}
	return a.signed(signed, out)
}

// waiting prints the operation on stdout, for whoever comes back to it.
func (a *app) waiting(e *client.Error) error {
	f := byKind(string(e.Kind), e.Message, a.typed(e.Hint))
	if e.Operation == "" {
		return f
	}
	err := a.print(struct {
		V         int    `json:"v"`
		State     string `json:"state"`
		Operation string `json:"operation"`
	}{1, "waiting", e.Operation}, func(p *printer) { p.line("%s", e.Operation) })
	if err != nil {
		return err
	}
	return f
}

func (a *app) signed(s api.Signed, out *output) error {
	if s.Intent != nil {
		a.say("%s", printable(s.Intent.Sentence))
		for _, w := range s.Intent.Warnings {
			a.say("WARNING: %s", printable(w.Text))
		}
	}
	by := s.Key
	if s.Path != "" {
		by += "/" + s.Path
	}
	if s.DryRun {
		a.say("would be signed: %s", reasonText(s.Reasons))
		if a.json {
			return a.print(s, nil)
		}
		return nil
	}
	result := s.Output
	if result == "" {
		result = hex.EncodeToString(s.Signature)
	}
	if a.json {
		if err := a.print(s, nil); err != nil || !out.toFile() {
			return err
		}
		return out.write([]byte(result + "\n"))
	}
	if err := out.write([]byte(result + "\n")); err != nil {
		return err
	}
	if s.Type == "psbt" && !s.Complete {
		a.say("not complete: other signatures are missing, and this is the PSBT with ours")
	}
	switch {
	case s.Replayed:
		a.say("signed by %s before: this is that result again", by)
	case s.Audit != nil && out.toFile():
		a.say("signed by %s, record %d of the log", by, s.Audit.Sequence)
	}
	return nil
}

func reasonText(all []api.Reason) string {
	var parts []string
	for _, r := range all {
		parts = append(parts, r.Text)
	}
	return strings.Join(parts, "; ")
}

// digestBytes reads a digest: hex, or the bytes themselves.
func digestBytes(b []byte) ([]byte, error) {
	text := strings.TrimPrefix(string(bytes.TrimSpace(b)), "0x")
	if d, err := hex.DecodeString(text); err == nil && isDigest(d) {
		return d, nil
	}
	if !isDigest(b) {
		return nil, fmt.Errorf("a digest is 32, 48 or 64 bytes, as they are or in hex; got %s", plural(len(b), "byte"))
	}
	return b, nil
}

func isDigest(b []byte) bool { return len(b) == 32 || len(b) == 48 || len(b) == 64 }

func (a *app) verifyCommand() *cobra.Command {
	var in api.Verify
	var key, signature string
	cmd := &cobra.Command{
		Use: "verify --key NAME --signature FILE|hex:HEX FILE|-", Short: "verify a signature; exit code 7 when it does not hold",
		GroupID: "use", Args: cobra.ExactArgs(1),
		Long: `Verify a signature over a payload. Give the payload as it was given to sign, with the same
--type. The signature is what sign wrote (of a transaction: the signed one), in hex with or
without 0x, or in bytes. The private half is not used.`,
		Example: "  keyward verify --key payments --signature payment.signed payment.json",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Payload, err = a.read(args[0]); err != nil {
				return err
			}
			if in.Type == "digest" {
				if in.Payload, err = digestBytes(in.Payload); err != nil {
					return usage(cmd, err)
				}
			}
			if in.Signature, err = a.signature(cmd, signature); err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			v, err := c.Verify(cmd.Context(), key, in)
			if err != nil {
				return err
			}
			if err := a.print(v, func(p *printer) { p.line("%s", map[bool]string{true: "valid", false: "NOT valid"}[v.Valid]) }); err != nil || v.Valid {
				return err
			}
			return &failure{code: exitUnverified, quiet: true, message: "the signature does not hold"}
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "`name` of the key")
	f.StringVar(&signature, "signature", "", "`file` with the signature (hex or binary), or hex:…")
	f.StringVar(&in.Type, "type", "", "`type`: tx, psbt, message, typed-data or digest; as when it was signed")
	f.StringVar(&in.Network, "network", "", networkHelp)
	f.StringVar(&in.Algorithm, "algorithm", "", "`name` of an algorithm of a raw key; its spec's default when absent")
	f.Uint32Var(&in.Version, "version", 0, "`number` of the key's version; the current one when absent")
	must(cmd.MarkFlagRequired("key"))
	must(cmd.MarkFlagRequired("signature"))
	return cmd
}

// signature reads what sign wrote: hex, in a file or behind "hex:", or bytes.
func (a *app) signature(cmd *cobra.Command, from string) ([]byte, error) {
	if text, ok := strings.CutPrefix(from, "hex:"); ok {
		b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil || len(b) == 0 {
			return nil, usage(cmd, fmt.Errorf("%q: want hex: and pairs of hex digits", printable(from)))
		}
		return b, nil
	}
	b, err := a.read(from)
	if strings.HasPrefix(from, "0x") && errors.Is(err, fs.ErrNotExist) {
		return nil, usage(cmd, errors.New("there is no such file; a signature itself is written hex:0x…"))
	}
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, usage(cmd, fmt.Errorf("%s is empty", from))
	}
	if d, err := hex.DecodeString(strings.TrimPrefix(string(bytes.TrimSpace(b)), "0x")); err == nil && len(d) > 0 {
		return d, nil
	}
	return b, nil
}

func must(err error) {
	if err != nil {
		panic(err) // a flag that does not exist: a mistake of ours
	}
}
