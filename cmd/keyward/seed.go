package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"keyward/api"
	"keyward/internal/secret"
)

func (a *app) seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seed", Short: "make and import seeds: trees of keys that hang on words", GroupID: "keys",
		Long: `Make and import seeds (BIP-39, BIP-32). A seed signs by its accounts: NAME/m/84h/0h/0h is one,
and stores nothing. keyward key show NAME/m/84h/0h/0h prints its addresses.`,
	}
	cmd.AddCommand(a.seedCreate(), a.seedImport())
	return cmd
}

const domainHelp = "`domain` of all its accounts: bitcoin or ethereum; else each account has the one of its coin type"

func (a *app) seedCreate() *cobra.Command {
	in := api.CreateSeed{Words: 24}
	var hide bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "make a seed and show its words, once", Args: cobra.ExactArgs(1),
		Long: `Make a seed. Its words are shown on the terminal, once, for you to write on paper: whoever has
them has every key of it, and without them and a backup of keyward all is lost. Where there is no
terminal say --no-words; the seed then counts as not backed up.`,
		Example: "  keyward seed create treasury\n  keyward seed create hot --words 12 --no-words",
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.Show = args[0], !hide
			terminal, ok := a.out.(*os.File)
			if in.Show && (!ok || !term.IsTerminal(int(terminal.Fd())) || a.json) {
				return &failure{
					code: exitUsage, kind: "usage", message: "words are shown on a terminal alone, never to a file, a pipe or with --json; nothing was made",
					hint: "run it in a terminal, or say --no-words",
				}
			}
			if dry, err := a.dry("create seed %q of %d words", in.Name, in.Words); dry || err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			made, err := c.CreateSeed(cmd.Context(), in)
			defer secret.Wipe(made.Words)
			if err != nil {
				return err
			}
			if in.Show && len(made.Words) == 0 {
				return &failure{
					code: exitFailed, kind: "conflict", message: fmt.Sprintf("seed %q was made by an earlier try, whose answer with the words was lost", in.Name),
					hint: "nobody has its words: keyward key destroy " + in.Name + ", and make another",
				}
			}
			if in.Show {
				if err := showWords(terminal, made.Words); err != nil {
					return err
				}
			}
			return a.seedMade(made)
		},
	}
	f := cmd.Flags()
	f.IntVar(&in.Words, "words", 24, "`number` of words: 12, 15, 18, 21 or 24")
	f.BoolVar(&hide, "no-words", false, "show no words: the seed counts as not backed up")
	f.StringVar(&in.Domain, "domain", "", domainHelp)
	f.BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

// showWords prints them with their numbers, one a line, without making strings
// of them.
func showWords(w io.Writer, words []byte) error {
	line := make([]byte, 0, 64)
	defer func() { secret.Wipe(line[:cap(line)]) }()
	write := func() error {
		_, err := w.Write(line)
		return err
	}
	line = append(line, "Write these words on paper, in this order. They are shown once.\n\n"...)
	for n := 1; ; n++ {
		if err := write(); err != nil {
			return err
		}
		if len(words) == 0 {
			break
		}
		word, rest, _ := bytes.Cut(words, []byte(" "))
		words = rest
		line = append(line[:0], fmt.Sprintf("%4d  ", n)...)
		line = append(append(line, word...), '\n')
	}
	line = append(line[:0], '\n')
	return write()
}

func (a *app) seedImport() *cobra.Command {
	var in api.ImportSeed
	var passphrase string
	cmd := &cobra.Command{
		Use: "import NAME", Short: "keep a seed that exists: its words come on standard input", Args: cobra.ExactArgs(1),
		Long: `Keep a seed that exists as 12 to 24 words (BIP-39, English). They are read from standard input,
never from the command line.`,
		Example: "  keyward seed import old-wallet < words.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			if dry, err := a.dry("import seed %q", in.Name); dry || err != nil {
				return err
			}
			if passphrase != "" {
				p, err := a.passphraseFrom(passphrase, "")
				if err != nil {
					return err
				}
				defer p.Destroy()
				in.Passphrase = p.View()
			}
			words, err := a.words()
			if err != nil {
				return err
			}
			defer words.Destroy()
			in.Words = words.View()
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			made, err := c.ImportSeed(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.seedMade(made)
		},
	}
	f := cmd.Flags()
	f.StringVar(&passphrase, "passphrase-file", "", "`file` with the passphrase of the words, where they have one")
	f.StringVar(&in.Domain, "domain", "", domainHelp)
	f.BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

// maxWords is more than 24 words and white space between them take.
const maxWords = 4096

// words reads the words of a seed: typed without echo, or piped in.
func (a *app) words() (secret.Bytes, error) {
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return a.askPassphrase("words of the seed")
	}
	words, err := secret.Read(a.in, maxWords)
	if err == nil && words.IsZero() {
		err = errors.New("no words came on standard input")
	}
	return words, err
}

func (a *app) seedMade(s api.Seed) error {
	return a.print(s.Key, func(p *printer) { showKey(p, s.Key) })
}
