package keyward_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"slices"
	"strings"
)

// rule is one promise about the source. A check is a pure function of the
// files; it returns what is wrong, where, and what to do about it.
type rule struct {
	name  string
	check func([]source) []string
	why   string
}

var rules = []rule{
	{"imports", strangers, "rooms know only the proof before them, so that no way leads round the corridor"},
	{"libraries", unlisted, "other people's code is a risk that somebody answered for"},
	{"purity", impure, "what judges money must give the same answer to the same question"},
	{"writer", writers, "no row of truth changes without a record in the same commit"},
	{"transactions", transactions, "no row of truth changes without a record in the same commit"},
	{"reserved imports", reserved, "dangerous tools stay where they are watched"},
	{"package comments", uncommented, "a newcomer finds what a room is for in <folder>/<folder>.go"},
	{"doc comments", undocumented, "a comment says the contract: shapes, units, ownership, durability, errors"},
	{"package names", misnamed, "one short noun of our trade; a drawer for everything holds anything"},
	{"file size", func(h []source) []string { return oversized(h, longFiles) }, "a file is one concept; split it by concept, or name it in longFiles with the reason"},
	{"no init", inits, "wiring is plain Go in one place, in an order that can be read"},
	{"no Get", getters, "the noun says it: key.Name(), not key.GetName()"},
	{"package variables", changed, "state hidden in a package cannot be tested, wired twice or reasoned about"},
	{"skips", skips, "a test that skips for an unknown reason is no test"},
	{"machine paths", machinePaths, "nothing in the project knows the machine that it was written on"},
}

func uncommented(h []source) (complaints []string) {
	for folder, files := range byFolder(h) {
		name := files[0].ast.Name.Name
		home, opening := path.Join(folder, path.Base(folder)+".go"), "Package "+name+" "
		if name == "main" {
			home, opening = path.Join(folder, "main.go"), ""
		}
		i := slices.IndexFunc(files, func(s source) bool { return s.path == home })
		switch {
		case folder == ".":
		case i < 0:
			complaints = append(complaints, fmt.Sprintf("%s: package %s has no file %s, where its comment stands", folder, name, home))
		case files[i].ast.Doc == nil || !strings.HasPrefix(files[i].ast.Doc.Text(), opening):
			complaints = append(complaints, files[i].at(files[i].ast, "no package comment that begins %q: what this room is for, what it never does", opening))
		}
		for j, s := range files {
			if j != i && s.ast.Doc != nil {
				complaints = append(complaints, s.at(s.ast, "a package comment outside %s: move it there, or set it off by an empty line", home))
			}
		}
	}
	return complaints
}

// undocumented complains about exported names that say nothing of their
// contract. A comment may stand over a group; the methods of error and
// fmt.Stringer have their contract there.
func undocumented(h []source) (complaints []string) {
	for _, s := range product(h) {
		if ast.IsGenerated(s.ast) || s.ast.Name.Name == "main" {
			continue
		}
		for _, decl := range s.ast.Decls {
			for _, name := range bare(decl) {
				if name.IsExported() {
					complaints = append(complaints, s.at(name, "%s is exported and has no comment", name.Name))
				}
			}
		}
	}
	return complaints
}

// bare returns the names that decl declares without a comment.
func bare(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		switch {
		case d.Doc != nil:
		case d.Recv == nil:
			names = append(names, d.Name)
		case ast.IsExported(strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*")) && !slices.Contains([]string{"Error", "Unwrap", "String"}, d.Name.Name):
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if d.Doc == nil && s.Doc == nil {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, s.Names...)
				}
			}
		}
	}
	return names
}

func misnamed(h []source) (complaints []string) {
	drawers := []string{"util", "utils", "common", "helper", "helpers", "misc", "types", "manager", "base"}
	for _, s := range goFiles(h, func(source) bool { return true }) {
		for _, name := range []string{strings.TrimSuffix(s.ast.Name.Name, "_test"), path.Base(s.folder())} {
			if slices.Contains(drawers, name) {
				complaints = append(complaints, s.at(s.ast.Name, "package %s: name it after what it is about", name))
				break
			}
		}
	}
	return complaints
}

const maxLines = 400

func oversized(h []source, exceptions map[string]string) (complaints []string) {
	used := map[string]bool{}
	for _, s := range h {
		lines := bytes.Count(s.text, []byte{'\n'})
		if s.ast == nil || ast.IsGenerated(s.ast) || lines <= maxLines {
			continue
		}
		if used[s.path] = exceptions[s.path] != ""; !used[s.path] {
			complaints = append(complaints, fmt.Sprintf("%s: %d lines, more than %d", s.path, lines, maxLines))
		}
	}
	for name := range exceptions {
		if !used[name] {
			complaints = append(complaints, fmt.Sprintf("%s: the exception in longFiles has no reason, or is not needed any more", name))
		}
	}
	return complaints
}

