package key_test

import (
	"slices"
	"strings"
	"testing"

	"keyward/internal/key"
)

const h = key.Hardened

func TestPathsAreReadStrictly(t *testing.T) {
	for s, want := range map[string]key.Path{
		"m": {}, "m/0": {0}, "m/84h/0h/0h": {84 + h, h, h}, "m/84'/0'/0'/1/7": {84 + h, h, h, 1, 7}, "m/2147483647H": {h - 1 + h}, "m/2147483647": {h - 1},
		"m" + strings.Repeat("/2147483647h", key.MaxDepth): slices.Repeat(key.Path{h - 1 + h}, key.MaxDepth),
	} {
		got, err := key.ParsePath(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "/", "m/", "M/0", "0/1", "84h/0h", "m//0", "m/0/", " m/0", "m/0 ", "m/00", "m/01", "m/-1", "m/+1", "m/1_0", "m/0x1", "m/h", "m/0hh", "m/0h'", "m/2147483648",
		"m/4294967296", "m/1e3", "m/*", "m/0/m", "m/\u0661", "m" + strings.Repeat("/0", key.MaxDepth+1), "m/" + strings.Repeat("0", 1<<20), "m/" + strings.Repeat("9", 100),
	} {
		if got, err := key.ParsePath(s); err == nil || got != nil || len(err.Error()) > 300 {
			t.Errorf("%.40q: got %v, %v, want it refused", s, got, err)
		}
	}
}

func TestPathsHaveOneForm(t *testing.T) {
	p, err := key.ParsePath("m/84'/0H/0h/1/7")
	if err != nil || p.String() != "m/84h/0h/0h/1/7" || key.Path(nil).String() != "m" {
		t.Errorf("got %s, %v", p, err)
	}
	if rest, ok := p.Below(p[:3]); !ok || rest.String() != "m/1/7" || !rest.Public() || p.Public() {
		t.Errorf("got %s below, %v", rest, ok)
	}
	for _, q := range []key.Path{{84 + h, h, h, 1, 7, 0}, {84 + h, h, 1 + h}, {84}} {
		if rest, ok := p.Below(q); ok || rest != nil {
			t.Errorf("%s is below %s by %s", p, q, rest)
		}
	}
}

func TestRefsNameAnAccountOrNone(t *testing.T) {
	for ref, want := range map[string][2]string{
		"treasury": {"treasury", ""}, "treasury/m/84'/0'/0'": {"treasury", "m/84h/0h/0h"}, "treasury/m": {"treasury", ""}, "key_01/m/0": {"key_01", "m/0"},
	} {
		name, path, err := key.SplitRef(ref)
		text := ""
		if path != nil {
			text = path.String()
		}
		if err != nil || name != want[0] || text != want[1] {
			t.Errorf("%s: got %q at %q, %v", ref, name, text, err)
		}
	}
	for _, ref := range []string{"treasury/", "treasury/84h", "treasury//m", "treasury/m/x"} {
		if _, path, err := key.SplitRef(ref); err == nil || path != nil {
			t.Errorf("%s: got %v, %v, want it refused", ref, path, err)
		}
	}
}

func TestACoinTypeHasItsDomain(t *testing.T) {
	for path, want := range map[string]key.Domain{
		"m/84h/0h": key.Bitcoin, "m/86h/1h/5h/0/3": key.Bitcoin, "m/44h/60h/0h/0/0": key.Ethereum, "m/44h/60h": key.Ethereum,
		"m": "", "m/44h": "", "m/44h/60": "", "m/44/60h": "", "m/44h/0": "", "m/0/1": "", "m/44h/61h/0h": "", "m/44h/2h": "",
	} {
		p, err := key.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.ByPath.At(p); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
		if got, err := key.Ethereum.At(p); got != key.Ethereum || err != nil {
			t.Errorf("%s below a seed of ethereum: got %q, %v", path, got, err)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"m", "m/84h/0h/0h/0/0", "m/44'/60'/0'", "m/2147483648", "m/0hh", "m/+1", "84h/0h", "m" + strings.Repeat("/0", key.MaxDepth+1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := key.ParsePath(s)
		if err != nil {
			if p != nil {
				t.Fatalf("got %v beside an error", p)
			}
			return
		}
		again, err := key.ParsePath(p.String())
		if err != nil || !slices.Equal(again, p) || strings.NewReplacer("'", "h", "H", "h").Replace(s) != p.String() {
			t.Fatalf("%q: got %s, %v back", s, again, err)
		}
	})
}
