package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// config is the manual of config.toml. Nothing in it can weaken a promise: it
// holds addresses, paths and sizes. Flags win over KEYWARD_* variables, which
// win over the file. Unknown names are refused.
type config struct {
	// Listen is the address of the TLS listener, HOST:PORT; port 0 takes a free
	// one; "none" leaves the unix socket alone. KEYWARD_LISTEN.
	Listen string `toml:"listen"`
	// Hosts are further names and addresses that clients reach this server by;
	// they go into its certificate.
	Hosts []string `toml:"hosts,omitempty"`
	// Node names this node in the log.
	Node string `toml:"node,omitempty"`
	// KeyFile opens the key-file slot at start. KEYWARD_KEY_FILE.
	KeyFile string `toml:"key_file,omitempty"`
	// CacheKeys is how many keys are kept ready in memory.
	CacheKeys int `toml:"cache_keys,omitempty"`
	// LogLevel is debug, info, warn or error. KEYWARD_LOG_LEVEL.
	LogLevel string `toml:"log_level,omitempty"`
}

const (
	configName    = "config.toml"
	defaultListen = "127.0.0.1:7443"
	configMax     = 64 << 10
	cacheMax      = 1 << 20
)

// readConfig reads config.toml of a data directory, and the environment over it.
func readConfig(dir string) (config, error) {
	c := config{Listen: defaultListen, Node: "node", LogLevel: "info"}
	path := filepath.Join(dir, configName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return c, err
	default:
		if c, err = parseConfig(c, b); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
	}
	for name, field := range map[string]*string{
		"KEYWARD_LISTEN": &c.Listen, "KEYWARD_KEY_FILE": &c.KeyFile, "KEYWARD_LOG_LEVEL": &c.LogLevel,
	} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
	return c, c.check()
}

// parseConfig reads the text over the values of c.
func parseConfig(c config, text []byte) (config, error) {
	if len(text) > configMax {
		return c, fmt.Errorf("%d bytes, at most %d", len(text), configMax)
	}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	err := d.Decode(&c)
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		first := strict.Errors[0]
		line, _ := first.Position()
		return c, fmt.Errorf("unknown name %q in line %d: see docs/operations.md", strings.Join(first.Key(), "."), line)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return c, fmt.Errorf("%s in line %d: %s", cmp.Or(strings.Join(bad.Key(), "."), "text"), line, plainly(bad.Error()))
	}
	if err != nil {
		return c, err
	}
	return c, c.check()
}

// mistyped is how the library says that a value is of another type: in words of
// our source.
var mistyped = regexp.MustCompile(`cannot decode TOML (\w+) into .* of type (\S+)`)

func plainly(message string) string {
	m := mistyped.FindStringSubmatch(message)
	if m == nil {
		return strings.TrimPrefix(message, "toml: ")
	}
	want, ok := map[string]string{"string": `text in quotes, as in "…"`, "int": "a whole number", "[]string": `a list of texts, as in ["…"]`}[m[2]]
	if !ok {
		want = "another type"
	}
	return fmt.Sprintf("this is of type %s, want %s", m[1], want)
}

func (c config) check() error {
	switch {
	case c.CacheKeys < 0 || c.CacheKeys > cacheMax:
		return fmt.Errorf("cache_keys: %d: want 0 to %d", c.CacheKeys, cacheMax)
	case c.Listen == "":
		return errors.New(`listen: empty: want HOST:PORT or "none"`)
	}
	_, err := c.level()
	return err
}

// write stores a new installation's configuration.
func (c config) write(dir string) error {
	b, err := toml.Marshal(c)
	if err != nil {
		return err
	}
	head := "# keyward's configuration; every name is explained in docs/operations.md\n"
	return writeFile(filepath.Join(dir, configName), append([]byte(head), b...))
}

// anotherKeyFile is what to do about a key file that opens nothing.
func (c config) anotherKeyFile() string {
	return fmt.Sprintf("%s (key_file in %s, or $KEYWARD_KEY_FILE) is not the file of any slot: write the right one there, or unseal: keyward unseal --key-file FILE", c.KeyFile, configName)
}
