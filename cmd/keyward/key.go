package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "make, show and end keys", GroupID: "keys"}
	cmd.AddCommand(a.keyCreate(), a.keyList(), a.keyShow(), a.keyDestroy(),
		a.keyStep("rotate NAME", "make a new version of a key; older ones go on verifying and decrypting", (*client.Client).RotateKey),
		a.keyStep("disable NAME", "suspend a key: it does nothing until it is enabled", (*client.Client).DisableKey),
		a.keyStep("enable NAME", "make a suspended key active again", (*client.Client).EnableKey),
		a.keyStep("keep NAME", "cancel the destruction of a key; it comes back suspended", (*client.Client).CancelDestroy))
	return cmd
}

func (a *app) keyCreate() *cobra.Command {
	var in api.CreateKey
	var tags []string
	cmd := &cobra.Command{
		Use: "create NAME --spec SPEC", Short: "make a key", Args: cobra.ExactArgs(1),
		Long: `Make a key. A key of domain raw signs digests and bare messages for programs; a key of
domain bitcoin or ethereum signs only what keyward understands of that chain. The domain is for
life. Seeds, from which many keys are derived, are made by keyward seed.

Specs: AES_256, HMAC_256, HMAC_384, HMAC_512, RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256,
ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, ECC_NIST_EDWARDS25519`,
		Example: "  keyward key create payments --spec ECC_SECG_P256K1 --domain ethereum\n  keyward key create files --spec AES_256",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Name = args[0]
			if in.Tags, err = pairs(tags); err != nil {
				return usage(cmd, err)
			}
			if in.Spec == "" {
				return usage(cmd, fmt.Errorf("--spec is missing: which kind of key?"))
			}
			if dry, err := a.dry("create key %q of spec %s", in.Name, in.Spec); dry || err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Key, error) { return c.CreateKey(cmd.Context(), in) }, showKey)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Spec, "spec", "", "kind and size of the key: `SPEC`")
	f.StringVar(&in.Usage, "usage", "", "`use`: SIGN_VERIFY or ENCRYPT_DECRYPT, where the spec can do both (RSA)")
	f.StringVar(&in.Domain, "domain", "raw", "`domain`: raw, bitcoin or ethereum")
	f.StringArrayVar(&tags, "tag", nil, "`name=value`, any number of times")
	f.BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list all keys, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Keys, error) { return allKeys(cmd.Context(), c) }, func(p *printer, k api.Keys) {
				var rows [][]string
				for _, key := range k.Keys {
					address := ""
					if len(key.Addresses) > 0 {
						address = key.Addresses[0].Address
					}
					rows = append(rows, []string{key.Name, key.Spec, key.Domain, key.State, fmt.Sprint(key.Version), address, key.ID})
				}
				p.table([]string{"NAME", "SPEC", "DOMAIN", "STATE", "VERSION", "ADDRESS", "ID"}, rows)
			})
		},
	}
}

func allKeys(ctx context.Context, c *client.Client) (all api.Keys, err error) {
	all.Keys = []api.Key{}
	for after := ""; ; {
		page, err := c.Keys(ctx, after, api.MaxPage)
		if err != nil {
			return all, err
		}
		all.Keys = append(all.Keys, page.Keys...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

func (a *app) keyShow() *cobra.Command {
	var network string
	cmd := &cobra.Command{
		Use: "show NAME[/PATH]", Short: "show a key's public half, addresses and versions; of a seed with a path an account's", Args: cobra.ExactArgs(1),
		Example: "  keyward key show payments\n  keyward key show treasury/m/84h/0h/0h",
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Key, error) { return c.KeyOn(cmd.Context(), args[0], network) }, showKey)
		},
	}
	cmd.Flags().StringVar(&network, "network", "", networkHelp)
	return cmd
}

const networkHelp = "`network` of Bitcoin: main, testnet4, signet or regtest; by the key's path when absent, else main"

func (a *app) keyStep(use, short string, do func(*client.Client, context.Context, string, api.Ask) (api.Key, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry, err := a.dry("%s key %q", cmd.Name(), args[0]); dry || err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Key, error) { return do(c, cmd.Context(), args[0], api.Ask{}) }, showKey)
		},
	}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

func (a *app) keyDestroy() *cobra.Command {
	var in api.DestroyKey
	var yes bool
	cmd := &cobra.Command{
		Use: "destroy NAME", Short: "destroy a key after 7 to 30 days in which it can be kept", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Days < 7 || in.Days > 30 {
				return &failure{code: exitUsage, kind: "usage", message: fmt.Sprintf("%d days are not possible", in.Days), hint: "choose 7 to 30 days"}
			}
			on := time.Now().UTC().AddDate(0, 0, in.Days).Format(time.DateOnly)
			if dry, err := a.dry("destroy key %q for ever on %s (UTC); until then keyward key keep %s cancels it", args[0], on, args[0]); dry || err != nil {
				return err
			}
			if err := a.confirm(loss{
				fmt.Sprintf("key %q does nothing from now on, and is destroyed for ever on %s (UTC), unless keyward key keep %s cancels it before", args[0], on, args[0]),
				"its name", args[0],
			}, yes); err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Key, error) { return c.DestroyKey(cmd.Context(), args[0], in) }, showKey)
		},
	}
	f := cmd.Flags()
	f.IntVar(&in.Days, "days", 30, "`days` until then, 7 to 30; keyward key keep NAME cancels it")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

// below is the path of an address from the account that is shown.
func below(account, path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, account), "/")
}

func showKey(p *printer, k api.Key) {
	p.field("name", k.Name)
	p.field("id", k.ID)
	p.field("spec", k.Spec)
	p.field("usage", k.Usage)
	p.field("domain", k.Domain)
	p.field("state", k.State)
	if k.DestroyAt != 0 {
		p.field("destroyed on", k.DestroyAt.String())
	}
	p.field("version", fmt.Sprint(k.Version))
	p.field("created", k.Created.String())
	p.field("owner", k.Owner)
	if k.Path != "" {
		p.field("path", k.Path)
		p.field("master key", k.Master)
		p.field("xpub", k.XPub)
	}
	for _, address := range k.Addresses {
		p.field(strings.TrimSpace(address.Chain+" "+below(k.Path, address.Path)), address.Address)
	}
	if k.Spec == "HD_SEED" && k.Path == "" && !k.WordsShown && k.Origin == "generated" {
		p.field("WARNING", "not backed up: nobody has seen its words")
	}
	for _, v := range k.Versions {
		if len(k.Versions) > 1 {
			p.field(fmt.Sprintf("version %d", v.Version), "made "+v.Created.String())
		}
	}
	if k.PublicKey != "" {
		p.line("%s", strings.TrimSuffix(k.PublicKey, "\n"))
	}
}
