package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
)

func (a *app) requestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "request", Short: "requests that wait, and what came of others", GroupID: "govern"}
	cmd.AddCommand(a.requestList(), a.requestShow())
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
				c, err := a.connect(ctx)
				if err != nil {
					return err
				}
				o, err := a.create(out, 0o644)
				if err != nil {
					return err
				}
				signed, err := c.Collect(ctx, args[0])
				var failed *client.Error
				if errors.As(err, &failed) && failed.Kind == api.Waiting {
					return a.waiting(failed)
				}
				if err != nil {
					return err
				}
				return a.signed(signed, o)
			}
			return ask(a, ctx, func(c *client.Client) (api.Request, error) { return c.Request(ctx, args[0]) },
				func(p *printer, r api.Request) {
					p.field("id", r.ID)
					p.field("state", r.State)
					p.field("verb", r.Verb)
					p.field("subject", r.Subject)
					p.field("actor", r.Actor)
					p.field("created", r.Created.String())
					p.field("outcome", r.Outcome)
					if r.Begun != 0 {
						p.field("record", fmt.Sprint(r.Begun))
					}
					if r.Intent != nil {
						showIntent(p, *r.Intent)
					}
				})
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "collect the result into this `file` (- for stdout)")
	return cmd
}
