package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"keyward/internal/store/sqlite"
)

func (a *app) tourCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use: "tour", Short: "a guided round in a throw-away folder", GroupID: "start", Args: cobra.NoArgs,
		Long: `A guided round in a throw-away folder: a key, a policy, a real Ethereum transaction
signed, one over the limit denied, the same for Bitcoin with a seed, a file encrypted and decrypted, the log verified, and
one record tampered with and caught. Every line that begins with $ is a command that you
can type yourself; nothing outside the folder is touched, and no network is used.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "keyward-tour-")
			if err != nil {
				return err
			}
			if keep {
				a.say("the folder stays: %s", dir)
			} else {
				a.later(func() { os.RemoveAll(dir) })
			}
			t := &tour{app: a, ctx: cmd.Context(), dir: dir}
			return t.walk()
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the folder")
	return cmd
}

// tour runs the program's own commands, in this process, one after the other.
type tour struct {
	app  *app
	ctx  context.Context
	dir  string
	stop func() // the server
}

const tourPolicy = `version: 1
rules:
  - name: small-payments
    who: [operator]
    keys: [payments]
    do: [sign-transaction]
    chains: [ethereum]
    amount: {asset: ETH, max: "1"}
    window: {asset: ETH, per: 24h, max: "2"}
    then: allow
  - name: small-bitcoin
    who: [operator]
    keys: ["savings/m/84h/0h/0h"]
    do: [sign-transaction]
    chains: [bitcoin]
    amount: {asset: BTC, max: "0.5"}
    window: {asset: BTC, per: 24h, max: "1"}
    then: allow
  - name: new-seeds
    who: [operator]
    keys: [savings]
    do: [create-key]
    then: allow
  - name: files
    who: [operator]
    keys: [files]
    do: [encrypt, decrypt]
    then: allow
  - name: look
    who: [operator]
    keys: [any]
    do: [read, read-audit, apply-policy]
    then: allow
