package main

import (
	"time"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
)

func (a *app) clockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "clock", Short: "what time it is for keyward", GroupID: "start"}
	cmd.AddCommand(a.clockAccept())
	return cmd
}

func (a *app) clockAccept() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "accept", Short: "believe this machine's clock, on the machine itself", Args: cobra.NoArgs,
		Long: `Believe this machine's clock, which keyward does not trust because it is far from the
newest record, or was set while keyward ran. Look at the date first: what is due by it
happens (keys that wait for their destruction are destroyed, what has a time limit expires),
and keyward's time never goes back.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now().UTC()
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if s.Ready { // nobody shall confirm what is not asked
				return &failure{code: exitFailed, kind: string(api.Conflict), message: "the clock is trusted: there is nothing to accept", hint: "see: keyward status"}
			}
			if dry, err := a.dry("go on from %s", now.Format(time.RFC3339)); dry || err != nil {
				return err
			}
			if err := a.confirm(today(now), yes); err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.AcceptedClock, error) {
				return c.AcceptClock(cmd.Context(), api.AcceptClock{Time: api.Time(now.UnixMilli())})
			}, func(p *printer, in api.AcceptedClock) {
				p.line("accepted: time goes on from %s (it was %s), record %d of the log", in.To, in.From, in.Audit.Sequence)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

func today(now time.Time) loss {
	day := now.Format(time.DateOnly)
	return loss{"believing that today is " + day + " (UTC) cannot be undone", "that date", day}
}
