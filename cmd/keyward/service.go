package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
	"keyward/internal/secret"
)

func (a *app) serviceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "let programs in, and out", GroupID: "govern"}
	cmd.AddCommand(a.serviceCreate(), a.serviceList(), a.serviceRevoke())
	return cmd
}

func (a *app) serviceCreate() *cobra.Command {
	var in api.CreateService
	var lifetime, out string
	cmd := &cobra.Command{
		Use: "create NAME", Example: "  keyward service create payouts --networks 10.0.0.0/8 --expires 90d -o payouts.token", Short: "let a program in, with a bearer token that is shown this once", Args: cobra.ExactArgs(1),
		Long: `Let a program in. It may do nothing until a rule of the policy names it, as
service:NAME. Its token is shown this once; -o writes it to a file of mode 0600.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			if lifetime != "" {
				d, err := days(lifetime)
				if err != nil {
					return usage(cmd, err)
				}
				in.LifetimeSeconds = int64(d / time.Second)
			}
			if dry, err := a.dry("create service %q", in.Name); dry || err != nil {
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
			made, err := c.CreateService(cmd.Context(), in)
			if err != nil {
				return err
			}
			wiped := made.Token
			defer func() { secret.Wipe(wiped) }()
			token := append([]byte(made.Token), '\n')
			defer secret.Wipe(token)
			if o.toFile() {
				made.Token = nil // it goes to one place
			}
			if !a.json && o.toFile() {
				a.say("created service %q; its token is in %s", in.Name, out)
			} else if !a.json {
				a.say("created service %q; this token is shown this once:", in.Name)
			}
			return a.result(o, token, made)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&in.Networks, "networks", nil, "`CIDR` blocks from which the token counts; any when absent")
	f.StringVar(&lifetime, "expires", "", "`time` that the token counts, as in 90d or 12h; until revoked when absent")
	f.StringVarP(&out, "out", "o", "", "`file` for the token")
	f.BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

// days reads a duration that may be given in days.
func days(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		d, err := strconv.ParseUint(n, 10, 16)
		if err != nil || d == 0 {
			return 0, fmt.Errorf("%q: want a number of days, as in 90d", s)
		}
		return time.Duration(d) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q: want a time, as in 90d or 12h", s)
	}
	return d, nil
}

func (a *app) serviceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list all services", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Services, error) { return c.Services(cmd.Context()) },
				func(p *printer, all api.Services) {
					var rows [][]string
					for _, s := range all.Services {
						state := "valid"
						if s.Expires != 0 {
							state = "until " + s.Expires.String()
						}
						if s.Revoked != 0 {
							state = "revoked " + s.Revoked.String()
						}
						rows = append(rows, []string{s.Name, state, strings.Join(s.Networks, " "), s.ID})
					}
					p.table([]string{"NAME", "STATE", "NETWORKS", "ID"}, rows)
				})
		},
	}
}

func (a *app) serviceRevoke() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "shut a program out for ever", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry, err := a.dry("revoke service %q", args[0]); dry || err != nil {
				return err
			}
			if err := a.confirm(forEver(fmt.Sprintf("revoking service %q", args[0]), args[0]), yes); err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Done, error) { return c.RevokeService(cmd.Context(), args[0], api.Ask{}) },
				func(p *printer, d api.Done) { p.line("revoked %s, record %d of the log", args[0], d.Audit.Sequence) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}
