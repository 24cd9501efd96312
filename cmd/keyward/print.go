package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"
)

// printer writes a result for people: lines, and tables that are aligned on a
// terminal and tab-separated on a pipe.
type printer struct {
	out      io.Writer
	terminal bool
	err      error
}

// print writes a result to stdout: one line of JSON, or what text writes.
func (a *app) print(v any, text func(*printer)) error {
	if a.json {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s\n", b)
		return err
	}
	p := &printer{out: a.out, terminal: isTerminal(a.out)}
	text(p)
	return p.err
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *printer) line(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = printable(s)
		}
	}
	if _, err := fmt.Fprintf(p.out, format+"\n", args...); err != nil && p.err == nil {
		p.err = err
	}
}

// field prints one named value, and nothing for an empty one.
func (p *printer) field(name, value string) {
	if value != "" {
		p.line("%-14s %s", name+":", value)
	}
}

func (p *printer) table(head []string, rows [][]string) {
	if !p.terminal {
		for _, row := range rows {
			p.line("%s", strings.Join(row, "\t"))
		}
		return
	}
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		for i := range row {
			row[i] = printable(row[i])
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil && p.err == nil {
			p.err = err
		}
	}
	if err := w.Flush(); err != nil && p.err == nil {
		p.err = err
	}
}

// printable keeps text that others wrote from moving the cursor or hiding what
// stands before it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			return r
		}
		return '\uFFFD'
	}, s)
}
