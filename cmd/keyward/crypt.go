package main

import (
	"encoding/base64"
	"encoding/hex"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
	"keyward/internal/secret"
)

func (a *app) encryptCommand() *cobra.Command {
	var key, out string
	var contexts []string
	cmd := &cobra.Command{
		Use: "encrypt --key NAME FILE|-", Short: "encrypt up to a megabyte (XAES-256-GCM, or RSA-OAEP)", GroupID: "use", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			var in api.Encrypt
			if in.Context, err = pairs(contexts); err != nil {
				return usage(cmd, err)
			}
			if in.Plaintext, err = a.read(args[0]); err != nil {
				return err
			}
			defer secret.Wipe(in.Plaintext)
			o, err := a.create(out, 0o644)
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			got, err := c.Encrypt(cmd.Context(), key, in)
			if err != nil {
				return err
			}
			return a.result(o, got.Ciphertext, got)
		},
	}
	a.cryptFlags(cmd, &key, &out, &contexts)
	return cmd
}

func (a *app) decryptCommand() *cobra.Command {
	var key, out string
	var contexts []string
	cmd := &cobra.Command{
		Use: "decrypt --key NAME FILE|-", Short: "decrypt what encrypt or datakey made", GroupID: "use", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			var in api.Decrypt
			if in.Context, err = pairs(contexts); err != nil {
				return usage(cmd, err)
			}
			if in.Ciphertext, err = a.read(args[0]); err != nil {
				return err
			}
			o, err := a.create(out, 0o600)
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			got, err := c.Decrypt(cmd.Context(), key, in)
			if err != nil {
				return err
			}
			defer secret.Wipe(got.Plaintext)
			plaintext := got.Plaintext
			if o.toFile() {
				got.Plaintext = []byte{} // it goes to one place
			}
			return a.result(o, plaintext, got)
		},
	}
	a.cryptFlags(cmd, &key, &out, &contexts)
	return cmd
}

// result writes bytes where they were asked for; with --json also, or only, the
// whole answer on stdout.
func (a *app) result(o *output, b []byte, answer any) error {
	if a.json {
		if err := a.print(answer, nil); err != nil || !o.toFile() {
			return err
		}
	}
	return o.write(b)
}

func (a *app) cryptFlags(cmd *cobra.Command, key, out *string, contexts *[]string) {
	f := cmd.Flags()
	f.StringVar(key, "key", "", "`name` of the key")
	f.StringVarP(out, "out", "o", "", "`file` for the result, instead of stdout")
	f.StringArrayVar(contexts, "context", nil, "`name=value` that is bound to the ciphertext, any number of times; not secret")
	must(cmd.MarkFlagRequired("key"))
}

func (a *app) datakeyCommand() *cobra.Command {
	var key, out, envelope string
	var contexts []string
	cmd := &cobra.Command{
		Use: "datakey --key NAME", Short: "make a 256-bit data key, and the same encrypted", GroupID: "use", Args: cobra.NoArgs,
		Long: `Make a 256-bit data key for a program that encrypts by itself, and the same key encrypted,
to be kept beside the data: keyward decrypt gives the data key back. Each goes to a file, as
bytes; what has no file goes to stdout, in base64.`,
		Example: "  keyward datakey --key files -o data.key --envelope data.key.kw",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			var in api.MakeDataKey
			if in.Context, err = pairs(contexts); err != nil {
				return usage(cmd, err)
			}
			secretOut, err := a.create(out, 0o600)
			if err != nil {
				return err
			}
			sealedOut, err := a.create(envelope, 0o644)
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			got, err := c.DataKey(cmd.Context(), key, in)
			if err != nil {
				return err
			}
			defer secret.Wipe(got.Plaintext)
			return a.dataKey(got, secretOut, sealedOut)
		},
	}
	a.cryptFlags(cmd, &key, &out, &contexts)
	cmd.Flags().StringVar(&envelope, "envelope", "", "`file` for the encrypted data key, to be kept beside the data")
	return cmd
}

func (a *app) dataKey(got api.DataKey, secretOut, sealedOut *output) error {
	if sealedOut.toFile() {
		if err := sealedOut.write(got.Ciphertext); err != nil {
			return err
		}
	}
	if secretOut.toFile() {
		if err := secretOut.write(got.Plaintext); err != nil {
			return err
		}
		got.Plaintext = []byte{} // it goes to one place
	}
	return a.print(got, func(p *printer) {
		if !secretOut.toFile() {
			text := base64.StdEncoding.AppendEncode(nil, got.Plaintext)
			defer secret.Wipe(text)
			p.line("data key: %s", text)
		}
		if !sealedOut.toFile() {
			p.line("encrypted: %s", base64.StdEncoding.EncodeToString(got.Ciphertext))
		}
	})
}

func (a *app) macCommand() *cobra.Command {
	var key, check string
	cmd := &cobra.Command{
		Use: "mac --key NAME [FILE|-]", Short: "authenticate a message (stdin when no file is named); with --check, verify it", GroupID: "use",
		Args: cobra.MaximumNArgs(1), Example: "  keyward mac --key webhooks body.json\n  keyward mac --key webhooks --check hex:8d0d… body.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			message, err := a.read(append(args, "-")[0])
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if check == "" {
				return ask(a, ctx, func(c *client.Client) (api.MAC, error) { return c.MAC(ctx, key, api.MakeMAC{Message: message}) },
					func(p *printer, m api.MAC) { p.line("%s", hex.EncodeToString(m.MAC)) })
			}
			mac, err := a.signature(cmd, check)
			if err != nil {
				return err
			}
			c, err := a.connect(ctx)
			if err != nil {
				return err
			}
			v, err := c.VerifyMAC(ctx, key, api.VerifyMAC{Message: message, MAC: mac})
			if err != nil {
				return err
			}
			if err := a.print(v, func(p *printer) { p.line("%s", map[bool]string{true: "valid", false: "NOT valid"}[v.Valid]) }); err != nil || v.Valid {
				return err
			}
			return &failure{code: exitUnverified, quiet: true, message: "the MAC does not hold"}
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "`name` of the key")
	cmd.Flags().StringVar(&check, "check", "", "`file` with a MAC to verify, or hex:…")
	must(cmd.MarkFlagRequired("key"))
	return cmd
}
