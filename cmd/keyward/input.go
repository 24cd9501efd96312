package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"keyward/api"
	"keyward/internal/identity"
	"keyward/internal/seal/passphrase"
	"keyward/internal/secret"
)

const (
	payloadMax    = api.MaxBody / 2
	passphraseMax = 1024
)

func operator(source string) identity.Actor { return identity.Operator(source) }

// read reads a file, or stdin for "-", up to what a request may hold.
func (a *app) read(name string) ([]byte, error) {
	r := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, payloadMax+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if len(b) > payloadMax {
		return nil, &failure{
			code: exitUsage, kind: string(api.Invalid), message: fmt.Sprintf("%s has more than %d bytes", name, payloadMax),
			hint: "larger data is encrypted with a data key (keyward datakey), or signed by its digest",
		}
	}
	return b, nil
}

// unreadable puts into words why a file gave nothing.
func unreadable(name string, err error) error {
	if info, lost := os.Stat(name); lost == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory, not a file", name)
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// output is where a result goes: a new file, or stdout.
type output struct {
	out  io.Writer
	file *os.File // until it is written; nil for stdout
	path string   // "" for stdout
}

// create makes the file for a result before the result is asked for: nothing is
// signed, spent or shown once for an output that cannot be written. A file that
// exists is never overwritten; one that stays empty goes again. "" and - are
// stdout.
func (a *app) create(name string, mode os.FileMode) (*output, error) {
	if name == "" || name == "-" {
		return &output{out: a.out}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return nil, &failure{
			code: exitFailed, kind: "conflict", message: fmt.Sprintf("%s exists already, and nothing is overwritten; nothing was done", name),
			hint: "choose another name, or remove it",
		}
	}
	if err != nil {
		return nil, err
	}
	o := &output{out: f, file: f, path: name}
	a.later(func() {
		if o.file != nil {
			_ = errors.Join(f.Close(), os.Remove(name)) // whatever went wrong is told already
		}
	})
	return o, nil
}

func (o *output) toFile() bool { return o.path != "" }

// write writes the whole result and closes the file.
func (o *output) write(b []byte) error {
	if _, err := o.out.Write(b); err != nil || o.file == nil {
		return err
	}
	err := errors.Join(o.file.Sync(), o.file.Close())
	if err == nil {
		o.file = nil
	}
	return err
}

// passphraseFrom reads a passphrase from a file, without its last line break, or
// from the terminal.
func (a *app) passphraseFrom(file, prompt string) (secret.Bytes, error) {
	if file == "" {
		return a.askPassphrase(prompt)
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return secret.Bytes{}, unreadable(file, nil)
	}
	if err := guardFile(file, toUse); err != nil {
		return secret.Bytes{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer f.Close()
	b, err := secret.Read(f, passphraseMax)
	if errors.Is(err, secret.ErrTooLong) {
		return secret.Bytes{}, &failure{
			code: exitUsage, kind: string(api.Invalid), message: fmt.Sprintf("passphrase file %s has more than %d bytes", file, passphraseMax),
			hint: "give the file that holds the passphrase and nothing else",
		}
	}
	if err != nil {
		return secret.Bytes{}, unreadable(file, err)
	}
	defer b.Destroy()
	view := b.View()
	n := len(view)
	for n > 0 && (view[n-1] == '\n' || view[n-1] == '\r') {
		n--
	}
	if n == 0 {
		return secret.Bytes{}, &failure{code: exitUsage, kind: string(api.Invalid), message: fmt.Sprintf("passphrase file %s is empty", file)}
	}
	trimmed := secret.New(n)
	copy(trimmed.View(), view[:n])
	return trimmed, nil
}

func (a *app) askPassphrase(prompt string) (secret.Bytes, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return secret.Bytes{}, &failure{
			code: exitUsage, kind: "usage", message: "there is no terminal to ask for the passphrase on", hint: "give --passphrase-file FILE",
		}
	}
	defer tty.Close()
	fmt.Fprint(tty, prompt)
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.Take(b), nil
}

// newPassphrase asks twice where somebody types it.
func (a *app) newPassphrase(file string) (secret.Bytes, error) {
	first, err := a.passphraseFrom(file, "new passphrase: ")
	if err == nil && utf8.RuneCount(first.View()) < passphrase.MinCharacters {
		first.Destroy()
		err = &failure{code: exitUsage, kind: string(api.Invalid), message: passphrase.ErrShort.Error(), hint: "take several words that nobody would put together"}
	}
	if err != nil || file != "" {
		return first, err
	}
	second, err := a.askPassphrase("the same again: ")
	if err != nil {
		first.Destroy()
		return secret.Bytes{}, err
	}
	defer second.Destroy()
	if !first.Equal(second) {
		first.Destroy()
		return secret.Bytes{}, errors.New("the two passphrases differ")
	}
	return first, nil
}

// loss is what somebody confirms before it happens.
type loss struct {
	fact string // a sentence: what will be, and whether it can be undone
	noun string // what is to be typed: its name, the date
	word string // as it must be typed
}

func (l loss) question() string { return fmt.Sprintf("%s. Type %s to go on: ", l.fact, l.noun) }

// forEver is what cannot be undone, confirmed by its name.
func forEver(what, name string) loss { return loss{what + " cannot be undone", "its name", name} }

// confirm has somebody at the terminal type what is about to be lost.
func (a *app) confirm(l loss, yes bool) error {
	if yes {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return &failure{code: exitUsage, kind: "usage", message: l.fact + ", and nobody is here to confirm it", hint: "give --yes"}
	}
	defer tty.Close()
	fmt.Fprint(tty, l.question())
	var typed string
	if _, err := fmt.Fscanln(tty, &typed); err != nil || typed != l.word {
		return &failure{code: exitDeclined, kind: "declined", message: "not confirmed; nothing was done"}
	}
	return nil
}

// pairs reads k=v arguments.
func pairs(args []string) (map[string]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, arg := range args {
		k, v, ok := strings.Cut(arg, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%q: want name=value", arg)
		}
		if _, twice := m[k]; twice {
			return nil, fmt.Errorf("%q is given twice", k)
		}
		m[k] = v
	}
	return m, nil
}