func inits(h []source) (complaints []string) {
	for _, s := range goFiles(h, func(source) bool { return true }) {
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				complaints = append(complaints, s.at(f, "func init: call it by name from the wiring"))
			}
		}
	}
	return complaints
}

var getter = regexp.MustCompile(`^Get\p{Lu}`)

func getters(h []source) (complaints []string) {
	for _, s := range goFiles(h, func(s source) bool { return !ast.IsGenerated(s.ast) }) {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			var names []*ast.Ident
			switch n := n.(type) {
			case *ast.FuncDecl:
				names = []*ast.Ident{n.Name}
			case *ast.InterfaceType:
				for _, m := range n.Methods.List {
					names = append(names, m.Names...)
				}
			}
			for _, name := range names {
				if getter.MatchString(name.Name) {
					complaints = append(complaints, s.at(name, "%s: drop the Get", name.Name))
				}
			}
			return true
		})
	}
	return complaints
}

// nothing imports nothing: the names that a file declares are enough for us.
type nothing struct{}

func (nothing) Import(p string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not loaded", p)
}

// changed complains about package variables that are assigned after their
// declaration, ours or another package's. It sees assignments, not what a
// method or a pointer does.
func changed(h []source) (complaints []string) {
	for folder, files := range byFolder(h) {
		var parsed []*ast.File
		for _, s := range files {
			parsed = append(parsed, s.ast)
		}
		info := types.Info{Uses: map[*ast.Ident]types.Object{}}
		conf := types.Config{Importer: nothing{}, Error: func(error) {}} // errors are the compiler's business
		pkg, _ := conf.Check(folder, files[0].fset, parsed, &info)
		for _, s := range files {
			ast.Inspect(s.ast, func(n ast.Node) bool {
				for _, target := range assigned(n) {
					id := root(target)
					if id == nil {
						continue
					}
					switch obj := info.Uses[id].(type) {
					case *types.Var:
						if obj.Parent() == pkg.Scope() {
							complaints = append(complaints, s.at(n, "package variable %s changes: make it a field of something that is wired", id.Name))
						}
					case *types.PkgName:
						complaints = append(complaints, s.at(n, "changes a variable of package %s", id.Name))
					}
				}
				return true
			})
		}
	}
	return complaints
}

// assigned returns what the statement n changes.
func assigned(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns the variable that x is a part of: v of v.f[i].g.
func root(x ast.Expr) *ast.Ident {
	for {
		switch e := x.(type) {
		case *ast.Ident:
			return e
		case *ast.SelectorExpr:
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		case *ast.ParenExpr:
			x = e.X
		default:
			return nil
		}
	}
}

// reasons are the words of which a skip says one: test vectors, a judge that
// is another's program, the rights of root, go test -short, or the setting
// that would make it run.
var reasons = regexp.MustCompile(`(?i)\b(vectors|judge|root|short)\b|KEYWARD_[A-Z]+`)

func skips(h []source) (complaints []string) {
	for _, s := range h {
		if s.ast == nil || !s.isTest() || s.imports()["testing"] == nil {
			continue
		}
		for _, call := range s.calls("Skip", "Skipf", "SkipNow") {
			said := false
			ast.Inspect(call, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				said = said || ok && lit.Kind == token.STRING && reasons.MatchString(lit.Value)
				return true
			})
			if !said {
				complaints = append(complaints, s.at(call, "skips without a reason that is allowed: vectors, judge, root, short, or the KEYWARD_… setting that runs it"))
			}
		}
	}
	return complaints
}

// machine matches paths that exist on no user's machine, written so that this
// file does not match.
var machine = regexp.MustCompile(`/(work|farm)` + `/|/tmp/(bash_jobs|plan)\b`)

func machinePaths(h []source) (complaints []string) {
	for _, s := range h {
		if bytes.IndexByte(s.text[:min(len(s.text), 8000)], 0) >= 0 {
			continue // no text
		}
		for i, line := range bytes.Split(s.text, []byte{'\n'}) {
			if found := machine.Find(line); found != nil {
				complaints = append(complaints, fmt.Sprintf("%s:%d: names %s", s.path, i+1, found))
			}
		}
	}
	return complaints
}
