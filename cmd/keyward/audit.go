package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
	"keyward/internal/audit"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "read and verify the log", GroupID: "log"}
	cmd.AddCommand(a.auditTail(), a.auditSearch(), a.auditVerify(), a.auditCheckpoint())
	return cmd
}

func (a *app) auditTail() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use: "tail", Short: "show the newest records", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.records(cmd.Context(), client.AuditQuery{Newest: true, Limit: n}, n, true)
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "`number` of records")
	return cmd
}

func (a *app) auditSearch() *cobra.Command {
	var q client.AuditQuery
	var since string
	var n int
	cmd := &cobra.Command{
		Use: "search", Short: "find records", Args: cobra.NoArgs, Example: "  keyward audit search --actor service:payouts --action key.sign --since 24h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Phase != "" && !slices.Contains(phases, q.Phase) {
				return usage(cmd, fmt.Errorf("--phase %q: want %s", q.Phase, strings.Join(phases, ", ")))
			}
			if since != "" {
				d, err := days(since)
				if err != nil {
					return usage(cmd, err)
				}
				q.Since = api.Time(time.Now().Add(-d).UnixMilli())
			}
			return a.records(cmd.Context(), q, n, false)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Actor, "actor", "", "operator or service:`NAME`")
	f.StringVar(&q.Action, "action", "", "dotted `name`, as in key.sign")
	f.StringVar(&q.Subject, "subject", "", "`name` of a key, a service, …")
	f.StringVar(&q.Operation, "operation", "", "`id` of an operation")
	f.StringVar(&q.Phase, "phase", "", "`phase`: begun, ended, done, denied, waiting, counted or noted")
	f.StringVar(&since, "since", "", "how far back: a `time`, as in 24h or 90d")
	f.IntVar(&n, "limit", 1000, "`number`: at most so many")
	return cmd
}

// phases are those of a record (docs/formats/log.md).
var phases = []string{"begun", "ended", "done", "denied", "waiting", "counted", "noted"}

// records collects pages until it has n.
func (a *app) records(ctx context.Context, q client.AuditQuery, n int, oldestLast bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	all := api.Records{Records: []api.Record{}}
	for len(all.Records) < n {
		q.Limit = min(n-len(all.Records), api.MaxPage)
		page, err := c.AuditRecords(ctx, q)
		if err != nil {
			return err
		}
		all.Records = append(all.Records, page.Records...)
		if all.Next = page.Next; page.Next == 0 {
			break
		}
		if q.Newest {
			q.To = page.Next
		} else {
			q.From = page.Next
		}
	}
	if oldestLast {
		for i, j := 0, len(all.Records)-1; i < j; i, j = i+1, j-1 {
			all.Records[i], all.Records[j] = all.Records[j], all.Records[i]
		}
	}
	return a.print(all, func(p *printer) {
		var rows [][]string
		for _, r := range all.Records {
			what := r.Outcome
			if r.Phase == "denied" || what == "" {
				what = r.Detail
			}
			if r.Count != 0 {
				what = fmt.Sprintf("%d times", r.Count)
			}
			rows = append(rows, []string{fmt.Sprint(r.Sequence), r.Time.String(), r.Action, r.Phase, r.Actor, r.Subject, what})
		}
		p.table([]string{"RECORD", "TIME", "ACTION", "PHASE", "ACTOR", "SUBJECT", "OUTCOME"}, rows)
	})
}

func (a *app) auditCheckpoint() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "have every committed record signed, and show that; keep it to prove later that nothing was taken away", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (checkpoint, error) {
				got, err := c.AuditCheckpoint(cmd.Context())
				return checkpoint{1, got.Origin, got.Size, hex.EncodeToString(got.Root), got.LogKey, got.Note}, err
			}, func(p *printer, c checkpoint) { p.line("%s", strings.TrimSuffix(c.Note, "\n")) })
		},
	}
}

type checkpoint struct {
	V      int    `json:"v"`
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
	LogKey string `json:"logKey"`
	Note   string `json:"note"`
}

