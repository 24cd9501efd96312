package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyward/api"
	"keyward/client"
	"keyward/internal/seal"
	"keyward/internal/seal/keyfile"
	"keyward/internal/seal/passphrase"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "how the server stands", GroupID: "start", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Status, error) { return c.Status(cmd.Context()) }, showStatus)
		},
	}
}

func showStatus(p *printer, s api.Status) {
	state := "ready"
	switch {
	case s.Sealed:
		state = "sealed"
	case !s.Ready:
		state = "NOT ready: " + s.Why
	}
	p.field("state", state)
	p.field("version", s.Version)
	p.field("installation", s.Installation)
	switch {
	case s.Sealed: // nothing of it can be known
	case s.Installation == "": // nor by a stranger
		p.field("more", "with a token: --token-file FILE")
	default:
		p.field("keys", fmt.Sprint(s.Keys))
		p.field("log", fmt.Sprintf("%s, %d under the newest checkpoint", plural(int(s.AuditSize), "record"), s.TreeSize))
	}
	for _, l := range s.Listen {
		p.field("listening", l)
	}
	for _, slot := range s.Seal {
		p.field("seal", slot.Kind+" "+slot.Name)
	}
	for _, w := range s.Warnings {
		p.field("warning", w)
	}
}

func (a *app) sealCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "seal", Short: "wipe every key from the server's memory until somebody unseals it", GroupID: "start", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dry, err := a.dry("seal keyward"); dry || err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.SealState, error) { return c.Seal(cmd.Context()) },
				func(p *printer, _ api.SealState) { p.line("sealed") })
		},
	}
	slot := &cobra.Command{Use: "slot", Short: "the ways to unseal"}
	slot.AddCommand(a.slotAdd(), a.slotRemove(), a.slotList())
	cmd.AddCommand(slot, a.sealRotate())
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

func (a *app) sealRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate", Short: "replace the root key while serving", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dry, err := a.dry("replace the root key"); dry || err != nil {
				return err
			}
			return ask(a, cmd.Context(), func(c *client.Client) (api.Done, error) { return c.RotateRoot(cmd.Context(), api.Ask{}) },
				func(p *printer, d api.Done) {
					p.line("the root key was replaced, record %d of the log", d.Audit.Sequence)
				})
		},
	}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

// credential reads what opens a slot: the file that the flags name; the key file
// of the configuration where no slot has a passphrase; else a passphrase from
// the terminal. The caller destroys it.
func (a *app) credential(ctx context.Context, keyFile, passphraseFile string) (seal.Credential, error) {
	if keyFile == "" && passphraseFile == "" {
		known, err := a.knownKeyFile(ctx)
		if err != nil {
			return seal.Credential{}, err
		}
		keyFile = known
	}
	if keyFile != "" {
		return keyfile.Read(keyFile, a.absDir())
	}
	phrase, err := a.passphraseFrom(passphraseFile, "passphrase: ")
	return passphrase.Credential(phrase), err
}

// unsealed says of a wrong key file which one it was, and who named it.
func (a *app) unsealed(err error, cred seal.Credential, named string) error {
	if err == nil || cred.Kind != keyfile.Kind || client.KindOf(err) != api.Unverified && client.KindOf(err) != api.NotFound {
		return err
	}
	f := a.failed(err)
	f.message, f.hint = fmt.Sprintf("key file %s opens no slot", named), "give the file of another slot: --key-file FILE; see: keyward status"
	if named == "" {
		c, cerr := readConfig(a.absDir())
		if cerr != nil {
			return err
		}
		f.message, f.hint = fmt.Sprintf("key file %s opens no slot", c.KeyFile), c.anotherKeyFile()
	}
	return f
}

// afterSlots says what the next start will find, where this machine's config.toml
// names a key file: only a person knows which file belonged to which slot.
func (a *app) afterSlots(added string) error {
	if a.server != "" {
		return nil // it is another machine's
	}
	config, err := readConfig(a.absDir())
	if err != nil {
		return err
	}
	if added != "" {
		if added, err = filepath.Abs(added); err != nil {
			return err
		}
	}
	switch {
	case added != "" && config.KeyFile != added:
		a.say("note: the next start takes %s; for the new one write in %s: key_file = %q", orNone(config.KeyFile), filepath.Join(a.absDir(), configName), added)
	case added == "" && config.KeyFile != "":
		a.say("note: the next start takes %s (key_file in %s); if that was the file of this slot, name another there or take the line out: "+
			"it would start sealed", config.KeyFile, filepath.Join(a.absDir(), configName))
	}
	return nil
}

