package main

import (
	"strings"
	"testing"
	"time"
)

func TestConfigIsStrict(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown name":   {"listen = \"none\"\nseal = \"off\"", `unknown name "seal" in line 2`},
		"unknown table":  {"[store]\nurl = \"x\"", `unknown name "store`},
		"twice":          {"node = \"a\"\nnode = \"b\"", "node"},
		"another type":   {"cache_keys = \"many\"", "cache_keys"},
		"negative":       {"cache_keys = -1", "cache_keys: -1"},
		"level":          {"log_level = \"loud\"", `log_level: "loud"`},
		"nowhere":        {"listen = \"\"", "listen: empty"},
		"not TOML":       {"listen: none", ""},
		"longer than it": {strings.Repeat("#", configMax+1), "bytes, at most"},
	} {
		_, err := parseConfig(config{Listen: defaultListen, LogLevel: "info"}, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestFlagWinsOverEnvironmentWinsOverFile(t *testing.T) {
	dir := t.TempDir()
	if err := (config{Listen: "127.0.0.1:1", Node: "a", LogLevel: "warn"}).write(dir); err != nil {
		t.Fatal(err)
	}
	if c, err := readConfig(dir); err != nil || c.Listen != "127.0.0.1:1" || c.Node != "a" || c.LogLevel != "warn" {
		t.Errorf("got %+v, %v, want what was written", c, err)
	}
	t.Setenv("KEYWARD_LISTEN", "none")
	if c, err := readConfig(dir); err != nil || c.Listen != "none" || c.Node != "a" {
		t.Errorf("got %+v, %v, want the environment's listen", c, err)
	}
	if c, err := readConfig(t.TempDir()); err != nil || c.LogLevel != "info" || c.Node != "node" {
		t.Errorf("got %+v, %v, want the defaults", c, err)
	}
	t.Setenv("KEYWARD_LOG_LEVEL", "loud")
	if _, err := readConfig(dir); err == nil {
		t.Error("got no error for a level that does not exist")
	}
}

// What is accepted says the same when it is written down and read again.
func FuzzParseConfig(f *testing.F) {
	f.Add("listen = \"127.0.0.1:0\"\nhosts = [\"keys.example\"]\nnode = \"a\"\nkey_file = \"/k\"\ncache_keys = 10\nlog_level = \"debug\"\n")
	f.Add("listen = 'none'")
	f.Add("[store]\nurl = 'postgres://x'")
	f.Add("cache_keys = 1e3")
	f.Add("hosts = [\"\\u0000\"]")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig(config{Listen: defaultListen, Node: "node", LogLevel: "info"}, []byte(text))
		if err != nil {
			return
		}
		if err := c.check(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		dir := t.TempDir()
		if err := c.write(dir); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLifetimesMayBeDays(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1d": 24 * time.Hour, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "1s": time.Second,
		"": 0, "d": 0, "0d": 0, "-1d": 0, "1.5d": 0, "70000d": 0, "+1d": 0, "90": 0, "0s": 0, "1ms": 0, "-1h": 0, "soon": 0,
	} {
		got, err := days(in)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestPairsAreNamesWithValues(t *testing.T) {
	got, err := pairs([]string{"a=1", "b=", "c=x=y", "d=ü z"})
	if err != nil || len(got) != 4 || got["a"] != "1" || got["b"] != "" || got["c"] != "x=y" || got["d"] != "ü z" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range [][]string{{"a"}, {"=1"}, {""}, {"a=1", "a=1"}} {
		if _, err := pairs(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}
