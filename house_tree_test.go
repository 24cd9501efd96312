package keyward_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "keyward"

// source is one file of the repository.
type source struct {
	path string // from the root, with slashes
	text []byte
	fset *token.FileSet
	ast  *ast.File // nil when it is not Go, or is test data
	ours bool      // in the product's module, not in one beside it (interop)
}

// load reads all files below root that people write.
func load(root string) ([]source, error) {
	var h []source
	fset, modules := token.NewFileSet(), []string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "var"}, rel) || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && rel != "." {
				modules = append(modules, rel+"/")
			}
			return nil
		}
		if !d.Type().IsRegular() || rel == ".git" { // which is a file in a linked work tree
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parse(fset, rel, text)
		s.ours = !slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(rel, m) })
		h = append(h, s)
		return err
	})
	return h, err
}

// parse makes a source of a file's text.
func parse(fset *token.FileSet, name string, text []byte) (source, error) {
	s := source{path: name, text: text, fset: fset, ours: true}
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
		return s, nil
	}
	var err error
	s.ast, err = parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

func (s source) folder() string { return path.Dir(s.path) }

// isTest reports whether s is only there when tests run: a test file, or a
// suite that implementations of a socket run (storetest).
func (s source) isTest() bool {
	return strings.HasSuffix(s.path, "_test.go") || strings.HasSuffix(s.folder(), "test")
}

// at begins a complaint with where it is.
func (s source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.path, s.fset.Position(n.Pos()).Line, fmt.Sprintf(format, args...))
}

// below reports whether s lies in one of the folders or deeper.
func (s source) below(folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return s.folder() == f || strings.HasPrefix(s.folder(), f+"/") })
}

// goFiles returns the Go files of the product's module for which keep is true.
func goFiles(h []source, keep func(source) bool) []source {
	return slices.DeleteFunc(slices.Clone(h), func(s source) bool { return s.ast == nil || !s.ours || !keep(s) })
}

func product(h []source) []source {
	return goFiles(h, func(s source) bool { return !s.isTest() })
}

// byFolder groups the files of each package, tests left out.
func byFolder(h []source) map[string][]source {
	packages := map[string][]source{}
	for _, s := range goFiles(h, func(s source) bool { return !strings.HasSuffix(s.path, "_test.go") }) {
		packages[s.folder()] = append(packages[s.folder()], s)
	}
	return packages
}

// imports returns the import paths of s.
func (s source) imports() map[string]*ast.ImportSpec {
	all := map[string]*ast.ImportSpec{}
	for _, spec := range s.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			all[p] = spec
		}
	}
	return all
}

// mentions returns where s names one of names of the package at importPath.
func (s source) mentions(importPath string, names ...string) []*ast.SelectorExpr {
	spec := s.imports()[importPath]
	if spec == nil {
		return nil
	}
	local := path.Base(importPath)
	if spec.Name != nil {
		local = spec.Name.Name
	}
	var found []*ast.SelectorExpr
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && slices.Contains(names, sel.Sel.Name) {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}

// calls returns the method and function calls x.name(…) in s.
func (s source) calls(names ...string) []*ast.CallExpr {
	var found []*ast.CallExpr
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(names, sel.Sel.Name) {
				found = append(found, call)
			}
		}
		return true
	})
	return found
}
