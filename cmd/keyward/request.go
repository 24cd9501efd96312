package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
)

func (a *app) requestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "request", Short: "requests that wait, and what came of others", GroupID: "govern"}
	cmd.AddCommand(a.requestList(), a.requestShow(), a.requestCollect(), a.requestWithdraw())
	return cmd
}

func (a *app) requestList() *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "list requests that wait or can be asked again, newest first; all uses are in the log", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Requests, error) { return c.Requests(cmd.Context(), state, "", limit) },
				func(p *printer, all api.Requests) {
					var rows [][]string
					for _, r := range all.Requests {
						rows = append(rows, []string{r.ID, r.State, r.Verb, r.Subject, r.Actor, r.Created.String()})
					}
					p.table([]string{"ID", "STATE", "VERB", "SUBJECT", "ACTOR", "CREATED"}, rows)
				})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "`state`: waiting, begun, done, failed, denied, expired or unknown")
	cmd.Flags().IntVar(&limit, "limit", 100, "`number`: at most so many")
	return cmd
}

func (a *app) requestShow() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "show ID", Short: "show one operation; of a waiting one also what it means, and its result once it may go", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if out != "" {
				return a.collect(ctx, args[0], out)
			}
			return ask(a, ctx, func(c *client.Client) (api.Request, error) { return c.Request(ctx, args[0]) },
				func(p *printer, r api.Request) { a.showRequest(p, r) })
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "collect the result into this `file` (- for stdout)")
	return cmd
}

func (a *app) showRequest(p *printer, r api.Request) {
	p.field("id", r.ID)
	p.field("state", r.State)
	p.field("verb", r.Verb)
	p.field("subject", r.Subject)
	p.field("actor", r.Actor)
	p.field("created", r.Created.String())
	if r.State == "waiting" {
		showProspect(p, r)
		if r.Collectable {
			a.say("hint: %s", a.typed("keyward request collect "+r.ID+" -o FILE"))
		}
	}
	p.field("outcome", r.Outcome)
	if r.Begun != 0 {
		p.field("record", fmt.Sprint(r.Begun))
	}
	if r.Intent != nil {
		showIntent(p, *r.Intent)
	}
}

// showProspect says what a waiting request waits for, until when, and by which
// rule.
func showProspect(p *printer, r api.Request) {
	if r.Collectable {
		p.field("waits for", "nothing any more: it can be collected")
	}
	for _, why := range r.Reasons {
		p.field("because", why.Text)
	}
	if r.NotBefore != 0 {
		p.field("not before", r.NotBefore.String())
	}
	if r.Expires != 0 {
		p.field("void after", r.Expires.String()+", or once another policy is in force")
	}
}

func (a *app) requestCollect() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "collect ID", Short: "get the result of a request of one's own that waited, once it may go", Args: cobra.ExactArgs(1),
		Example: "  keyward request collect op_01j… -o payment.signed",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.collect(cmd.Context(), args[0], out) },
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` for the result, instead of stdout")
	return cmd
}

func (a *app) collect(ctx context.Context, id, out string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	o, err := a.create(out, 0o644)
	if err != nil {
		return err
	}
	signed, err := c.Collect(ctx, id)
	var failed *client.Error
	if errors.As(err, &failed) && failed.Kind == api.Waiting {
		return a.waiting(failed)
	}
	if err != nil {
		return err
	}
	return a.signed(signed, o)
}

func (a *app) requestWithdraw() *cobra.Command {
	cmd := &cobra.Command{
		Use: "withdraw ID", Short: "end a waiting request of one's own; what was kept of it is erased", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry, err := a.dry("withdraw request %s", args[0]); dry || err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Done, error) { return c.Withdraw(cmd.Context(), args[0]) },
				func(p *printer, d api.Done) { p.line("withdrawn, record %d of the log", d.Audit.Sequence) })
		},
	}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}