func (a *app) auditVerify() *cobra.Command {
	var logKey, since string
	cmd := &cobra.Command{
		Use: "verify", Short: "prove that the log is whole and unchanged; exit code 7 when it is not", Args: cobra.NoArgs,
		Long: `Read the whole log and prove, in this process, that every record is the one that was
written, in its place, under a root that the log's key signed. With --offline --dir it
reads a data directory that no server runs on, or a copy of one (docs/operations.md), changes
nothing in it, and needs no unsealing; then --log-key is needed. --since takes a checkpoint that you kept: the log must go on where it ended.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.verifyLog(cmd.Context(), logKey, since) },
	}
	cmd.Flags().StringVar(&logKey, "log-key", "", "the log's public `key`, as audit checkpoint shows it, from a place that you trust")
	cmd.Flags().StringVar(&since, "since", "", "`file` with an older checkpoint")
	return cmd
}

func (a *app) verifyLog(ctx context.Context, logKey, since string) (err error) {
	check := audit.Check{Verifier: logKey}
	if since != "" {
		if check.Since, err = a.read(since); err != nil {
			return err
		}
		check.Since = append(bytes.TrimRight(check.Since, " \r\n"), '\n') // what an editor adds is no forgery
	}
	var src audit.Source
	if a.offline {
		if logKey == "" {
			return &failure{code: exitUsage, kind: "usage", message: "--offline needs --log-key", hint: "keyward audit checkpoint shows it; keep it where an attacker cannot change it"}
		}
		if src, err = a.copiedLog(ctx); err != nil {
			return err
		}
	} else {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		// Every committed record shall be under a signature before it is checked.
		fresh, err := c.AuditCheckpoint(ctx)
		if client.KindOf(err) == api.Unready { // the server found out by itself
			f := a.failed(err)
			f.code = exitUnverified
			return f
		}
		if err != nil {
			return err
		}
		if check.Verifier == "" {
			check.Verifier = fresh.LogKey
		}
		src = served{c}
	}
	if len(check.Since) > 0 {
		if _, err := audit.OpenCheckpoint(check.Since, check.Verifier); err != nil {
			return &failure{
				code: exitUnverified, kind: "unverified", message: since + ": " + err.Error(),
				hint: "give a checkpoint as keyward audit checkpoint printed it, of this very log",
			}
		}
	}
	report, err := audit.Verify(ctx, src, check)
	return a.verified(report, err)
}

// served is the log of a server.
type served struct{ c *client.Client }

func (s served) Checkpoint(ctx context.Context) ([]byte, error) { return s.c.PublishedCheckpoint(ctx) }

func (s served) Tile(ctx context.Context, path string) ([]byte, error) {
	tile, err := s.c.Tile(ctx, path)
	if client.KindOf(err) == api.NotFound {
		return nil, audit.ErrNotFound
	}
	return tile, err
}

func (s served) Records(ctx context.Context, from uint64) ([]audit.Entry, error) {
	group, err := s.c.AuditEntries(ctx, from)
	if err != nil || group == nil {
		return nil, err
	}
	return audit.DecodeGroup(group)
}

type verdict struct {
	V          int      `json:"v"`
	Valid      bool     `json:"valid"`
	Records    uint64   `json:"records"`
	Signed     uint64   `json:"signed"`
	Operations uint64   `json:"operations"`
	Unknown    uint64   `json:"unknown"`
	Open       uint64   `json:"open"`
	Erased     uint64   `json:"erased"`
	Faults     []string `json:"faults,omitempty"`
}

func (a *app) verified(r audit.Report, err error) error {
	var fault *audit.Fault
	if errors.Is(err, audit.ErrNoCheckpoint) {
		f := &failure{
			code: exitUnverified, kind: "unverified", message: "there is no signed checkpoint to verify the log against",
			hint: "give one that you kept: --since FILE",
		}
		if a.offline { // most likely half of it was copied
			f.hint = "the newest one is in derived.db and its derived.db-wal: copy both; or give one that you kept: --since FILE"
		}
		return f
	}
	if err != nil && !errors.As(err, &fault) {
		return err
	}
	out := verdict{
		V: 1, Valid: err == nil, Records: r.Records, Signed: r.Checkpoint.Size, Operations: r.Operations, Unknown: r.Unknown, Open: r.Open, Erased: r.Erased,
	}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, f.Error())
	}
	perr := a.print(out, func(p *printer) {
		for _, f := range out.Faults {
			p.line("FAULT: %s", f)
		}
		if out.Valid {
			p.line("the log is whole and unchanged: %d records, %d of them signed; %d operations, %d of unknown outcome", r.Records, r.Checkpoint.Size, r.Operations, r.Unknown)
		}
	})
	if perr != nil || err == nil {
		return perr
	}
	return &failure{code: exitUnverified, kind: "unverified", message: "the log was changed", hint: "keep this copy, restore from a backup, and find out who could write there"}
}
