package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
	"keyward/internal/policy"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "show, check and apply the rules", GroupID: "govern"}
	cmd.AddCommand(a.policyShow(), a.policyCheck(), a.policyApply())
	return cmd
}

func (a *app) policyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "show the policy in force: as it was written, and in words on stderr", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Policy, error) { return c.Policy(cmd.Context()) },
				func(p *printer, in api.Policy) {
					a.say("version %d of the charter:", in.Version)
					for _, s := range in.Sentences {
						a.say("  %s", printable(s))
					}
					p.line("%s", strings.TrimSuffix(in.Text, "\n"))
				})
		},
	}
}

// policyCheck reads a draft in this very process: it needs no installation.
func (a *app) policyCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE|-", Short: "say what is wrong or doubtful about a policy; nothing changes", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.read(args[0])
			if err != nil {
				return err
			}
			p, err := policy.Parse(text)
			if err != nil {
				return &failure{code: exitUsage, kind: "invalid", message: err.Error(), hint: "see docs/policy.md"}
			}
			out := api.PolicyFindings{Findings: []api.Finding{}}
			bad := 0
			for _, f := range p.Check() {
				out.Findings = append(out.Findings, api.Finding{Level: string(f.Level), Rule: f.Rule, Text: f.Text})
				if f.Level == policy.Error {
					bad++
				}
			}
			err = a.print(out, func(pr *printer) {
				for _, f := range out.Findings {
					pr.line("%s: %s", strings.TrimSpace(f.Level+" "+f.Rule), f.Text)
				}
				pr.line("%s, %s", plural(len(p.Sentences()), "rule"), plural(len(out.Findings), "finding"))
			})
			if err != nil || bad == 0 {
				return err
			}
			return &failure{code: exitUsage, kind: "invalid", message: fmt.Sprintf("%s would not be applied", args[0])}
		},
	}
}

func (a *app) policyApply() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "apply FILE|-", Short: "put a policy in force", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.read(args[0])
			if err != nil {
				return err
			}
			if len(text) == 0 {
				return &failure{code: exitUsage, kind: "invalid", message: args[0] + " is empty", hint: "see docs/policy.md"}
			}
			if a.dryRun {
				return ask(a, cmd.Context(), func(c *client.Client) (api.PolicyFindings, error) {
					return c.CheckPolicy(cmd.Context(), api.CheckPolicy{Text: string(text)})
				}, func(p *printer, f api.PolicyFindings) {
					if slices.ContainsFunc(f.Findings, func(f api.Finding) bool { return f.Level == string(policy.Error) }) {
						p.line("would NOT be put in force: keyward policy check shows its errors")
						return
					}
					p.line("would be put in force, with %s (nothing was changed)", plural(len(f.Findings), "finding"))
				})
			}
			if err := a.beforeApplying(cmd.Context(), string(text), yes); err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Policy, error) {
				return c.ApplyPolicy(cmd.Context(), api.ApplyPolicy{Text: string(text)})
			}, func(p *printer, in api.Policy) {
				p.line("in force: version %d of the charter, record %d of the log", in.Version, in.Audit.Sequence)
			})
		},
	}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "only check it")
	cmd.Flags().BoolVar(&yes, "yes", false, "also when it locks you out of applying another")
	return cmd
}

// beforeApplying says what the server alone can know of a draft, and asks before
// somebody locks themselves out.
func (a *app) beforeApplying(ctx context.Context, text string, yes bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	found, err := c.CheckPolicy(ctx, api.CheckPolicy{Text: text})
	if client.KindOf(err) == api.Denied { // who may apply need not be able to read
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range found.Findings {
		switch f.Code {
		case policy.UnknownName:
			a.say("%s", printable(strings.TrimSpace(f.Level+" "+f.Rule)+": "+f.Text))
		case policy.LockedOut:
			if err := a.confirm(loss{"this policy " + f.Text, "the word lock-me-out", "lock-me-out"}, yes); err != nil {
				return err
			}
		}
	}
	return nil
}