func orNone(file string) string { return cmp.Or(file, "no key file") }

func (a *app) knownKeyFile(ctx context.Context) (string, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return "", err
	}
	s, err := c.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, slot := range s.Seal {
		if slot.Kind == passphrase.Kind {
			return "", nil
		}
	}
	config, err := readConfig(a.absDir())
	if err == nil && config.KeyFile == "" {
		err = &failure{code: exitUsage, kind: "usage", message: "a key file is needed to unseal, and config.toml names none", hint: "give --key-file FILE"}
	}
	return config.KeyFile, err
}

// newCredential makes what shall open a slot, and says whether it made a file.
func (a *app) newCredential(keyFile, passphraseFile string) (cred seal.Credential, made bool, err error) {
	if keyFile != "" {
		cred, err = keyfile.Create(rand.Reader, keyFile, a.absDir())
		return cred, err == nil, err
	}
	phrase, err := a.newPassphrase(passphraseFile)
	return passphrase.Credential(phrase), false, err
}

func (a *app) unsealCommand() *cobra.Command {
	var keyFile, passphraseFile string
	cmd := &cobra.Command{
		Use: "unseal", Short: "open the root key, on the machine itself", GroupID: "start", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cred, err := a.credential(cmd.Context(), keyFile, passphraseFile)
			if err != nil {
				return err
			}
			defer cred.Destroy()
			err = ask(a, cmd.Context(), func(c *client.Client) (api.SealState, error) {
				return c.Unseal(cmd.Context(), cred.Kind, cred.Secret.View())
			}, func(p *printer, _ api.SealState) { p.line("unsealed") })
			return a.unsealed(err, cred, keyFile)
		},
	}
	cmd.Flags().StringVar(&keyFile, "key-file", "", "unseal with this key `file` instead of a passphrase")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "`file` with the passphrase, instead of asking for it")
	return cmd
}

func (a *app) slotAdd() *cobra.Command {
	var keyFile, passphraseFile string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "add a passphrase, or with --key-file a key file, that unseals", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry, err := a.dry("add seal slot %q", args[0]); dry || err != nil {
				return err
			}
			cred, made, err := a.newCredential(keyFile, passphraseFile)
			if err != nil {
				return err
			}
			defer cred.Destroy()
			err = ask(a, cmd.Context(), func(c *client.Client) (api.AddedSlot, error) {
				return c.AddSlot(cmd.Context(), cred.Kind, args[0], cred.Secret.View())
			}, func(p *printer, s api.AddedSlot) {
				p.line("added %s %s, record %d of the log", s.Slot.Kind, s.Slot.Name, s.Audit.Sequence)
			})
			if err != nil && made {
				_ = os.Remove(keyFile) // it opens nothing
			}
			if err != nil || !made {
				return err
			}
			return a.afterSlots(keyFile)
		},
	}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	cmd.Flags().StringVar(&keyFile, "key-file", "", "make this key `file` instead of asking for a passphrase")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "`file` with the passphrase, instead of asking for it")
	return cmd
}

func (a *app) slotRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "remove NAME|ID", Short: "end one way to unseal; never the last", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry, err := a.dry("remove seal slot %q", args[0]); dry || err != nil {
				return err
			}
			if err := a.confirm(forEver(fmt.Sprintf("removing slot %q", args[0]), args[0]), yes); err != nil {
				return err
			}
			err := ask(a, cmd.Context(), func(c *client.Client) (api.Done, error) { return c.RemoveSlot(cmd.Context(), args[0], api.Ask{}) },
				func(p *printer, d api.Done) { p.line("removed %s, record %d of the log", args[0], d.Audit.Sequence) })
			if err != nil {
				return err
			}
			return a.afterSlots("")
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, dryHelp)
	return cmd
}

func (a *app) slotList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the ways to unseal", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(a, cmd.Context(), func(c *client.Client) (api.Slots, error) { return c.Slots(cmd.Context()) },
				func(p *printer, all api.Slots) {
					var rows [][]string
					for _, s := range all.Slots {
						rows = append(rows, []string{s.Name, s.Kind, fmt.Sprint(s.RootVersion), s.Created.String(), s.ID, s.Warning})
					}
					p.table([]string{"NAME", "KIND", "ROOT", "CREATED", "ID", "WARNING"}, rows)
				})
		},
	}
}