`

// payment is an unsigned EIP-1559 transaction with a value in wei, hex.
func payment(nonce int, wei string) string {
	return fmt.Sprintf(`{"type":"0x2","chainId":"0x1","nonce":"0x%x","to":"0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045","value":%q,`+
		`"gas":"0x5208","maxFeePerGas":"0x2540be400","maxPriorityFeePerGas":"0x3b9aca00"}`, nonce, wei)
}

func (t *tour) walk() error {
	files := map[string]string{
		"policy.yaml": tourPolicy,
		"small.json":  payment(0, "0x6f05b59d3b20000"),  // 0.5 ETH
		"large.json":  payment(1, "0x4563918244f40000"), // 5 ETH
		"small.psbt":  tourSmallPSBT,
		"large.psbt":  tourLargePSBT,
		"letter.txt":  "The second safe is behind the piano.\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(t.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, chapter := range []func() error{t.begin, t.pay, t.plant, t.hide, t.prove, t.tamper} {
		if err := chapter(); err != nil {
			return err
		}
	}
	t.tell("That was keyward. What it does and does not protect against: docs/threat-model.md")
	return nil
}

func (t *tour) begin() error {
	t.tell("An installation: a charter, a root key sealed by a key file, and a log whose first record is its own birth.")
	if _, err := t.run(exitDone, "init", "--key-file", t.path("root.key")); err != nil {
		return err
	}
	t.tell("The server, on the unix socket of its data directory alone. It unseals itself with the key file.")
	fmt.Fprintln(t.app.out, "$ keyward server --listen none &")
	if err := t.serve(); err != nil {
		return err
	}
	t.tell("Two keys. The first belongs to Ethereum for life: it will sign only what keyward understands.")
	if _, err := t.run(exitDone, "key", "create", "payments", "--spec", "ECC_SECG_P256K1", "--domain", "ethereum"); err != nil {
		return err
	}
	if _, err := t.run(exitDone, "key", "create", "files", "--spec", "AES_256"); err != nil {
		return err
	}
	t.tell("A policy: at most 1 ETH at a time and 2 a day, 0.5 BTC and 1 a day from one account. What no rule covers is denied.")
	if _, err := t.run(exitDone, "policy", "check", t.path("policy.yaml")); err != nil {
		return err
	}
	_, err := t.run(exitDone, "policy", "apply", t.path("policy.yaml"))
	return err
}

func (t *tour) pay() error {
	t.tell("A real EIP-1559 transaction. First what it means, then the signature; in between, the record went to disk.")
	if _, err := t.run(exitDone, "decode", t.path("small.json")); err != nil {
		return err
	}
	if _, err := t.run(exitDone, "sign", "--key", "payments", t.path("small.json")); err != nil {
		return err
	}
	t.tell("The same for 5 ETH. It is over the limit: denied, with the reason, and the log knows.")
	_, err := t.run(exitDenied, "sign", "--key", "payments", t.path("large.json"))
	return err
}

func (t *tour) hide() error {
	t.tell("A file encrypted and decrypted. The context is bound to the ciphertext: with another one it does not open.")
	if _, err := t.run(exitDone, "encrypt", "--key", "files", "--context", "owner=ada", t.path("letter.txt"), "-o", t.path("letter.kw")); err != nil {
		return err
	}
	if _, err := t.run(exitUnverified, "decrypt", "--key", "files", "--context", "owner=eve", t.path("letter.kw")); err != nil {
		return err
	}
	_, err := t.run(exitDone, "decrypt", "--key", "files", "--context", "owner=ada", t.path("letter.kw"))
	return err
}

func (t *tour) prove() error {
	t.tell("The log: every use and every denial, chained and signed. Anybody with its public key can check it.")
	if _, err := t.run(exitDone, "audit", "tail"); err != nil {
		return err
	}
	_, err := t.run(exitDone, "audit", "verify")
	return err
}

// tamper changes one byte of one record in a copy, as an intruder would.
func (t *tour) tamper() error {
	var c checkpoint
	out, err := t.quietly("audit", "checkpoint", "--json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return err
	}
	t.tell("Now somebody with full access to the disk changes one byte of one record, in a copy of the data directory.")
	t.stop()
	copied := t.path("copy")
	if err := os.Mkdir(copied, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"keyward.db", "derived.db"} {
		b, err := os.ReadFile(filepath.Join(t.path("data"), name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(copied, name), b, 0o600); err != nil {
			return err
		}
	}
	if err := flipByte(filepath.Join(copied, "keyward.db")); err != nil {
		return err
	}
	t.tell("Whoever kept the log's public key finds it, offline, without a server and without any secret.")
	_, err = t.runIn(exitUnverified, copied, strings.NewReader(""), "audit", "verify", "--offline", "--log-key", c.LogKey)
	return err
}

func flipByte(database string) (err error) {
	db, err := sqlite.OpenDerived(database) // which opens any file without asking what is in it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var first int64
	var body []byte
	if err := db.QueryRow("SELECT first, body FROM log ORDER BY first LIMIT 1 OFFSET 2").Scan(&first, &body); err != nil {
		return err
	}
	body[len(body)-40] ^= 1
	_, err = db.Exec("UPDATE log SET body = $1 WHERE first = $2", body, first)
	return err
}

func (t *tour) path(name string) string { return filepath.Join(t.dir, name) }

func (t *tour) tell(text string) {
	fmt.Fprintf(t.app.out, "\n── %s\n", text)
}

func (t *tour) run(want int, args ...string) ([]byte, error) {
	return t.runIn(want, t.path("data"), strings.NewReader(""), args...)
}

// runIn types a command, shows what it prints, and insists on its exit code.
func (t *tour) runIn(want int, dir string, stdin io.Reader, args ...string) ([]byte, error) {
	shown := strings.ReplaceAll(strings.Join(args, " "), t.dir+string(filepath.Separator), "")
	fmt.Fprintf(t.app.out, "$ keyward %s\n", shown)
	var out bytes.Buffer
	code := t.call(dir, args, streams{in: stdin, out: io.MultiWriter(&out, t.app.out), err: t.app.out})
	if code != want {
		return nil, fmt.Errorf("tour: %q ended with code %d, want %d", shown, code, want)
	}
	return out.Bytes(), nil
}

func (t *tour) quietly(args ...string) ([]byte, error) {
	var out bytes.Buffer
	if code := t.call(t.path("data"), args, streams{in: strings.NewReader(""), out: &out, err: io.Discard}); code != exitDone {
		return nil, fmt.Errorf("tour: %q ended with code %d", args, code)
	}
	return out.Bytes(), nil
}

func (t *tour) call(dir string, args []string, s streams) int {
	return run(t.ctx, append([]string{"--dir", dir}, args...), s)
}

// serve starts the server in this process and waits until it is ready. It stops
// when the tour is over.
func (t *tour) serve() error {
	ctx, stop := context.WithCancel(t.ctx)
	ended := make(chan int, 1)
	go func() {
		s := streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
		ended <- run(ctx, []string{"--dir", t.path("data"), "server", "--listen", "none"}, s)
	}()
	t.stop = sync.OnceFunc(func() { stop(); <-ended })
	t.app.later(t.stop)
	for range 200 {
		var status struct {
			Ready bool `json:"ready"`
		}
		if out, err := t.quietly("status", "--json"); err == nil && json.Unmarshal(out, &status) == nil && status.Ready {
			return nil
		}
		select {
		case code := <-ended:
			ended <- code
			return fmt.Errorf("tour: the server ended with code %d", code)
		case <-time.After(25 * time.Millisecond):
		}
	}
	return errors.New("tour: the server does not become ready")
}
