package keyward_test

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// room is a row of the table: which packages of ours one may import, and why
// these and no others.
type room struct {
	may []string // from the module's root
	why string
}

// library is a row of the table of other people's code.
type library struct {
	in  []string // rooms
	why string
}

const everything = "everything"

var (
	anyRoom = []string{everything}
	suites  = []string{"suites"} // and tests
)

// may names rooms below internal, or from the root with a leading slash.
func may(names ...string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = "internal/" + name
		if top, ok := strings.CutPrefix(name, "/"); ok {
			paths[i] = top
		}
	}
	return paths
}

// strangers complains about imports of ours that have no arrow in rooms.
func strangers(h []source) (complaints []string) {
	for _, s := range goFiles(h, func(s source) bool { return s.folder() != "." }) {
		row, ok := rooms[s.folder()]
		if !ok {
			complaints = append(complaints, s.at(s.ast, "%s has no row in rooms (house_test.go): give it one, with its reason", s.folder()))
			continue
		}
		for p, spec := range s.imports() {
			target, ours := strings.CutPrefix(p, module+"/")
			switch {
			case spec.Name != nil && spec.Name.Name == ".":
				complaints = append(complaints, s.at(spec, "dot import of %s: name the package, so that a reader sees whose word it is", p))
			case !ours:
			case strings.HasPrefix(target, "cmd/"):
				complaints = append(complaints, s.at(spec, "imports the binary %s", target))
			case strings.HasSuffix(s.path, "_test.go") || target == s.folder():
			case strings.HasSuffix(target, "test"):
				complaints = append(complaints, s.at(spec, "%s imports the test suite %s outside a test", s.folder(), target))
			case !slices.Contains(row.may, target) && !slices.Contains(row.may, everything):
				complaints = append(complaints, s.at(spec, "%s may not import %s (%s): go another way, or defend the arrow in rooms (house_test.go)", s.folder(), target, row.why))
			}
		}
	}
	return complaints
}

// unlisted complains about other people's code that no row of libraries allows.
func unlisted(h []source) (complaints []string) {
	for _, s := range goFiles(h, func(source) bool { return true }) {
		for p, spec := range s.imports() {
			if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
				continue // the standard library, or ours
			}
			lib, ok := libraries[row(p)]
			allowed := s.isTest() || slices.Contains(lib.in, everything) || slices.Contains(lib.in, s.folder())
			switch {
			case !ok:
				complaints = append(complaints, s.at(spec, "%s has no row in libraries (house_test.go): a new dependency needs a reason there and a paragraph in the commit", p))
			case !allowed:
				complaints = append(complaints, s.at(spec, "%s may not use %s (%s)", s.folder(), p, lib.why))
			}
		}
	}
	return complaints
}

// row returns the longest key of libraries that p is or lies below.
func row(p string) string {
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(libraries))) {
		if p == key || strings.HasPrefix(p, key+"/") {
			return key
		}
	}
	return ""
}

// purePackages take clock, randomness and facts as arguments.
var purePackages = []string{"internal/policy", "internal/approval", "internal/chain", "internal/wallet", "internal/key"}

// impure complains about I/O, clocks and randomness in pure packages.
func impure(h []source) (complaints []string) {
	worldly := []string{"os", "os/*", "net", "net/http", "net/http/*", "database/sql", "database/sql/*", "syscall", "crypto/rand", "golang.org/x/sys/*", "log"}
	for _, s := range product(h) {
		if !s.below(purePackages...) {
			continue
		}
		for p, spec := range s.imports() {
			if slices.ContainsFunc(worldly, func(w string) bool { ok, _ := path.Match(w, p); return ok }) {
				complaints = append(complaints, s.at(spec, "a pure package may not import %s: take what it gives as an argument", p))
			}
		}
		for _, sel := range s.mentions("time", "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker") {
			complaints = append(complaints, s.at(sel, "a pure package may not call time.%s: take the time as an argument", sel.Sel.Name))
		}
	}
	return complaints
}

// writers complains about code that could write truth past the journal.
func writers(h []source) (complaints []string) {
	for _, s := range product(h) {
		if s.below("internal/store") || s.path == "cmd/keyward/wire.go" || s.path == "bench/inside.go" {
			continue
		}
		names := []string{"Writer", "Open"}
		if s.below("internal/journal") {
			names = []string{"Open"}
		}
		for _, sel := range s.mentions(module+"/internal/store", names...) {
			complaints = append(complaints, s.at(sel, "store.%s: only journal holds the Writer, and only cmd/keyward/wire.go (and the bench's own house) hands it over; export a func(*store.Tx) error and let journal run it", sel.Sel.Name))
		}
	}
	return complaints
}

// transactions complains about SQL transactions begun outside store. The log's
// follower writes derived.db, which is no truth.
func transactions(h []source) (complaints []string) {
	for _, s := range product(h) {
		if s.below("internal/store", "internal/audit") {
			continue
		}
		for _, call := range s.calls("Begin", "BeginTx") {
			if len(call.Args) <= 2 { // journal.Begin takes a context, a Grant and an effect
				complaints = append(complaints, s.at(call, "begins a transaction: only store does, for journal"))
			}
		}
		for _, sel := range s.mentions("database/sql", "Open", "OpenDB") {
			complaints = append(complaints, s.at(sel, "sql.%s: only store opens databases", sel.Sel.Name))
		}
	}
	return complaints
}

// reserved complains about imports that few rooms may have.
func reserved(h []source) (complaints []string) {
	for _, s := range product(h) {
		for p, spec := range s.imports() {
			switch p {
			case "math/rand", "math/rand/v2":
				complaints = append(complaints, s.at(spec, "%s can be predicted: take an io.Reader, and give it crypto/rand", p))
			case "unsafe":
				if belowGo[s.path] == "" && belowGo[s.folder()] == "" {
					complaints = append(complaints, s.at(spec, "unsafe: only what is named in belowGo (house_test.go) reach below Go"))
				}
			case "runtime/secret":
				if !s.below("internal/secret") {
					complaints = append(complaints, s.at(spec, "runtime/secret does not exist in every build: call secret.Do"))
				}
			}
		}
	}
	return complaints
}
